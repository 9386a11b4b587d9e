"""Commands that messages tell a person to type."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aspen import Aspen, Config
from aspen.cli.main import main
from aspen.errors import ModelMismatch
from aspen.front_door import base
from aspen.front_door.commands import command
from aspen.testing.fake_model import FakeModel


@pytest.fixture(autouse=True)
def environment(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ASPEN_MODEL", "ASPEN_RUNTIME", "ASPEN_DEVICE", "ASPEN_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ASPEN_CACHE", str(cache_dir))


def load_by_name(spec: str, **_: Any) -> FakeModel:
    """A model for each name."""
    return FakeModel(seed=len(spec))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of the default model."""
    monkeypatch.setattr(base, "load_model", load_by_name)
    path = tmp_path / "k.db"
    assert main(["remember", "Mara moved to Lisbon", "--store", str(path)]) == 0
    return path


def test_what_is_taken_anyway_is_left_out(monkeypatch: pytest.MonkeyPatch, cache_dir: Path) -> None:
    config = Config(cache_dir=cache_dir, store="memory.db")
    other = replace(config, model="my models/a.gguf", runtime="transformers")
    assert command("rekey", store="a b.db", config=config) == "aspen rekey --store 'a b.db'"
    assert command("chat", config=other) == (
        "ASPEN_RUNTIME=transformers aspen chat --model 'my models/a.gguf'"
    )
    monkeypatch.setenv("ASPEN_MODEL", "my-folder")
    assert command("rekey", config=config) == "aspen rekey --model bundled"
    monkeypatch.setenv("ASPEN_THREADS", "none")  # then nothing is known of what is taken anyway
    assert command("rekey", config=config) == "aspen rekey --model bundled"


@pytest.mark.parametrize("runtime", [None, "transformers"])
def test_the_rekey_that_an_error_names_mends_it(
    store: Path, runtime: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        if runtime:
            patch.setenv("ASPEN_RUNTIME", runtime)
        chat = ["chat", "hi", "--store", str(store), "--model", "models/my folder"]
        assert main(chat) == 5
    said = " ".join(capsys.readouterr().err.split())
    rekey = said.split("Make the keys anew (`")[1].split("`")[0]
    words = shlex.split(rekey)
    if runtime:
        assert words.pop(0) == f"ASPEN_RUNTIME={runtime}"
    assert words == ["aspen", "rekey", "--store", str(store), "--model", "models/my folder"]
    assert main(words[1:]) == 0
    assert main(["remember", "The cat is called Biscuit", *chat[2:]]) == 0


def test_a_model_named_in_python_is_named_and_a_loaded_one_cannot_be(store: Path, cache_dir: Path) -> None:
    config = Config(cache_dir=cache_dir, store=store)
    with (
        Aspen.open(store, model="my-folder", config=config) as aspen,
        pytest.raises(ModelMismatch, match=r"`aspen rekey --store .*k\.db --model my-folder`"),
    ):
        aspen.remember("no")
    with (
        Aspen.open(store, model=FakeModel(seed=1), config=config) as aspen,
        pytest.raises(ModelMismatch, match=r"`Aspen\.rekey`"),
    ):
        aspen.remember("no")
