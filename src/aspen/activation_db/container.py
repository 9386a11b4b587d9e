"""A sealed file: a header anyone can read, arrays in one safetensors body, and a seal over both.

::

    offset        bytes  content
    0             8      magic, which names the kind of file
    8             4      version of the format, uint32
    12            4      h, length of the header, uint32
    16            8      b, length of the body as stored, uint64
    24            h      header: canonical JSON (sorted keys, no spaces, ASCII); declares the arrays
    24 + h        b      body: safetensors, compressed as one zstd frame that states its size
    24 + h + b    32     SHA-256 of all bytes before it

Numbers are little-endian. Every version of the format keeps magic, version and seal where they are, so that a
newer file can be told from a damaged one. The seal finds damage, not forgery: whoever can write the file can
seal it again. Reading never runs code from the file, and never unpacks more than a given number of bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import zstandard
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from aspen.errors import AspenError

_PREFIX = struct.Struct("<8sIIQ")
_SEAL_BYTES = 32
_ZSTD_LEVEL = 1  # level 3 takes half as long again for the same size: activations have no repeats to find
_SAFETENSORS_OVERHEAD = 4096  # bytes; its header for ten arrays is about 1,000
_DTYPES = ("int8", "uint8", "int16", "int32", "uint32", "float16", "float32")


@dataclass(frozen=True)
class Container:
    """A kind of sealed file.

    noun: what messages call one; magic: 8 bytes; version: the one written; readable: those that are read; damaged,
    foreign: the errors for bytes that are broken, and for another version; remedy, upgrade: the hints that go with
    them.
    """

    noun: str
    magic: bytes
    version: int
    readable: tuple[int, ...]
    damaged: type[AspenError]
    foreign: type[AspenError]
    remedy: str
    upgrade: str

    def pack(self, header: Mapping[str, Any], *, arrays: Mapping[str, NDArray[Any]]) -> bytes:
        """Header (JSON values only) and arrays as the bytes of a file; equal input gives equal bytes."""
        # safetensors writes the memory as it lies there: strided arrays would come out scrambled.
        body = save_safetensors({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        described = {name: [array.dtype.name, list(array.shape)] for name, array in arrays.items()}
        text = json.dumps(
            {**header, "arrays": described, "body_bytes": len(body)},
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=True,
            allow_nan=False,
        ).encode()
        frame = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_content_size=True).compress(body)
        content = _PREFIX.pack(self.magic, self.version, len(text), len(frame)) + text + frame
        return content + hashlib.sha256(content).digest()

    def unpack(self, data: bytes, *, max_bytes: int) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The inverse of `pack`.

        Raises `damaged` where the bytes are cut, altered, no such file, or would unpack to more than `max_bytes`;
        `foreign` where another version of the format wrote them.
        """
        if data[: len(self.magic)] != self.magic:
            self.corrupt(f"These bytes are not a {self.noun}: they do not begin with its magic number.")
        if len(data) < _PREFIX.size + _SEAL_BYTES:
            self.corrupt(f"The {self.noun} is cut: it has {len(data)} bytes.")
        content = memoryview(data)[:-_SEAL_BYTES]
        if hashlib.sha256(content).digest() != data[-_SEAL_BYTES:]:
            self.corrupt(f"The {self.noun} is cut or altered: its SHA-256 does not match its bytes.")
        _, version, header_length, body_length = _PREFIX.unpack_from(content)
        if version not in self.readable:
            raise self.foreign(
                f"The {self.noun} has format version {version}, "
                f"this Aspen reads versions up to {max(self.readable)}.",
                hint=self.upgrade,
                version=version,
                readable=max(self.readable),
            )
        body_start = _PREFIX.size + header_length
        if body_start + body_length != len(content):
            self.corrupt(
                f"The {self.noun}'s parts add up to {body_start + body_length} bytes, it has {len(content)}."
            )
        header = self._parsed(bytes(content[_PREFIX.size : body_start]))
        return header, self._arrays(header, frame=content[body_start:], max_bytes=max_bytes)

    def format_version(self, data: bytes) -> int:
        """The version that `unpack` found readable."""
        return int(_PREFIX.unpack_from(data)[1])

    def corrupt(self, message: str) -> NoReturn:
        """Raise `damaged` with what to do about it."""
        raise self.damaged(message, hint=self.remedy)

    def _parsed(self, text: bytes) -> dict[str, Any]:
        try:
            header = json.loads(text.decode("ascii"), parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise self.damaged(f"The {self.noun}'s header is not JSON.", hint=self.remedy) from error
        if not isinstance(header, dict):
            self.corrupt(f"The {self.noun}'s header is not a JSON object.")
        return header

    def _arrays(
        self, header: dict[str, Any], *, frame: memoryview, max_bytes: int
    ) -> dict[str, NDArray[Any]]:
        described, body_bytes = header.pop("arrays", None), header.pop("body_bytes", None)
        declared = self._declared_bytes(described)
        if type(body_bytes) is not int or not declared <= body_bytes <= declared + _SAFETENSORS_OVERHEAD:
            self.corrupt(f"The {self.noun}'s header does not say how large its arrays are.")
        if body_bytes > max_bytes:
            self.corrupt(f"The {self.noun} would unpack to {body_bytes:,} bytes; the limit is {max_bytes:,}.")
        try:
            # The frame's own claim decides how much zstd allocates, so it is looked at before unpacking.
            if zstandard.frame_content_size(frame) != body_bytes:
                self.corrupt(
                    f"The {self.noun}'s body does not unpack to the {body_bytes:,} bytes "
                    "that the header declares."
                )
            body = zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
            arrays: dict[str, NDArray[Any]] = load_safetensors(body)
        except (zstandard.ZstdError, SafetensorError, ValueError, KeyError) as error:
            raise self.damaged(f"The {self.noun}'s body cannot be unpacked.", hint=self.remedy) from error
        if described != {name: [array.dtype.name, list(array.shape)] for name, array in arrays.items()}:
            self.corrupt(f"The {self.noun}'s arrays are not those that its header declares.")
        return arrays

    def _declared_bytes(self, described: object) -> int:
        """Size of the arrays that a header declares; `damaged` where it is no such declaration."""
        if not isinstance(described, dict):
            self.corrupt(f"The {self.noun}'s header does not declare its arrays.")
        total = 0
        for entry in described.values():
            match entry:
                case [str() as dtype, [*shape]] if dtype in _DTYPES and all(
                    type(size) is int and size >= 0 for size in shape
                ):
                    total += math.prod(shape) * np.dtype(dtype).itemsize
                case _:
                    self.corrupt(f"The {self.noun}'s header declares an array of unknown type or shape.")
        return total


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
