"""Small GGUF files for tests: whole ones by the gguf package, broken ones by hand."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter

LAYERS = 2
WIDTH = 64
HEADS = 4
TOKENS = 300


def write_gguf(
    path: Path,
    *,
    architecture: str = "llama",
    keys: Mapping[str, Any] | None = None,
    without: Iterable[str] = (),
    tensors: bool = True,
) -> Path:
    """A file with the keys of a small model and a few tensors of zeros. In `keys`, and in `without`, "{arch}" stands
    for the architecture.
    """
    values: dict[str, Any] = {
        "general.name": "tiny",
        "general.file_type": 15,
        "{arch}.context_length": 512,
        "{arch}.block_count": LAYERS,
        "{arch}.embedding_length": WIDTH,
        "{arch}.attention.head_count": HEADS,
        "{arch}.attention.head_count_kv": 2,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": [f"token {number}" for number in range(TOKENS)],
        "tokenizer.ggml.scores": [0.0] * TOKENS * 2,  # longer than what is kept
        "tokenizer.chat_template": "{{ messages }}",
        **(keys or {}),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = GGUFWriter(path, architecture)
    for key, value in values.items():
        if key not in without:
            _add(writer, key.replace("{arch}", architecture), value)
    if tensors:
        writer.add_tensor("token_embd.weight", np.zeros((TOKENS, WIDTH), dtype=np.float16))
        writer.add_tensor("output_norm.weight", np.zeros(WIDTH, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer: GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def key(name: str, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


def tensor(name: str = "t", *, shape: Iterable[int] = (32,), kind: int = 0, offset: int = 0) -> bytes:
    numbers = list(shape)
    dimensions = struct.pack(f"<I{len(numbers)}Q", len(numbers), *numbers)
    return text(name) + dimensions + struct.pack("<IQ", kind, offset)


def by_hand(
    *entries: bytes,
    version: int = 3,
    tensors: Iterable[bytes] = (),
    n_keys: int | None = None,
    n_tensors: int | None = None,
    data: bytes = b"",
) -> bytes:
    """The bytes of a file, with whatever counts."""
    listed = list(tensors)
    counts = (
        len(listed) if n_tensors is None else n_tensors,
        len(entries) if n_keys is None else n_keys,
    )
    head = b"GGUF" + struct.pack("<IQQ", version, *counts) + b"".join([*entries, *listed])
    return head + b"\0" * (-len(head) % 32) + data


def ollama_model(
    folder: Path,
    *,
    name: str = "registry.ollama.ai/library/llama3.2/1b",
    blob: Path | None = None,
    manifest: bytes | None = None,
    layers: Iterable[Mapping[str, Any]] = (),
) -> Path:
    """A model as Ollama keeps it; where its GGUF file lies, which is `blob`'s content."""
    content = blob.read_bytes() if blob else b""
    digest = hashlib.sha256(content).hexdigest()
    path = folder / "blobs" / f"sha256-{digest}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if blob:
        path.write_bytes(content)
    model = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}"}
    listed = [{"mediaType": "application/vnd.ollama.image.template"}, model, *layers]
    place = folder / "manifests" / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(json.dumps({"layers": listed}).encode() if manifest is None else manifest)
    return path
