"""Runs every code block and every command of the documentation: `pytest README.md docs`."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser
from tests.forked import run_aspen

ROOT = Path(__file__).parent


def run_console(example: Example) -> None:
    """Run each line behind a `$`, with the commands of this environment; the exit code must be 0.

    Make targets are not run, which would run this test again, but they must exist. What `curl` asks of a block, it asks
    of one server that runs meanwhile, and must be answered.
    """
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    lines = [line[2:] for line in str(example.parsed).splitlines() if line.startswith("$ ")]
    commands = [line.split("  #")[0].strip() for line in lines]
    asked = [command for command in commands if command.startswith("curl ")]
    if asked and shutil.which("curl") is None:
        pytest.skip("curl is not installed: apt-get install curl")
    for command in commands:
        if command.startswith("make "):
            command = f"make --dry-run -C {ROOT} {command[5:]}"  # noqa: PLW2901 - what is run in its place
        if command not in asked:
            _check(command, _run(command, environment))
    if asked:
        _check("aspen serve", _served(["aspen", "serve"], environment, asked=asked))


def _check(command: str, done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        raise AssertionError(f"`{command}` exited with {done.returncode}:\n{done.stdout}{done.stderr}")


def _run(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What a person would type, in a shell; the program alone comes from a process that has imported it already."""
    if command.split()[:2] in (["aspen", "serve"], ["aspen", "view"]) and "--help" not in command:
        return _served(shlex.split(command), environment)
    if command.startswith("aspen ") and not set(command) & set("|&;<>$`"):
        return run_aspen(shlex.split(command)[1:], environment=environment)
    return subprocess.run(  # noqa: S602 - the documentation's own commands
        command,
        shell=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def _served(
    command: list[str], environment: dict[str, str], *, asked: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """A server that ran until it had answered, also what is `asked`, and was then told to end.

    One at a time: all take the same port.
    """
    no_window = {**environment, "BROWSER": "true"}
    with (
        FileLock(Path(tempfile.gettempdir()) / "aspen-docs-server.lock"),
        subprocess.Popen(  # noqa: S603 - the documentation's own commands
            command, env=no_window, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as server,
    ):
        address = next(iter(server.stdout or ()), "").strip()
        try:
            if address.startswith("http"):
                urllib.request.urlopen(address).close()  # noqa: S310 - http, as was just looked at
            for question in asked:
                _check(question, _run(question.replace("curl ", "curl --fail-with-body ", 1), environment))
        finally:
            server.send_signal(signal.SIGINT)
            told, _ = server.communicate(timeout=120)
    return subprocess.CompletedProcess(command, server.returncode, f"{address}\n{told}", "")


class _Folder:
    """A fresh working folder and store for each document, so that its blocks can build on each other."""

    def __enter__(self) -> None:
        self._before = Path.cwd(), os.environ.get("ASPEN_STORE")
        self._path = tempfile.mkdtemp(prefix="aspen-docs-")
        os.chdir(self._path)
        os.environ["ASPEN_STORE"] = str(Path(self._path) / "store.db")

    def __exit__(self, *_: object) -> None:
        folder, store = self._before
        os.chdir(folder)
        os.environ.pop("ASPEN_STORE", None)
        if store is not None:
            os.environ["ASPEN_STORE"] = store
        shutil.rmtree(self._path)


def _enter(namespace: dict[str, Any]) -> None:
    namespace["_folder"] = folder = _Folder()
    folder.__enter__()


def _leave(namespace: dict[str, Any]) -> None:
    namespace["_folder"].__exit__()


pytest_collect_file = Sybil(
    parsers=[
        PythonCodeBlockParser(),
        CodeBlockParser(language="console", evaluator=run_console),
        SkipParser(),
    ],
    patterns=["README.md", "docs/*.md", "docs/**/*.md"],
    setup=_enter,
    teardown=_leave,
).pytest()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The documentation uses the bundled model."""
    for item in items:
        if item.path.suffix == ".md":
            item.add_marker(pytest.mark.slow)
