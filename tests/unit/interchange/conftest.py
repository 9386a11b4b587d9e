from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aspen import Aspen, Config
from aspen.testing.fake_model import FakeModel


@pytest.fixture
def open_store(tmp_path: Path, cache_dir: Path) -> Iterator[Callable[[str], Aspen]]:
    opened = []

    def open_store(name: str) -> Aspen:
        config = Config(cache_dir=cache_dir, store=tmp_path / name)
        opened.append(Aspen.open(tmp_path / name, model=FakeModel(), config=config))
        return opened[-1]

    yield open_store
    for aspen in opened:
        aspen.close()


@pytest.fixture
def aspen(open_store: Callable[[str], Aspen]) -> Aspen:
    return open_store("memory.db")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
