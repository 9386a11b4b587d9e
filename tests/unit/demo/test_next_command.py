"""What the demo ends with: the command that goes on with its store."""

from __future__ import annotations

from pathlib import Path

import pytest

from aspen import Config
from aspen.demo.playing import next_command


@pytest.mark.parametrize(
    ("runtime", "model", "command"),
    [
        (None, None, "aspen chat --store m.db"),
        ("transformers", None, "ASPEN_RUNTIME=transformers aspen chat --store m.db"),
        # The demo takes the bundled model all the same.
        (None, "my-folder", "aspen chat --store m.db --model bundled"),
    ],
)
def test_the_next_command_takes_the_model_that_made_the_store(
    runtime: str | None, model: str | None, command: str, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASPEN_MODEL", model or "")
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    config = Config(cache_dir=cache_dir, store=Path("m.db"), runtime=runtime)
    assert next_command(Path("m.db"), config) == command
