"""list with its filters, amend, merge, duplicates, restore, and forget --dry-run."""

from __future__ import annotations

from typing import Any

import pytest
from tests.cli_run import Cli


def remember(cli: Cli, text: str, *options: str) -> str:
    return cli("remember", text, *options).out.strip()


def listed(cli: Cli, *options: str) -> list[str]:
    return [memory["text"] for memory in cli("list", *options, "--json").json["memories"]]


def test_list_takes_filters_and_an_order(cli: Cli) -> None:
    remember(cli, "Mara moved to Lisbon", "--type", "semantic", "--importance", "high")
    remember(cli, "Evenings are for my family", "--type", "belief", "--tag", "family", "--speaker", "Ann")
    remember(cli, "The boiler is loud", "--importance", "low", "--said-at", "2026-05-02", "-c", "house")
    for options, found in (
        (("--text", "lisb mara"), []),
        (("--text", "mara lisb"), ["Mara"]),
        (("--type", "belief"), ["Evenings"]),
        (("--tag", "family"), ["Evenings"]),
        (("--provenance", "generated"), []),
        (("--stability", "tentative", "--speaker", "Ann"), ["Evenings"]),
        (("--until", "2026-05-03"), ["The"]),
        (("--since", "2026-05-03"), ["Evenings", "Mara"]),
        (("--sort", "oldest"), ["Mara", "Evenings", "The"]),
        (("--sort", "priority", "--limit", "1"), ["Mara"]),
        (("--min-priority", "0.99"), []),
    ):
        assert [text.split()[0] for text in listed(cli, *options)] == found, options


def test_list_goes_on_where_a_page_ended(cli: Cli) -> None:
    for number in range(5):
        remember(cli, f"text {number}")
    page = cli("list", "--limit", "2", "--json").json
    assert page["total"] == 5
    assert listed(cli, "--limit", "2", "--cursor", page["next"]) == ["text 2", "text 1"]
    shown = cli("list", "--limit", "2")
    assert f"2 of 5; --cursor {page['next'][:4]}" in shown.err
    cursor = shown.err.split()[4]
    assert listed(cli, "--limit", "2", "--cursor", cursor) == ["text 2", "text 1"]
    assert cli("list", "--json").json["next"] is None
    assert cli("list").err == ""
    assert cli("list", "--cursor", cursor, "--sort", "oldest").code == 2


@pytest.mark.parametrize(
    "option", [("--text", "a"), ("--type", "self"), ("--sort", "oldest"), ("--cursor", "x")]
)
@pytest.mark.parametrize("mode", [("--seed", "7"), ("--conversations",)])
def test_filters_are_not_for_seeds_and_conversations(cli: Cli, mode: Any, option: Any) -> None:
    remember(cli, "a")
    assert cli("list", *mode, *option).code == 2


def test_amend_changes_what_is_given(cli: Cli) -> None:
    id_ = remember(cli, "Evenings are for my family", "--emotion", "calm:0.8", "--tag", "a")
    memory = cli("amend", id_, "--type", "belief", "--importance", "high", "--json").json["memory"]
    assert (memory["version"], memory["type"], memory["importance"]) == (2, "belief", 1.0)
    assert (memory["tags"], memory["emotion"]["label"]) == (["a"], "calm")
    result = cli("amend", id_, "--tag", "b", "--tag", "c", "--emotion", "joy:0.5", "--stability", "stable")
    assert result.out == f"{id_}\n"
    assert result.err == "version 3: belief, stable, importance 1.00, joy 0.50, b, c\n"
    bare = cli("amend", id_, "--no-tags", "--emotion", "none", "--json").json["memory"]
    assert (bare["tags"], bare["emotion"], bare["version"]) == ([], None, 4)
    assert "version" in cli("show", id_).out
    assert cli("amend", id_, "--tag", "a", "--no-tags").code == 2
    assert cli("amend", "m_nowhere", "--type", "self").code == 3


def test_a_stale_amendment_has_an_exit_code_of_its_own(cli: Cli) -> None:
    id_ = remember(cli, "x")
    assert cli("amend", id_, "--version", "1", "--type", "self").code == 0
    stale = cli("amend", id_, "--version", "1", "--type", "belief", "--json")
    assert stale.code == 8
    assert '"Conflict"' in stale.err
    assert cli("show", id_, "--json").json["memory"]["type"] == "self"


def test_duplicates_are_shown_and_merged_and_restored(cli: Cli) -> None:
    first, second = remember(cli, "Mara moved to Lisbon"), remember(cli, "mara moved to lisbon!")
    remember(cli, "An altogether different thing: 42")
    rows = cli("duplicates", "--threshold", "1").rows
    assert rows == [
        ["likeness", "id", "text"],
        ["1.00", first, "Mara moved to Lisbon"],
        ["1.00", second, "mara moved to lisbon!"],
    ]
    (pair,) = cli("duplicates", "--threshold", "1", "--json").json["pairs"]
    assert (pair["first"]["id"], pair["second"]["id"], pair["similarity"]) == (first, second, 1.0)
    merged = cli("merge", first, second, "--json").json
    assert (merged["memory"]["id"], merged["merged"]) == (first, [second])
    assert cli("merge", first, second).err == f"it holds in place of {second}\n"
    assert cli("duplicates", "--threshold", "1", "--json").json == {"pairs": []}
    assert cli("show", second, "--json").json["memory"]["corrected_by"] == first
    restored = cli("restore", second)
    assert (restored.out, restored.err) == (
        f"{second}\n",
        f"it holds again, beside {first}; forget what is wrong\n",
    )
    assert cli("show", second, "--json").json["memory"]["corrected_by"] is None
    assert cli("restore", second).code == 2
    cli("merge", first, second)
    document = cli("restore", second, "--json").json
    assert (document["memory"]["id"], document["beside"]) == (second, [first])


def test_forgetting_is_shown_and_not_done(cli: Cli) -> None:
    reply = cli("chat", "hello", "--json").json
    id_, answer = (memory["id"] for memory in reply["memories"])
    document = cli("forget", id_, "--dry-run", "--json").json
    assert [memory["id"] for memory in document["memories"]] == [id_]
    assert (document["summaries"], document["traces"], document["relations"]) == ([], [reply["trace_id"]], 1)
    shown = cli("forget", id_, answer, "--dry-run")
    assert shown.out.splitlines() == [
        f"{id_}  hello",
        f"{answer}  Understood.",
        "With them go their keys and words, 1 relation and 1 trace.",
    ]
    assert len(listed(cli)) == 2
    assert "1 relation and 1 trace" in cli("forget", id_, terminal=True, stdin="n\n").err
    assert cli("forget", "m_nowhere", "--dry-run").code == 3
