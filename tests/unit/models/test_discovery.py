"""Finding the GGUF files of other programs, whatever is in their folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.gguf_files import ollama_model, write_gguf

from aspen.config import ModelFolders
from aspen.errors import InvalidInput, ModelNotFound
from aspen.models import bundled, folders, ollama
from aspen.models.discovery import Discovery, FoundModel, find_models
from aspen.models.ollama import list_ollama, ollama_path

NOWHERE = ModelFolders()
DIGEST = "sha256:" + "0" * 64
MODEL_LAYER = "application/vnd.ollama.image.model"


@pytest.fixture(autouse=True)
def no_bundled_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "_PACKAGE", "no_such_package")


@pytest.fixture
def blob(tmp_path: Path) -> Path:
    return write_gguf(tmp_path / "aside" / "blob.gguf")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """A folder that nobody may look into; root may anyway."""
    folder.chmod(0)
    try:
        if os.access(folder, os.R_OK):
            pytest.skip("this user may read everything")
        yield
    finally:
        folder.chmod(0o700)


def names(found: Discovery) -> list[str]:
    return [model.name for model in found.models]


def test_each_program_and_folder(tmp_path: Path, blob: Path) -> None:
    ollama_model(tmp_path / "ollama", blob=blob)
    studio = write_gguf(tmp_path / "studio" / "maker" / "model" / "a.gguf", architecture="qwen3")
    cached = write_gguf(tmp_path / "llama" / "b.GGUF", architecture="bert")
    hub = write_gguf(tmp_path / "hub" / "models--x" / "blobs" / "0123")
    snapshot = tmp_path / "hub" / "models--x" / "snapshots" / "abc" / "c.gguf"
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(hub)
    again = tmp_path / "hub" / "models--x" / "snapshots" / "def" / "c.gguf"
    again.parent.mkdir()
    again.symlink_to(hub)
    own = write_gguf(tmp_path / "own" / "d.gguf")
    (tmp_path / "own" / "notes.txt").write_text("no model")
    places = ModelFolders(
        ollama=(tmp_path / "ollama",),
        lm_studio=(tmp_path / "studio", tmp_path / "none"),
        llama_cpp=(tmp_path / "llama",),
        hugging_face=(tmp_path / "hub",),
    )
    found = find_models([tmp_path / "own"], places=places)
    assert [(model.name, model.where, model.supported) for model in found.models] == [
        ("ollama:llama3.2:1b", "Ollama", True),
        (str(studio), "LM Studio", True),
        (str(cached), "llama.cpp", False),
        (str(snapshot), "Hugging Face", True),
        (str(own), "folder", True),
    ]
    first, second, third = found.models[:3]
    assert first == FoundModel(
        name="ollama:llama3.2:1b",
        path=ollama_path("llama3.2:1b", folders=places.ollama),
        where="Ollama",
        supported=True,
        architecture="llama",
        size=blob.stat().st_size,
        quantisation="Q4_K_M",
        context_length=512,
    )
    assert (second.architecture, third.why_not) == (
        "qwen3",
        "it makes embeddings of texts and generates none",
    )
    assert found.not_there == (tmp_path / "none",)
    assert len(found.looked_in) == 5
    assert found.problems == ()


def test_the_bundled_model_is_listed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    (model,) = find_models(places=NOWHERE).models
    assert (model.name, model.where, model.supported) == ("bundled", "Aspen", True)
    assert model.path == bundled.find_source()


def test_where_nothing_is(tmp_path: Path) -> None:
    found = find_models(places=ModelFolders(ollama=(tmp_path / "none",), lm_studio=(tmp_path,)))
    assert found == Discovery((), (tmp_path,), (tmp_path / "none",), ())


def test_a_broken_file_is_listed_and_hides_no_others(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"no gguf")
    (tmp_path / "b.gguf").mkdir()
    (tmp_path / "c.gguf").symlink_to(tmp_path / "none")
    os.mkfifo(tmp_path / "d.gguf")
    good = write_gguf(tmp_path / "e.gguf")
    found = find_models([tmp_path], places=NOWHERE)
    assert names(found) == [str(tmp_path / f"{letter}.gguf") for letter in "acde"]
    assert [model.supported for model in found.models] == [False, False, False, True]
    assert found.models[0].why_not == "it cannot be read as a GGUF file: it does not begin with GGUF"
    assert found.models[0].size is None
    assert found.models[-1].path == good


def test_a_file_may_be_named_and_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_gguf(tmp_path / "m" / "a.gguf")
    monkeypatch.chdir(tmp_path)
    assert names(find_models([path], places=NOWHERE)) == [str(path)]
    assert names(find_models([Path("m"), path], places=NOWHERE)) == [str(path)]


@pytest.mark.parametrize("name", ["none", "x" * 300])
def test_a_named_folder_has_to_be_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="There is no folder or file"):
        find_models([tmp_path / name], places=NOWHERE)


def test_links_in_a_circle_and_folders_without_end(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(folders.MAX_DEPTH):
        deep = deep / "d"
    at_the_end = write_gguf(deep / "a.gguf")
    write_gguf(deep / "e" / "b.gguf")
    (tmp_path / "d" / "circle").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    write_gguf(tmp_path / ".hidden" / "c.gguf")
    elsewhere = write_gguf(tmp_path.with_name(f"{tmp_path.name}-other") / "z.gguf")
    (tmp_path / "linked").symlink_to(elsewhere.parent)
    found = find_models([tmp_path], places=NOWHERE)
    assert names(found) == [str(at_the_end), str(tmp_path / "linked" / "z.gguf")]
    assert found.problems == (f"{deep} lies {folders.MAX_DEPTH} folders deep; those within it are left out.",)


def test_a_folder_with_too_many_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_ENTRIES", 3)
    for letter in "abcd":
        write_gguf(tmp_path / f"{letter}.gguf")
    found = find_models([tmp_path], places=NOWHERE)
    assert len(found.models) == 3
    assert found.problems == (f"{tmp_path} has more than 3 entries; the rest is left out.",)


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_gguf(tmp_path / "open" / "a.gguf")
    (tmp_path / "shut").mkdir()
    real = os.scandir

    def refuse(path: Any) -> Any:  # as root, tests can read every folder
        if Path(path).name in ("shut", "manifests"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_models([tmp_path], places=ModelFolders(ollama=(tmp_path / "ollama",)))
    assert len(found.models) == 1
    assert found.problems == (
        f"{tmp_path / 'ollama' / 'manifests'} cannot be read: Permission denied.",
        f"{tmp_path / 'shut'} cannot be read: Permission denied.",
    )


def test_a_folder_within_one_that_cannot_be_read(tmp_path: Path) -> None:
    inner = write_gguf(tmp_path / "shut" / "models" / "a.gguf").parent
    with locked(tmp_path / "shut"):
        found = find_models([inner], places=ModelFolders(ollama=(inner,), lm_studio=(inner,)))
        assert found.models == ()
        assert len(found.problems) == 2


def test_later_parts_are_not_listed_beside_the_first(tmp_path: Path) -> None:
    for number in range(2):
        write_gguf(
            tmp_path / f"m-0000{number + 1}-of-00002.gguf", keys={"split.no": number, "split.count": 2}
        )
    (model,) = find_models([tmp_path], places=NOWHERE).models
    assert model.supported
    assert model.size == sum(path.stat().st_size for path in tmp_path.iterdir())
    (tmp_path / "m-00001-of-00002.gguf").unlink()
    (model,) = find_models([tmp_path], places=NOWHERE).models
    assert model.why_not == "it is cut into 2 files, and m-00001-of-00002.gguf is not beside this one"


@pytest.mark.parametrize(
    ("manifest", "name", "short"),
    [
        ("registry.ollama.ai/library/llama3.2/latest", "llama3.2", "ollama:llama3.2:latest"),
        ("registry.ollama.ai/library/llama3.2/1b", "ollama:llama3.2:1b", "ollama:llama3.2:1b"),
        ("registry.ollama.ai/ann/m/q4", "ann/m:q4", "ollama:ann/m:q4"),
        (
            "hf.co/maker/Model-GGUF/Q4_K_M",
            "hf.co/maker/Model-GGUF:Q4_K_M",
            "ollama:hf.co/maker/Model-GGUF:Q4_K_M",
        ),
    ],
)
def test_names_of_ollama(tmp_path: Path, blob: Path, manifest: str, name: str, short: str) -> None:
    path = ollama_model(tmp_path / "o", name=manifest, blob=blob)
    places = [tmp_path / "none", tmp_path / "o"]
    assert ollama_path(name, folders=places) == path
    assert ollama_path(short, folders=places) == path
    assert [model.name for model in list_ollama(places)] == [short]


def test_a_name_that_ollama_has_not_is_told_with_those_it_has(tmp_path: Path, blob: Path) -> None:
    ollama_model(tmp_path, blob=blob)
    with pytest.raises(ModelNotFound, match=r"no model 'llama3\.2' here") as caught:
        ollama_path("ollama:llama3.2", folders=[tmp_path])
    assert caught.value.hint == "It has ollama:llama3.2:1b."
    for number in range(12):
        ollama_model(tmp_path, blob=blob, name=f"registry.ollama.ai/library/m/{number}")
    with pytest.raises(ModelNotFound) as caught:
        ollama_path("ollama:llama3.2", folders=[tmp_path])
    assert caught.value.hint.endswith("and 3 more.")
    with pytest.raises(ModelNotFound) as caught:
        ollama_path("ollama:llama3.2", folders=[tmp_path / "none"])
    assert str(tmp_path / "none") in caught.value.hint


@pytest.mark.parametrize(
    "name", ["", "ollama:", "../../x", "a/b/c/d", "a:..", "..:a", "a/../b", "a\0b", "x" * 300, "a:"]
)
def test_what_is_no_name_of_ollama(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelNotFound, match="is no name of a model"):
        ollama_path(name, folders=[tmp_path])


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        (b"", "damaged"),
        (b"\xff\xfe", "damaged"),
        (b"[" * 100_000, "damaged"),
        (b"[]", "damaged"),
        (b'{"layers": 7}', "damaged"),
        (b'{"layers": [7]}', "damaged"),
        (b'{"layers": [{"mediaType": ["x"]}]}', "no GGUF file here"),
        (b'{"layers": []}', "no GGUF file here"),
        (b'{"x": "' + b"y" * 2**20 + b'"}', "more than 1,048,576 bytes"),
        (f'{{"layers": [{{"mediaType": "{MODEL_LAYER}"}}]}}'.encode(), "damaged"),
        (
            f'{{"layers": [{{"mediaType": "{MODEL_LAYER}", "digest": "sha256:/../../x"}}]}}'.encode(),
            "damaged",
        ),
        (f'{{"layers": [{{"mediaType": "{MODEL_LAYER}", "digest": "{DIGEST}\\n"}}]}}'.encode(), "damaged"),
        (f'{{"layers": [{{"mediaType": "{MODEL_LAYER}", "digest": "{DIGEST}"}}]}}'.encode(), "is not there"),
    ],
)
def test_hostile_manifests_are_listed_with_the_reason(
    tmp_path: Path, blob: Path, manifest: bytes, says: str
) -> None:
    ollama_model(tmp_path, blob=blob, name="registry.ollama.ai/library/good/1")
    ollama_model(tmp_path, manifest=manifest)
    found = find_models(places=ModelFolders(ollama=(tmp_path,)))
    assert names(found) == ["ollama:good:1", "ollama:llama3.2:1b"]
    assert [model.supported for model in found.models] == [True, False]
    assert says in found.models[1].why_not
    with pytest.raises(ModelNotFound, match=says):
        ollama_path("llama3.2:1b", folders=[tmp_path])


def test_a_blob_that_leads_elsewhere_is_not_followed(tmp_path: Path, blob: Path) -> None:
    path = ollama_model(tmp_path / "o", blob=blob)
    path.unlink()
    path.symlink_to(blob)
    with pytest.raises(ModelNotFound, match="leads out of Ollama's folder"):
        ollama_path("llama3.2:1b", folders=[tmp_path / "o"])


def test_models_of_ollama_with_more_than_one_file(tmp_path: Path, blob: Path) -> None:
    adapter = {"mediaType": "application/vnd.ollama.image.adapter", "digest": DIGEST}
    ollama_model(tmp_path, blob=blob, name="registry.ollama.ai/library/a/1", layers=[adapter])
    ollama_model(
        tmp_path, blob=blob, name="registry.ollama.ai/library/b/1", layers=[{"mediaType": MODEL_LAYER}]
    )
    assert [model.problem for model in list_ollama([tmp_path])] == [
        "it has an adapter (LoRA) on top, which Aspen does not use",
        "it is cut into several files",
    ]


def test_too_many_manifests_and_links_among_them(
    tmp_path: Path, blob: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        ollama_model(tmp_path, blob=blob, name=f"registry.ollama.ai/library/m/{number}")
    (tmp_path / "manifests" / "registry.ollama.ai" / "library" / "loop").symlink_to(tmp_path / "manifests")
    assert len(list_ollama([tmp_path])) == 4
    monkeypatch.setattr(ollama, "MAX_MANIFESTS", 2)
    told: list[str] = []
    assert len(list_ollama([tmp_path], problem=told.append)) == 2
    assert told == [f"{tmp_path / 'manifests'} has more than 2 manifests; the rest is left out."]
