"""Ctrl-C in the first moment of a command, while modules are imported."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

START = """
import importlib.abc, os, runpy, signal, sys

module, how, *arguments = sys.argv[1:]
signal.signal(signal.SIGINT, getattr(signal, how))

class CtrlC(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, CtrlC())
sys.argv = ["aspen", *arguments]
runpy.run_module("aspen.cli", run_name="__main__")
"""
"""The program, where the import of a module presses Ctrl-C."""
LINE = "error: Interrupted; what was stored before is kept.\n"


def start(*arguments: str, at: str, how: str = "default_int_handler") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", START, at, how, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)


@pytest.mark.parametrize("module", ["aspen.cli._program", "aspen.cli.chat", "rich.console"])
def test_ctrl_c_during_an_import_is_one_line_and_130(module: str) -> None:
    done = start("--version", at=module)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", LINE)


def test_with_json_the_line_is_json() -> None:
    done = start("list", "--json", at="aspen.cli.chat")
    assert (done.returncode, done.stdout) == (130, "")
    assert json.loads(done.stderr)["error"] == "Interrupted"


def test_where_sigint_is_ignored_the_program_goes_on() -> None:
    done = start("--version", at="aspen.cli.chat", how="SIG_IGN")
    assert done.returncode == 0
    assert done.stdout.startswith("aspen ")


def test_behind_the_imports_ctrl_c_raises_again(monkeypatch: pytest.MonkeyPatch) -> None:
    from aspen.cli.main import main  # noqa: PLC0415

    monkeypatch.setattr(sys, "argv", ["aspen", "--version"])
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main() == 0
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
