"""Which GGUF models can be run, and the reasons why others cannot."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.gguf_files import by_hand, key, tensor, text, write_gguf

from aspen.models.bundled import find_source
from aspen.models.gguf_header import read_header
from aspen.models.gguf_support import REASONS, SUPPORTED, why_not


def reason(path: Path, **options: Any) -> str | None:
    return why_not(read_header(write_gguf(path / "m.gguf", **options)))


def test_the_bundled_model_is_supported() -> None:
    assert why_not(read_header(find_source())) is None


@pytest.mark.parametrize("architecture", ["llama", "qwen3", "gemma3", "phi3", "smollm3", "gpt2"])
def test_ordinary_decoders_are_supported(tmp_path: Path, architecture: str) -> None:
    assert reason(tmp_path, architecture=architecture) is None


def test_experts_are_supported(tmp_path: Path) -> None:
    keys = {"{arch}.expert_count": 8, "{arch}.expert_used_count": 2}
    assert reason(tmp_path, architecture="qwen3moe", keys=keys) is None
    assert reason(tmp_path, keys=keys) is None
    assert reason(tmp_path, architecture="qwen3moe") == "it uses 0 of 0 experts"


def test_no_architecture_is_in_both_tables() -> None:
    assert SUPPORTED.isdisjoint(REASONS)


@pytest.mark.parametrize(
    ("architecture", "says"),
    [
        ("bert", "embeddings"),
        ("nomic-bert", "embeddings"),
        ("t5", "encoder"),
        ("mamba", "recurrent"),
        ("lfm2", "recurrent"),
        ("deepseek2", "latent"),
        ("clip", "mmproj"),
        ("mpt", "ALiBi"),
        ("gemma3n", "residual streams"),
        ("qwen2vl", "images"),
        ("gpt-oss", "sinks"),
        ("eagle3", "draft"),
        ("of-the-future", "does not know the architecture 'of-the-future'"),
    ],
)
def test_other_architectures_are_refused_with_the_reason(
    tmp_path: Path, architecture: str, says: str
) -> None:
    assert says in (reason(tmp_path, architecture=architecture) or "")


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"general.type": "adapter"}, "LoRA"),
        ({"general.type": "mmproj"}, "mmproj"),
        ({"general.type": "imatrix"}, "importance matrix"),
        ({"{arch}.attention.causal": False}, "embeddings"),
        ({"{arch}.pooling_type": 3}, "embeddings"),
        ({"{arch}.block_count": 0}, "llama.block_count is 0, not from 1 to 512"),
        ({"{arch}.block_count": 2**32 - 1}, "4,294,967,295"),
        ({"{arch}.attention.head_count": 0}, "head_count is 0"),
        ({"{arch}.attention.head_count": [4, 8]}, "different numbers of heads"),
        ({"{arch}.attention.head_count_kv": [0, 2]}, "head_count_kv is 0"),
        ({"{arch}.attention.key_length": 2**31}, "key_length is 2,147,483,648"),
        ({"{arch}.expert_count": 8}, "0 of 8 experts"),
        ({"{arch}.expert_count": 8, "{arch}.expert_used_count": 9}, "9 of 8 experts"),
        ({"tokenizer.ggml.model": "none"}, "no vocabulary"),
        ({"{arch}.rope.dimension_sections": [16, 24, 24, 0]}, "several axes"),
        ({"{arch}.attention.max_alibi_bias": 8.0}, "ALiBi"),
        ({"{arch}.attention.temperature_scale": 0.1}, "by their position"),
        ({"{arch}.deepstack_mapping": [0, 1]}, "residual streams"),
    ],
)
def test_keys_that_make_something_else_of_it(tmp_path: Path, keys: dict[str, Any], says: str) -> None:
    assert says in (reason(tmp_path, keys=keys) or "")


def test_sections_that_stand_for_one_axis_are_no_reason(tmp_path: Path) -> None:
    assert reason(tmp_path, keys={"{arch}.rope.dimension_sections": [64, 0, 0, 0]}) is None


@pytest.mark.parametrize(
    "missing",
    ["{arch}.block_count", "{arch}.embedding_length", "{arch}.attention.head_count", "{arch}.context_length"],
)
def test_missing_keys_are_named(tmp_path: Path, missing: str) -> None:
    name = missing.replace("{arch}", "llama")
    assert reason(tmp_path, without=[missing]) == f"the key {name} is missing"


def test_a_file_without_vocabulary_or_weights(tmp_path: Path) -> None:
    assert reason(tmp_path, without=["tokenizer.ggml.tokens"]) == "it has no vocabulary"
    assert reason(tmp_path, tensors=False) == "it has a vocabulary and no weights"
    path = tmp_path / "m.gguf"
    path.write_bytes(by_hand())
    assert why_not(read_header(path)) == "it names no architecture"


def test_a_file_with_the_images_part_inside(tmp_path: Path) -> None:
    header = read_header(write_gguf(tmp_path / "m.gguf"))
    images = replace(header.tensors[0], name="v.blk.0.attn_q.weight")
    assert "the images' part as well" in (why_not(replace(header, tensors=(*header.tensors, images))) or "")


def test_cut_files_and_types_of_the_past(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    os.truncate(path, path.stat().st_size - 500)
    assert "bytes are missing at its end" in (why_not(read_header(path)) or "")
    header = read_header(write_gguf(tmp_path / "whole.gguf"))
    path.write_bytes(by_hand(key("a", 8, text("b")), tensors=[tensor("old", kind=31)]))
    old = read_header(path).tensors
    assert old[0].bytes is None
    mixed = type(header)(
        path=header.path,
        size=header.size,
        version=3,
        metadata=header.metadata,
        tensors=old,
        data_offset=0,
        missing=0,
    )
    assert "(31) that llama.cpp does not read any more" in (why_not(mixed) or "")


def part(folder: Path, number: int, *, count: int = 3) -> Path:
    """A later part of a model, which has tensors and next to no keys."""
    path = folder / f"m-{number:05}-of-{count:05}.gguf"
    two = [(b"split.no", number - 1), (b"split.count", count)]
    entries = [key(name.decode(), 2, value.to_bytes(2, "little")) for name, value in two]
    path.write_bytes(by_hand(*entries, tensors=[tensor(f"t{number}")], data=bytes(128)))
    return path


def test_a_model_in_several_files_needs_all_of_them(tmp_path: Path) -> None:
    split = {"split.no": 0, "split.count": 3}
    first = write_gguf(tmp_path / "m-00001-of-00003.gguf", keys=split)
    second = part(tmp_path, 2)
    said = why_not(read_header(first))
    assert said == "it is cut into 3 files, and m-00003-of-00003.gguf is not beside this one"
    third = part(tmp_path, 3)
    assert why_not(read_header(first)) is None
    assert why_not(read_header(second)) == f"it is part 2 of 3: name {first.name} instead"
    os.truncate(third, third.stat().st_size - 60)
    assert why_not(read_header(first)) == f"{third.name} is cut: 60 bytes are missing at its end"
    third.write_bytes(b"no gguf at all")
    assert third.name in (why_not(read_header(first)) or "")
    second.unlink()
    third.unlink()
    assert "m-00002-of-00003.gguf and 1 more" in (why_not(read_header(first)) or "")
    renamed = first.rename(tmp_path / "other.gguf")
    assert "is not named NAME-00001-of-00003.gguf" in (why_not(read_header(renamed)) or "")
    endless = write_gguf(tmp_path / "e-00001-of-99999.gguf", keys={"split.count": 99_999})
    assert why_not(read_header(endless)) == "it says that it is cut into 99,999 files"
