"""summarise, and chat with the strategies that go by traces and patterns."""

from __future__ import annotations

from tests.cli_run import Cli

TEXT = "The flaky test of the billing service was fixed by pinning the clock."


def remember_weekly(cli: Cli, count: int = 3) -> list[str]:
    return [
        cli(
            "remember", TEXT, "--speaker", "user", "--said-at", f"2026-05-{7 * i + 4:02}", "-c", f"talk {i}"
        ).out.strip()
        for i in range(count)
    ]


def test_summarise_shows_what_changed(cli: Cli) -> None:
    ids = remember_weekly(cli)
    dry = cli("summarise", "--dry-run")
    assert dry.code == 0
    assert "nothing was changed" in dry.err
    assert [row[:2] for row in dry.rows[1:]] == [["new", "3"]]
    made = cli("summarise", "--no-model", "--json").json
    assert made["dry_run"] is False
    (one,) = made["summaries"]
    assert (one["change"], one["occasions"], sorted(one["examples"])) == ("new", 3, sorted(ids))
    assert one["memory"]["type"] == "pattern"
    assert one["memory"]["tags"] == ["summary", "template"]
    again = cli("summarise")
    assert [row[:2] for row in again.rows[1:]] == [["unchanged", "3"]]
    assert one["memory"]["id"] in again.out


def test_a_store_without_patterns_says_nothing(cli: Cli) -> None:
    cli("remember", TEXT)
    assert cli("summarise", "--json").json == {"summaries": [], "dry_run": False}


def test_chat_tells_which_strategy_was_chosen(cli: Cli) -> None:
    remember_weekly(cli)
    cli("summarise")
    options = ("--note-tokens", "900", "--max-tokens", "8", "--json")
    pattern = cli("chat", "How do I fix the flaky test?", "--strategy", "summary", "-c", "a", *options).json
    assert pattern["injection"]["strategy"] == "summary"
    assert "Pattern seen 3 times, last on 18 May 2026" in pattern["note"]["text"]
    chosen = cli("chat", "How do I fix the flaky test?", "--strategy", "auto", "-c", "b", *options).json
    assert (chosen["injection"]["asked"], chosen["injection"]["strategy"]) == ("auto", "seed_replay")
    assert chosen["injection"]["trace_ids"] == [pattern["trace_id"]]
    assert cli("replay", chosen["trace_id"]).code == 0
