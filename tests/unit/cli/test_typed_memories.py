"""What kind of memory it is, and its versions: remember, list, show, correct, history, import and export."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli_run import Cli

PODCAST = "A podcast about burnout, ten tips"
SUPPER = "Evenings belong to the people at my table"


def remember(cli: Cli, text: str, *options: str) -> str:
    return cli("remember", text, *options).out.strip()


@pytest.fixture
def ids(cli: Cli) -> tuple[str, str]:
    """A podcast and a belief."""
    return remember(cli, PODCAST), remember(
        cli, SUPPER, "--type", "belief", "--stability", "canonical", "--importance", "high"
    )


# -- versions --------------------------------------------------------------------------------------------------


def test_a_correction_is_what_holds_and_the_old_text_stays_readable(cli: Cli, ids: tuple[str, str]) -> None:
    old = ids[1]
    result = cli("correct", old, "Sundays too", "--said-at", "2026-05-02")
    new = result.out.strip()
    assert result.err == f"it holds in place of {old}\n"
    assert cli("correct", old, "-", "--json", stdin="Sundays too\n").json["corrects"] == old
    shown = cli("show", new, "--json").json["memory"]
    assert (shown["type"], shown["stability"], shown["importance"]) == ("belief", "canonical", 1.0)
    newest = cli("correct", new, "Every evening", "--json").json["memory"]["id"]
    for id_ in (old, new, newest):
        table = cli("history", id_).rows
        assert [(row[0], row[2], row[3]) for row in table] == [
            ("id", "state", "text"),
            (old, "corrected", SUPPER),
            (new, "corrected", "Sundays too"),
            (newest, "", "Every evening"),
        ]
        assert cli("show", id_, "--json").json["memory"]["corrected_by"] == (
            None if id_ == newest else newest
        )
    assert table[2][1] == "2026-05-02"
    document = cli("history", old, "--json").json
    assert [version["id"] for version in document["versions"]] == [old, new, newest]
    assert document["current"] == newest
    assert f"corrected     by {newest}" in cli("show", old).out
    assert "corrected     " not in cli("show", newest).out
    listed = {one["id"]: one["corrected_by"] for one in cli("list", "--json").json["memories"]}
    assert (listed[old], listed[new], listed[newest]) == (newest, newest, None)
    assert f"corrected by {newest}" in cli("list", terminal=True).plain
    (row,) = (row for row in cli("list").rows if row[0] == old)
    assert row[8] == newest


def test_another_correction_of_the_same_memory_is_refused(cli: Cli, ids: tuple[str, str]) -> None:
    new = cli("correct", ids[0], "A film").out.strip()
    result = cli("correct", ids[0], "A book", "--json")
    assert result.code == 8
    assert json.loads(result.err)["details"] == {"corrected_by": new}


def test_versions_stand_in_their_order_though_the_newer_was_stored_first(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    lines = [
        {"id": "new", "text": "monthly"},
        {"id": "old", "text": "weekly"},
        {"relation": "historical_version_of", "from": "old", "to": "new"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert cli("import", str(path)).code == 0
    old = next(one["id"] for one in cli("list", "--json").json["memories"] if one["text"] == "weekly")
    versions = cli("history", old, "--json").json["versions"]
    assert [version["text"] for version in versions] == ["weekly", "monthly"]


def test_memories_that_correct_each_other_in_a_circle_are_not_corrected(cli: Cli) -> None:
    one, two = remember(cli, "one"), remember(cli, "two")
    cli("relate", one, "historical_version_of", two, "--both-ways")
    assert {len(cli("history", id_, "--json").json["versions"]) for id_ in (one, two)} == {2}
    assert [memory["corrected_by"] for memory in cli("list", "--json").json["memories"]] == [None, None]


def test_recall_marks_what_was_corrected(cli: Cli, ids: tuple[str, str]) -> None:
    new = cli("correct", ids[0], "A podcast about burnout, twelve tips").out.strip()
    header, first, second = cli("recall", "burnout podcast", "-n", "2", "--no-spread").rows
    column = header.index("corrected_by")
    assert [(row[header.index("id")], row[column]) for row in (first, second)] == [(new, ""), (ids[0], new)]
    explained = cli("recall", "burnout podcast", "-n", "2", "--no-spread", "--explain").out
    assert f"\n   corrected by {new}\n" in explained
    shown = cli("recall", "burnout podcast", "-n", "2", "--no-spread", terminal=True)
    assert f"corrected by {new}" in shown.plain
    hits = cli("recall", "burnout podcast", "-n", "2", "--no-spread", "--json").json["hits"]
    assert [hit["corrected_by"] for hit in hits] == [None, new]


# -- remember --------------------------------------------------------------------------------------------------


def test_remember_takes_the_kind_of_a_memory(cli: Cli) -> None:
    options = (
        "--type", "belief", "--stability", "stable", "--importance", "0.9", "--emotion", "at: peace:0.5",
        "--tag", "family", "--tag", "art",
    )  # fmt: skip
    memory = cli("remember", SUPPER, *options, "--json").json["memory"]
    assert (memory["type"], memory["stability"], memory["importance"]) == ("belief", "stable", 0.9)
    assert memory["emotion"] == {"label": "at: peace", "intensity": 0.5}
    assert memory["tags"] == ["art", "family"]
    for word, value in (("high", 1.0), ("medium", 0.6), ("low", 0.3), ("0", 0.0)):
        given = cli("remember", f"weighs {word}", "--importance", word, "--json").json["memory"]
        assert (given["importance"], given["type"], given["tags"]) == (value, "episodic", [])


def test_remembering_again_keeps_the_kind_and_says_so(cli: Cli) -> None:
    cli("remember", SUPPER, "--type", "belief", "--tag", "family")
    again = cli("remember", SUPPER, "--type", "self", "--tag", "family", "--importance", "high")
    assert again.err == "this was remembered before, and keeps its type, importance\n"
    assert cli("remember", SUPPER).err == "this was remembered before\n"


def test_list_and_show_tell_the_kind_of_a_memory(cli: Cli) -> None:
    id_ = remember(
        cli, SUPPER, "--type", "belief", "--stability", "canonical", "--importance", "high",
        "--emotion", "calm:0.8", "--tag", "family", "--tag", "art", "-c", "table", "--speaker", "Runa",
    )  # fmt: skip
    assert cli("list").rows == [
        [
            "id", "date", "conversation", "speaker", "type", "priority", "used", "tags", "corrected_by",
            "text",
        ],
        [id_, "", "table", "Runa", "belief", "0.66", "0", "art, family", "", SUPPER],
    ]  # fmt: skip
    (listed,) = cli("list", "--json").json["memories"]
    assert listed["priority"] == pytest.approx(0.4 + 0.2 * 0.8 + 0.1, abs=1e-6)
    assert (listed["tags"], listed["corrected_by"]) == (["art", "family"], None)
    assert "table · Runa · art, family" in cli("list", terminal=True).plain
    lines = cli("show", id_).out.splitlines()
    for line in (
        "type          belief, canonical",
        "importance    1.00",
        "emotion       calm 0.80",
        "tags          art, family",
        "priority      0.66",
    ):
        assert line in lines
    assert not any(line.startswith(("used", "corrected")) for line in lines)


# -- import and export -----------------------------------------------------------------------------------------


def test_import_and_export_of_relations(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    lines = [
        {"relation": "supports", "from": "a", "to": "b"},
        {"relation": "supports", "from": "a", "to": "nobody"},
        {"id": "a", "text": "one", "type": "pattern"},
        {"id": "b", "text": "two"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    first = cli("import", str(path))
    assert first.out == "2 stored, 0 already there, 1 not readable\n1 relations stored, 0 already there\n"
    assert first.err == "line 2: a supports nobody: neither the file nor the store has a memory 'nobody'\n"
    again = cli("import", str(path), "--json").json
    assert (again["relations"], again["relations_stored"], again["bad"]) == (1, 0, 1)
    assert set(again) == {
        "format", "read", "stored", "already_there", "left_out", "relations", "relations_stored", "bad",
        "problems",
    }  # fmt: skip
    assert "1 relations" in cli("import", str(path), "--store", str(tmp_path / "n.db"), terminal=True).err
    out = tmp_path / "out.jsonl"
    written = cli("export", "--output", str(out), "--json").json
    assert written == {"memories": 2, "relations": 1, "path": str(out)}
    assert f"2 memories and 1 relations written to {out}" in cli("export", "-o", str(out)).err
    other = ("--store", str(tmp_path / "other.db"))
    assert cli("import", str(out), *other).code == 0
    assert cli("export", *other).out.splitlines()[1:] != []
    kept = [json.loads(line) for line in cli("export", *other).out.splitlines()[1:]]
    mine = [json.loads(line) for line in cli("export").out.splitlines()[1:]]
    for line in (*kept, *mine):
        line.pop("created_at", None)
    assert kept == mine


def test_the_folder_of_an_agent_is_imported(cli: Cli, tmp_path: Path) -> None:
    nodes = {
        "node_2": {"type": "thought", "description": "Bo is calm", "poignancy": 5, "filling": ["node_1"]},
        "node_1": {
            "type": "event",
            "description": "Bo hums",
            "poignancy": 2,
            "created": "2023-03-02 08:00:00",
        },
        "node_3": {"type": "song"},
    }
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "nodes.json").write_text(json.dumps(nodes))
    result = cli("import", str(tmp_path / "agent"))
    assert result.out == "2 stored, 0 already there, 1 not readable\n2 relations stored, 0 already there\n"
    assert result.err == "record 3: node_3: the node has no description. \n".replace(". \n", ".\n")
    assert cli("import", str(tmp_path / "agent"), "--format", "plain").code == 2
