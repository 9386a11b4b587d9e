"""Ctrl-C in a chat: it ends a reply, and the program only where a line is waited for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator

import pytest
from tests.cli_run import Cli
from tests.unit.cli.talk import Talk

from aspen.aspen import Aspen
from aspen.cli import chat as chat_module
from aspen.testing.fake_model import FakeModel

PROGRAM = """
import sys, time
from aspen.cli.main import main
from aspen.testing.fake_model import FakeModel

def say(prompt):
    if "Be short." in prompt:
        return "Understood."
    time.sleep(0.02)
    return "From the ancient harbour " * 40

sys.exit(main(sys.argv[1:], model=FakeModel(say=say)))
"""
"""The program with a model that speaks a letter in 20 ms."""


@pytest.fixture
def talk() -> Iterator[Callable[..., Talk]]:
    begun: list[Talk] = []

    def begin(*arguments: str) -> Talk:
        command = [sys.executable, "-c", PROGRAM, *arguments]
        begun.append(Talk(command, environment=os.environ))
        return begun[-1]

    yield begin
    for one in begun:
        one.close()


def test_ctrl_c_ends_the_reply_and_then_the_chat(talk: Callable[..., Talk], cli: Cli) -> None:
    chat = talk("chat", "-c", "c")
    chat.until("you> ")
    chat.press("tell me all\n")
    chat.until("From the anc")
    chat.press("\x03")
    shown = chat.until("you> ")
    assert shown.endswith("^C\nInterrupted; neither your message nor this reply was stored.\nyou> ")
    chat.press("Be short.\n")
    assert "\nUnderstood.\n" in chat.until("you> ")
    assert chat.interrupt_waiting().replace("^C", "").strip("\n") == ""
    assert chat.process.returncode == 130
    assert [memory["text"] for memory in cli("list", "--json").json["memories"]] == [
        "Understood.",
        "Be short.",
    ]
    assert len(cli("traces", "--json").json["traces"]) == 1


def test_ctrl_d_ends_a_chat_with_0(talk: Callable[..., Talk]) -> None:
    chat = talk("chat")
    chat.until("you> ")
    chat.press("tell me all\n")
    chat.until("From the anc")
    chat.press("\x03")
    chat.until("you> ")
    chat.press("\x04")
    assert chat.rest().strip("\n") == ""
    assert chat.process.returncode == 0


def test_ctrl_c_in_the_reply_to_one_message_is_told_on_a_new_line(talk: Callable[..., Talk]) -> None:
    chat = talk("chat", "tell me all")
    chat.until("From the anc")
    chat.press("\x03")
    assert chat.rest().endswith("^C\nerror: Interrupted; what was stored before is kept.\n")
    assert chat.process.returncode == 130


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_turn_that_was_stored_when_ctrl_c_came_is_said_to_be(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = iter(["hello", "/forget", "/forget"])
    monkeypatch.setattr(chat_module, "_next_line", lambda *, on_terminal: next(lines, None))
    monkeypatch.setattr(Aspen, "_note_use", interrupt)
    result = cli("chat", terminal=True)
    assert result.code == 0
    assert (
        "Interrupted; your message and the reply are stored already, /forget takes them back." in result.err
    )
    assert "forgot your last message" in result.err
    assert "no turn to take back" in result.err
    assert cli("list", "--json").json["memories"] == []


def test_an_interrupted_reply_is_no_turn_to_take_back(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = iter(["first", "second", "/forget"])
    monkeypatch.setattr(chat_module, "_next_line", lambda *, on_terminal: next(lines, None))

    def say(prompt: str) -> str:
        if "second" in prompt:
            raise KeyboardInterrupt
        return "Understood."

    result = cli("chat", terminal=True, model=FakeModel(say=say))
    assert result.code == 0
    assert "no turn to take back" in result.err
    assert [memory["text"] for memory in cli("list", "--json").json["memories"]] == ["Understood.", "first"]


def test_ctrl_c_ends_a_conversation_from_a_pipe_on_a_new_line(cli: Cli) -> None:
    letters = iter("Fr")

    def say(prompt: str) -> str:
        if not next(letters, ""):
            raise KeyboardInterrupt
        return "From"

    result = cli("chat", stdin="first\nsecond\n", model=FakeModel(say=say))
    assert (result.code, result.out) == (130, "Fr\n")
    assert result.err.endswith("error: Interrupted; what was stored before is kept.\n")
