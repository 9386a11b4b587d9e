from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cli_run import Cli

from aspen.cli._screen import as_data, one_line, printable
from aspen.types import Memory, Provenance


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\tb\nc", "a\tb\nc"),
        ("a\r\nb", "a\nb"),
        ("over\rwritten", "over\ufffdwritten"),
        ("\x1b[2J\x07", "\ufffd[2J\ufffd"),
        ("\x9b2J \x7f", "\ufffd2J \ufffd"),
        ("abc\u202edcba\u2066", "abc\ufffddcba\ufffd"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("\ud800", "\ufffd"),
        ("zero\u200bwidth\ufeff", "zero\ufffdwidth\ufffd"),
    ],
)
def test_nothing_in_a_text_drives_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_one_line_is_cut_with_an_ellipsis() -> None:
    assert one_line("a\n  b\tc") == "a b c"
    assert one_line("abcdef", most=4) == "abc…"
    assert one_line("abcd", most=4) == "abcd"


def test_values_become_plain_data() -> None:
    time = datetime(2026, 5, 2, tzinfo=UTC)
    memory = Memory("m", 1, "t", None, time, None, None, Provenance.SAID, time, 3)
    data = as_data({"memories": (memory,), "path": Path("/a"), "set": {1}, "none": None, "x": 1.5, "y": True})
    assert json.loads(json.dumps(data)) == {
        "memories": [
            {
                "id": "m",
                "seq": 1,
                "text": "t",
                "speaker": None,
                "said_at": "2026-05-02T00:00:00+00:00",
                "conversation": None,
                "source": None,
                "provenance": "said",
                "created_at": "2026-05-02T00:00:00+00:00",
                "token_count": 3,
                "trace_id": None,
                "type": "episodic",
                "stability": "tentative",
                "importance": 0.6,
                "emotion": None,
                "tags": [],
                "accessed_at": None,
                "access_count": 0,
                "version": 1,
            }
        ],
        "path": "/a",
        "set": [1],
        "none": None,
        "x": 1.5,
        "y": True,
    }


def test_markup_in_a_memory_is_shown_as_it_stands(cli: Cli) -> None:
    text = "I like [bold red]tea[/bold red] [link=http://x.invalid]here[/link] :cat: [/]"
    cli("remember", text)
    for terminal in (False, True):
        shown = cli("list", terminal=terminal).out
        assert "".join(text.split()) in "".join(shown.split())  # a table breaks lines


def test_a_reply_cannot_drive_the_terminal(cli: Cli) -> None:
    from aspen.testing.fake_model import FakeModel  # noqa: PLC0415

    model = FakeModel(say=lambda prompt: "ok\x1b]0;owned\x07")
    result = cli("chat", "hello", terminal=True, model=model)
    assert "\x1b]0" not in result.out
    document = cli("chat", "hello again", "--json", terminal=True, model=model)
    assert document.out.isascii()
    assert "\x1b" not in document.out


def test_a_terminal_gets_colours_and_a_pipe_gets_none(cli: Cli) -> None:
    cli("remember", "tea")
    assert "\x1b[" in cli("doctor", terminal=True).out
    for command in (("doctor",), ("recall", "tea"), ("list",), ("chat", "hello")):
        result = cli(*command)
        assert "\x1b" not in result.out + result.err
