from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.cli_run import Cli

from aspen import __version__
from aspen.cli._program import app
from aspen.config import Config

ROOT: Any = typer.main.get_command(app)


def commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Commands and groups by what a person types for them, such as "bench recall"."""
    for name, command in sorted(group.commands.items()):
        yield f"{before}{name}", command
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")


COMMANDS = dict(commands(ROOT))


def options() -> Iterator[Any]:
    for name, command in COMMANDS.items():
        for parameter in command.params:
            yield pytest.param(parameter, id=f"{name}-{parameter.name}")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_and_shows_an_example(cli: Cli, name: str) -> None:
    command = COMMANDS[name]
    result = cli(*name.split(), "--help")
    assert result.code == 0
    assert len(command.help.splitlines()[0]) > 20
    assert f"\n    aspen {name}" in result.out
    assert "\x1b" not in result.out
    documents_json = "With --json" in result.out
    assert documents_json == ("--json" in {opt for p in command.params for opt in p.opts})


@pytest.mark.parametrize("parameter", list(options()))
def test_every_option_says_what_it_does(parameter: Any) -> None:
    assert parameter.help
    assert parameter.help.endswith(".")


@pytest.mark.parametrize(
    "name",
    [
        "amend",
        "correct",
        "forget",
        "history",
        "map",
        "merge",
        "reinforce",
        "relate",
        "relations",
        "replay",
        "restore",
        "show",
        "spread",
    ],
)
def test_where_a_beginning_stands_for_an_id_the_help_says_so(name: str) -> None:
    told = [parameter.help for parameter in COMMANDS[name].params if parameter.param_type_name == "argument"]
    ids = [text for text in told if text.startswith("Id")]
    assert ids
    assert [text for text in ids if "beginning" not in text] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_usage_and_defaults_read_plainly(cli: Cli, name: str) -> None:
    text = cli(*name.split(), "--help").out
    usage = text.splitlines()[0]
    assert not set("{}") & set(usage)
    assert "......" not in usage
    assert "default: (" not in text


def test_the_help_names_the_store_that_commands_use_when_none_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ASPEN_STORE")
    (option,) = (parameter for parameter in ROOT.commands["list"].params if parameter.name == "store")
    named = option.help.removesuffix(".").partition("Default: $ASPEN_STORE, or ")[2]
    assert Path(named).expanduser() == Config.from_environment().store


def test_the_program_says_what_it_is_and_lists_its_exit_codes(cli: Cli) -> None:
    result = cli()
    assert result.code == 0
    assert result.out == cli("--help").out
    for line in ("  0  done", "  7  `replay` could not verify the trace", "  130  interrupted"):
        assert line in result.out
    assert "...\n" not in result.out.partition("Commands:")[2]  # no first sentence is cut
    assert cli("--version").out == f"aspen {__version__}\n"


def test_help_needs_no_tensor_library() -> None:
    program = "import sys; from aspen.cli.main import main; main(['--help']); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.endswith("False\n")
