"""What a GGUF file says about the model in it, without loading it. Needs nothing but the standard library.

Nothing that the file says is believed: every count, length and offset is held against the size of the file and against
a limit before anything is read or allocated, so that a hostile file costs a second and a few megabytes at most.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from math import prod
from pathlib import Path
from struct import Struct

from aspen.errors import ModelNotFound
from aspen.models.gguf_reader import GGUFReader
from aspen.models.gguf_types import FILE_TYPES, GUESSED, TENSOR_TYPES

MAX_ENTRIES = 1 << 16
"""Most keys, and most tensors; large models have a hundred keys and a few thousand tensors."""
MAX_NAME = 1 << 10
"""Longest key, or name of a tensor, in bytes; ggml's own tensors have 63 at most."""
MAX_TEXT = 1 << 20
"""Longest text that is kept, in bytes: chat templates have up to 100,000. Longer ones are passed over."""
MAX_KEPT = 1 << 23
"""Most bytes of text that are kept in all."""
MAX_ELEMENTS = 1 << 22
"""Most texts in the arrays of a file, which have to be passed over one by one; large vocabularies have a million."""
MAX_SHORT_ARRAY = 512
"""Longest array of numbers that is kept: one number a layer."""
MAX_BYTES = 1 << 50
"""Largest tensor or offset that is taken for one, in bytes."""
MAX_PARTS = 1000
"""Most parts of a model that is cut into several files."""

PART = re.compile(r"(?P<stem>.+)-\d{5}-of-(?P<count>\d{5})\.gguf")
"""Names of the files of a model that is cut into several."""

_MAGIC = b"GGUF"
_U32, _U64 = Struct("<I"), Struct("<Q")
_NUMBERS = {number: Struct(f"<{code}") for number, code in enumerate("BbHhIif?")} | {
    10: _U64,
    11: Struct("<q"),
    12: Struct("<d"),
}
_TEXT, _ARRAY = 8, 9


@dataclass(frozen=True, slots=True)
class PassedOver:
    """What stands for a text or an array that was not kept: its length, in bytes or elements."""

    length: int


MetadataValue = str | int | float | bool | tuple[int | float | bool, ...] | PassedOver


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor as the header lists it. `shape` begins with the dimension that lies closest in memory; `type` is
    ggml's number, `offset` counts bytes from where the data begins.
    """

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int

    @property
    def bytes(self) -> int | None:
        """Size in the file; None for a type that is not known."""
        known = TENSOR_TYPES.get(self.type)
        if known is None:
            return None
        _, weights, size = known
        return prod(self.shape) // weights * size


@dataclass(frozen=True, slots=True)
class GGUFHeader:
    """The header of one file.

    size: bytes of the file. metadata: by key, with arrays of numbers where they are short. data_offset: where the
    tensors begin, in bytes. missing: bytes that the tensors would need beyond the end of the file; 0 where it is
    whole.
    """

    path: Path
    size: int
    version: int
    metadata: dict[str, MetadataValue]
    tensors: tuple[TensorInfo, ...]
    data_offset: int
    missing: int

    @property
    def architecture(self) -> str:
        """llama.cpp's name of it, such as "llama" or "qwen3"; empty where the file names none."""
        return self.text("general.architecture") or ""

    @property
    def kind(self) -> str:
        """ "model" wherever the file does not say that it is something else, such as "adapter" or "mmproj"."""
        return self.text("general.type") or "model"

    @property
    def name(self) -> str:
        """What its makers call it; the name of the file where it has none."""
        return self.text("general.name") or self.path.name

    @property
    def quantisation(self) -> str:
        """What the file was quantised to, such as "Q4_K_M"; "GGUF" where it does not say."""
        kind = self.integer("general.file_type")
        return "GGUF" if kind is None else FILE_TYPES.get(kind & ~GUESSED, "GGUF")

    @property
    def context_length(self) -> int | None:
        """Tokens that the model was trained for."""
        return self.integer(f"{self.architecture}.context_length")

    @property
    def n_layers(self) -> int | None:
        """Blocks."""
        return self.integer(f"{self.architecture}.block_count")

    @property
    def width(self) -> int | None:
        """Numbers in the residual stream of a token."""
        return self.integer(f"{self.architecture}.embedding_length")

    @property
    def heads(self) -> int | None:
        """Query heads of a layer; the most of any where layers differ."""
        return max(self.per_layer("attention.head_count"), default=None)

    @property
    def kv_heads(self) -> int | None:
        """Key heads of a layer; the most of any where layers differ."""
        return max(self.per_layer("attention.head_count_kv"), default=self.heads)

    @property
    def vocabulary_size(self) -> int:
        """Tokens of the vocabulary in the file; 0 where it has none."""
        tokens = self.metadata.get("tokenizer.ggml.tokens")
        return tokens.length if isinstance(tokens, PassedOver) else 0

    @property
    def chat_template(self) -> str | None:
        """The Jinja template for conversations; None where the file has none."""
        return self.text("tokenizer.chat_template")

    @property
    def split_count(self) -> int:
        """Files that the model is cut into; 1 where it is whole."""
        return max(1, self.integer("split.count") or 1)

    @property
    def split_number(self) -> int:
        """Which of these files this is, from 0."""
        return self.integer("split.no") or 0

    @property
    def parts(self) -> tuple[Path, ...]:
        """Where all files of the model should lie, this one among them, as llama.cpp names them.

        Empty where the model is cut and this file's name does not say which part it is.
        """
        count = self.split_count
        if count == 1:
            return (self.path,)
        match = PART.fullmatch(self.path.name)
        if match is None or count > MAX_PARTS:
            return ()
        names = (f"{match['stem']}-{number:05}-of-{count:05}.gguf" for number in range(1, count + 1))
        return tuple(self.path.with_name(name) for name in names)

    def text(self, key: str) -> str | None:
        """The value of a key, where it is a text."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def integer(self, key: str) -> int | None:
        """The value of a key, where it is an integer."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def per_layer(self, key: str) -> tuple[int, ...]:
        """The integers of a key of the architecture: one for all layers, or one each; empty where there is none."""
        value = self.metadata.get(f"{self.architecture}.{key}")
        values = value if isinstance(value, tuple) else (value,)
        return tuple(one for one in values if isinstance(one, int) and not isinstance(one, bool))


def read_header(path: Path) -> GGUFHeader:
    """Read the header of a GGUF file of version 2 or 3: milliseconds, and up to a second for a large vocabulary.

    A file whose tensors are cut off is read, and `missing` says how much it lacks. Raises ModelNotFound where there is
    no such file, where it is no GGUF or one of another version or byte order, where the header itself is cut, and
    where its numbers cannot be.
    """
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):  # opening a pipe would wait for ever
            raise ModelNotFound(f"{path} is not a file.", hint="Name a .gguf file.", path=str(path))
        with path.open("rb") as file:
            return _read(GGUFReader(file, path=path, size=state.st_size))
    except FileNotFoundError as error:
        raise ModelNotFound(
            f"There is no file at {path}.",
            hint="Check the path; a list tells which are on this machine (`aspen models`).",
            path=str(path),
        ) from error
    except (OSError, ValueError) as error:  # unreadable; a NUL in the path
        raise ModelNotFound(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.", path=str(path)
        ) from error


def _read(reader: GGUFReader) -> GGUFHeader:
    _check_magic(reader)
    version = int(reader.number(_U32))
    if version & 0xFFFF == 0 and version:
        raise reader.refused("its numbers are big-endian, and Aspen reads little-endian GGUF files")
    if version not in (2, 3):
        raise reader.refused(f"it is of version {version} of the format, and Aspen reads 2 and 3")
    n_tensors, n_keys = int(reader.number(_U64)), int(reader.number(_U64))
    # The shortest entries there can be: a key of one letter with one byte, a tensor without name and dimensions.
    reader.check_count(n_keys, limit=MAX_ENTRIES, size=14, what="keys")
    reader.check_count(n_tensors, limit=MAX_ENTRIES, size=24, what="tensors")
    metadata = _read_metadata(reader, count=n_keys)
    alignment = metadata.get("general.alignment", 32)
    if not (isinstance(alignment, int) and 0 < alignment <= 1 << 20 and alignment.bit_count() == 1):
        raise reader.broken(f"the alignment is {alignment}, not a power of 2")
    tensors = tuple(_read_tensor(reader, alignment=int(alignment)) for _ in range(n_tensors))
    if len({tensor.name for tensor in tensors}) < n_tensors:
        raise reader.broken("two tensors have one name")
    data_offset = -(-reader.position // alignment) * alignment
    end = max((data_offset + tensor.offset + (tensor.bytes or 0) for tensor in tensors), default=0)
    return GGUFHeader(
        path=reader.path,
        size=reader.size,
        version=version,
        metadata=metadata,
        tensors=tensors,
        data_offset=data_offset,
        missing=max(0, end - reader.size),
    )


def _check_magic(reader: GGUFReader) -> None:
    if reader.size < len(_MAGIC) or (magic := reader.take(len(_MAGIC))) != _MAGIC:
        came = "it is empty" if reader.size == 0 else "it does not begin with GGUF"
        if reader.size >= len(_MAGIC) and magic == _MAGIC[::-1]:
            came = "its numbers are big-endian, and Aspen reads little-endian GGUF files"
        raise reader.refused(came)


def _read_metadata(reader: GGUFReader, *, count: int) -> dict[str, MetadataValue]:
    metadata: dict[str, MetadataValue] = {}
    kept = elements = 0
    for _ in range(count):
        key = reader.text(limit=MAX_NAME, what="a key")
        if not key or key in metadata:
            raise reader.broken(f"the key {key[:64]!r} stands there twice" if key else "a key is empty")
        kind = int(reader.number(_U32))
        if kind == _ARRAY:
            value, walked = _read_array(reader, key=key)
            elements += walked
            if elements > MAX_ELEMENTS:
                raise reader.broken(f"its arrays have more than {MAX_ELEMENTS:,} texts")
        elif kind == _TEXT:
            value = _read_text(reader)
            kept += len(value) if isinstance(value, str) else 0
            if kept > MAX_KEPT:
                raise reader.broken(f"its texts have more than {MAX_KEPT:,} characters")
        elif kind in _NUMBERS:
            value = reader.number(_NUMBERS[kind])
        else:
            raise reader.broken(f"the value of {key[:64]!r} is of type {kind}, which there is not")
        metadata[key] = value
    return metadata


def _read_text(reader: GGUFReader) -> str | PassedOver:
    length = int(reader.number(_U64))
    if length > MAX_TEXT:
        reader.skip(length)
        return PassedOver(length)
    return reader.take(length).decode("utf-8", errors="replace")


def _read_array(reader: GGUFReader, *, key: str) -> tuple[MetadataValue, int]:
    """The array, or its length; and how many texts were walked past."""
    kind, length = int(reader.number(_U32)), int(reader.number(_U64))
    if kind == _TEXT:
        reader.check_count(length, limit=MAX_ELEMENTS, size=8, what=f"elements in {key[:64]!r}")
        reader.skip_texts(length)
        return PassedOver(length), length
    if kind not in _NUMBERS:  # arrays of arrays are refused by ggml as well
        raise reader.broken(f"the array {key[:64]!r} has elements of type {kind}, which there is not")
    number = _NUMBERS[kind]
    if length > MAX_SHORT_ARRAY:
        reader.skip(length * number.size)
        return PassedOver(length), 0
    return tuple(reader.number(number) for _ in range(length)), 0


def _read_tensor(reader: GGUFReader, *, alignment: int) -> TensorInfo:
    name = reader.text(limit=MAX_NAME, what="the name of a tensor")
    dimensions = int(reader.number(_U32))
    if dimensions > 4:
        raise reader.broken(f"the tensor {name[:64]!r} has {dimensions:,} dimensions, and ggml knows up to 4")
    shape = tuple(int(reader.number(_U64)) for _ in range(dimensions))
    kind, offset = int(reader.number(_U32)), int(reader.number(_U64))
    tensor = TensorInfo(name, shape, kind, offset)
    if prod(shape) > MAX_BYTES or offset > MAX_BYTES:
        raise reader.broken(f"the tensor {name[:64]!r} is of shape {list(shape)}, at byte {offset:,}")
    if offset % alignment:
        raise reader.broken(f"the tensor {name[:64]!r} is at byte {offset:,}, no multiple of {alignment}")
    if kind in TENSOR_TYPES and (shape[0] if shape else 1) % TENSOR_TYPES[kind][1]:
        raise reader.broken(
            f"the rows of the tensor {name[:64]!r} are no multiple of a block of {TENSOR_TYPES[kind][0]}"
        )
    return tensor
