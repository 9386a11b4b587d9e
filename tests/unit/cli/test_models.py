from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli_run import Cli
from tests.gguf_files import ollama_model, write_gguf

from aspen.models import bundled


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, where no program has been yet."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("OLLAMA_MODELS", "LLAMA_CACHE", "HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "ollama"))
    return tmp_path


def test_the_models_that_are_there_with_how_to_use_one(cli: Cli, home: Path) -> None:
    blob = write_gguf(home / "aside")
    ollama_model(home / "ollama", blob=blob)
    studio = write_gguf(home / ".lmstudio" / "models" / "maker" / "m.gguf", architecture="mamba")
    own = write_gguf(home / "my models" / "m.gguf")
    result = cli("models", str(home / "my models"))
    columns, *rows = result.rows
    assert columns == [
        "architecture",
        "quantisation",
        "size",
        "context",
        "usable",
        "name",
        "where",
        "why_not",
    ]
    assert [(row[4], row[5], row[6]) for row in rows] == [
        ("yes", "bundled", "Aspen"),
        ("yes", "ollama:llama3.2:1b", "Ollama"),
        ("no", str(studio), "LM Studio"),
        ("yes", str(own), "folder"),
    ]
    assert rows[0][:4] == ["llama", "Q4_1", "98.4 MB", "8,192"]
    assert "recurrent" in rows[2][7]
    assert result.err == f"use one: aspen chat --model '{own}'\n"


def test_on_a_terminal_the_reason_stands_below_the_name(cli: Cli, home: Path) -> None:
    write_gguf(home / ".cache" / "llama.cpp" / "m.gguf", architecture="mamba")
    plain = cli("models", terminal=True).plain
    assert "usable" in plain
    assert "recurrent" in plain
    assert "llama.cpp" in plain


def test_as_json(cli: Cli, home: Path) -> None:
    path = write_gguf(home / ".cache" / "huggingface" / "hub" / "models--x" / "m.gguf")
    (home / "broken.gguf").write_bytes(b"GGUF")
    document = cli("models", str(home / "broken.gguf"), "--json").json
    assert set(document) == {"models", "looked_in", "not_there", "problems"}
    bundle, model, broken = document["models"]
    assert bundle["name"] == "bundled"
    assert model == {
        "name": str(path),
        "path": str(path),
        "where": "Hugging Face",
        "supported": True,
        "why_not": "",
        "architecture": "llama",
        "size": path.stat().st_size,
        "quantisation": "Q4_K_M",
        "context_length": 512,
    }
    assert (broken["supported"], broken["size"]) == (False, None)
    assert broken["why_not"].startswith("it is cut")
    assert str(home / "ollama") in document["not_there"]


def test_where_nothing_is_it_says_where_was_looked_and_what_to_do(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundled, "_PACKAGE", "no_such_package")
    result = cli("models")
    assert (result.code, result.out) == (0, "")
    for folder in (".lmstudio/models", ".cache/llama.cpp", ".cache/huggingface/hub", "ollama"):
        assert str(home / folder) in result.err
    assert "aspen models FOLDER" in result.err
    assert "use one" not in result.err


def test_a_folder_that_is_not_there_is_refused(cli: Cli, home: Path) -> None:
    result = cli("models", str(home / "none"))
    assert result.code == 2
    assert "There is no folder or file" in result.err


def test_names_cannot_drive_the_terminal(cli: Cli, home: Path) -> None:
    write_gguf(home / "m" / "\x1b[31mred.gguf", architecture="x\x1b[2J")
    result = cli("models", str(home / "m"))
    assert "\x1b" not in result.out + result.err
