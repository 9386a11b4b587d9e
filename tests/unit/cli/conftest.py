from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from tests.cli_run import Cli, Result, Terminal

from aspen.cli.main import main
from aspen.models import LanguageModel
from aspen.testing.fake_model import FakeModel


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASPEN_STORE", str(tmp_path / "data" / "memory.db"))
    monkeypatch.setenv("ASPEN_CACHE", str(cache_dir))
    for name in ("ASPEN_MODEL", "ASPEN_RUNTIME", "ASPEN_DEVICE", "ASPEN_THREADS", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command in this process, on a store of the test's own, with a fake model."""

    def run(
        *arguments: str, stdin: str = "", terminal: bool = False, model: LanguageModel | None = None
    ) -> Result:
        kind = Terminal if terminal else io.StringIO
        out, err = kind(), kind()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", kind(stdin))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            code = main(arguments, model=model or FakeModel(say=lambda prompt: "Understood."))
        return Result(code, out.getvalue(), err.getvalue())

    return run
