"""What the demo ends with: the command that goes on with its store."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from aspen import Config
from aspen.demo import screens
from aspen.demo.overhead import Speed
from aspen.repository import InMemoryRepository


@pytest.mark.parametrize(
    ("runtime", "model", "before", "behind"),
    [
        (None, None, "", ""),
        ("transformers", None, "ASPEN_RUNTIME=transformers ", ""),
        (None, "my-folder", "", " --model bundled"),  # the demo takes the bundled model all the same
    ],
)
def test_the_next_command_takes_the_model_that_made_the_store(
    runtime: str | None,
    model: str | None,
    before: str,
    behind: str,
    cache_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ASPEN_MODEL", model or "")
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    store = Path("m.db")
    config = Config(cache_dir=cache_dir, store=store, runtime=runtime)
    canvas = Console(file=StringIO(), width=200)
    stats = InMemoryRepository().stats()
    canvas.print(screens.last(stats, Speed(on=1.0, off=1.0), store=store, config=config, n_layers=1))
    assert isinstance(canvas.file, StringIO)
    assert f" {before}aspen chat --store m.db{behind} " in canvas.file.getvalue()
