from __future__ import annotations

import pytest
from tests.cli_run import Cli

from aspen.cli import chat as chat_module
from aspen.repository._sqlite import SQLiteRepository
from aspen.testing.fake_model import FakeModel


def test_one_message(cli: Cli) -> None:
    result = cli("chat", "I live in Porto", "--seed", "7", "--conversation", "c")
    assert (result.code, result.out) == (0, "Understood.\n")
    facts = result.err.splitlines()[-1]
    assert facts.startswith("nothing to recall yet · remembered m_")
    assert "did not run" not in facts
    assert "seed 7" in facts
    assert "trace t_" in facts
    assert "tokens/s" in facts
    assert facts.count("m_") == 2
    memories = cli("list", "--conversation", "c", "--json").json["memories"]
    assert [memory["text"] for memory in memories] == ["Understood.", "I live in Porto"]


def test_what_was_recalled_is_named_and_the_note_shown(cli: Cli) -> None:
    cli("remember", "My sister Mara lives in Lisbon", "-c", "family")
    cli("remember", "The weather is grey", "-c", "weather")
    result = cli("chat", "Where does my sister Mara live?", "--show-note")
    assert 'recalled "My sister Mara lives in Lisbon"' in result.err
    assert 'Noted: "My sister Mara lives in Lisbon"' in result.err
    without = cli("chat", "Where does my sister Mara live?", "-c", "other", "--no-memory", "--show-note")
    assert "recalled" not in without.err.splitlines()[-1]
    assert "no note: nothing was recalled, as --no-memory says" in without.err


def test_json_needs_a_message_and_holds_all(cli: Cli) -> None:
    assert cli("chat", "--json").code == 2
    document = cli("chat", "-", "--json", "--trace-level", "fp16", "--temperature", "0", stdin="hello\n").json
    assert document["text"] == "Understood."
    assert [memory["text"] for memory in document["memories"]] == ["hello", "Understood."]
    assert document["recall"]["familiarity"] == 0
    assert document["note"] is None
    (trace,) = cli("traces", "--json").json["traces"]
    assert (trace["id"], trace["level"]) == (document["trace_id"], "fp16")


def test_nothing_is_stored_with_no_remember(cli: Cli) -> None:
    document = cli("chat", "hello", "--no-remember", "--json").json
    assert document["trace_id"] is None
    assert document["memories"] == []
    assert cli("list", "--json").json["memories"] == []


def test_a_store_that_can_only_be_read_answers_with_no_remember(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("remember", "My sister Mara lives in Lisbon")
    monkeypatch.setattr(SQLiteRepository, "writable", False)
    for arguments in (("chat", "hello"), ("chat",)):  # a conversation says so before anything is typed
        result = cli(*arguments)
        assert (result.code, result.out) == (5, "")
        assert "can only be read" in result.err
        assert result.err.endswith("or add --no-remember.\n")
    assert cli("chat", "hello", "--no-remember").out == "Understood.\n"


def test_a_conversation_from_a_pipe(cli: Cli) -> None:
    result = cli("chat", stdin="first\n\nsecond\n/exit\n/forget\n/forget\n/quit\nnever\n")
    assert result.out == "Understood.\nUnderstood.\n"
    assert "forgot your last message" in result.err
    assert "no turn to take back" in result.err
    assert "There is no command '/exit': /strategy NAME feeds" in result.err
    memories = cli("list", "--json").json["memories"]
    assert [memory["text"] for memory in memories] == ["Understood.", "first"]


def test_the_strategy_is_changed_within_a_conversation(cli: Cli) -> None:
    cli("remember", "My sister Mara lives in Lisbon", "-c", "family")
    asked = "Where does my sister Mara live?"
    lines = ["/strategy", "/strategy kv", asked, "/strategy telepathy", "/strategy auto", asked, "/strategy"]
    result = cli("chat", "--strategy", "scaffold", stdin="\n".join(lines))
    assert result.code == 0
    assert result.out == "Understood.\n" * 2
    assert "fed back by scaffold; there are note, scaffold, two_pass, " in result.err
    assert "fed back by kv from here on" in result.err
    assert "error: unknown strategy 'telepathy'" in result.err
    assert "fed back by auto; there are" in result.err
    facts = [line for line in result.err.splitlines() if line.startswith("recalled ")]
    assert len(facts) == 2
    assert " · kv" in facts[0]
    assert " · kv" not in facts[1]


def test_a_chat_takes_the_strategy_of_the_environment(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASPEN_STRATEGY", "two_pass")
    for option, name in (((), "two_pass"), (("--strategy", "auto"), "auto")):
        reply = cli("chat", "hello", "--no-remember", "--json", *option).json
        assert reply["injection"]["asked"] == name
    monkeypatch.setenv("ASPEN_STRATEGY", "telepathy")
    assert "unknown strategy 'telepathy'" in cli("chat", "hello", "--no-remember").err


def test_a_reply_without_a_note_says_why(cli: Cli) -> None:
    cli("remember", "My sister Mara lives in Lisbon", "-c", "family")
    asked = ("chat", "Where does my sister Mara live?", "--show-note", "--no-remember")
    for option, reason in (
        (("--strategy", "two_pass", "--note-tokens", "0"), "no note: the budget for memories is 0"),
        (("--note-tokens", "0"), "no note: nothing was recalled that fits"),
        (("--no-memory",), "no note: nothing was recalled, as --no-memory says"),
    ):
        assert reason in cli(*asked, *option).err


def test_a_message_that_is_refused_does_not_end_the_conversation(cli: Cli) -> None:
    result = cli("chat", stdin="a\x00b\nfine\n")
    assert result.code == 0
    assert "error: message has U+0000" in result.err
    assert result.out == "Understood.\n"


def test_a_conversation_on_a_terminal_ends_with_its_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = iter(["hello"])

    def next_line(*, on_terminal: bool) -> str | None:
        assert on_terminal
        return next(lines, None)

    monkeypatch.setattr(chat_module, "_next_line", next_line)
    result = cli("chat", terminal=True)
    assert result.code == 0
    assert "/forget takes the last turn back, /quit ends" in result.err
    assert "Understood." in result.out


def test_older_history_that_does_not_fit_is_said_aloud(cli: Cli) -> None:
    model = FakeModel(context_length=700, say=lambda prompt: "Understood.")
    long = "words " * 40
    result = cli("chat", "--max-tokens", "20", "--no-memory", stdin=f"{long}\n{long}\n{long}\n", model=model)
    assert result.code == 0
    assert "did not fit the model's context and were left out" in result.err


def test_replay_verifies_and_says_so(cli: Cli) -> None:
    trace_id = cli("chat", "hello", "--json", model=FakeModel()).json["trace_id"]
    result = cli("replay", trace_id, model=FakeModel())
    assert result.code == 0
    assert result.out.startswith("verified: with seed ")
    document = cli("replay", trace_id, "--json", model=FakeModel()).json
    assert (document["verdict"], document["verified"]) == ("verified", True)


def test_replay_with_another_model_is_not_verified(cli: Cli) -> None:
    trace_id = cli("chat", "hello", "--json", model=FakeModel()).json["trace_id"]
    result = cli("replay", trace_id, model=FakeModel(seed=5))
    assert result.code == 7
    assert result.out.startswith("fingerprint differs: weights was ")
    assert cli("replay", trace_id, "--json", model=FakeModel(seed=5)).code == 7


def test_traces_are_listed(cli: Cli) -> None:
    cli("chat", "hello", "--seed", "7", "-c", "c")
    assert cli("traces", "-c", "other", "--json").json == {"traces": []}
    header, row = cli("traces", "-c", "c").out.splitlines()
    assert header.split("\t") == ["id", "date", "level", "bytes", "seed", "conversation"]
    assert row.split("\t")[4:] == ["7", "c"]
