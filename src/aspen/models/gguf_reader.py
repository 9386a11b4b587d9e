"""Reads forward through the header of a GGUF file, never past its end, in pieces of bounded size."""

from __future__ import annotations

from pathlib import Path
from struct import Struct
from typing import BinaryIO

from aspen.errors import ModelNotFound

MAX_HEADER = 1 << 27
"""Longest header, in bytes; that of a model with a vocabulary of 260,000 tokens has 15 MB."""

_CHUNK = 1 << 17  # bytes read at a time
_LENGTH = Struct("<Q")


class GGUFReader:
    """A position in a file, and a piece of the file around it. `size` is the file's, in bytes; `file` stays open."""

    def __init__(self, file: BinaryIO, *, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        self._file = file
        self._end = min(size, MAX_HEADER)
        self._buffer = b""
        self._start = 0  # where in the file the buffer begins
        self._at = 0  # in the buffer; behind its end after a long step

    @property
    def position(self) -> int:
        """Bytes from the beginning of the file."""
        return self._start + self._at

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        at = self._need(count)
        self._at += count
        return self._buffer[at : at + count]

    def number(self, form: Struct) -> int | float | bool:
        """The next number."""
        at = self._need(form.size)
        self._at += form.size
        value: int | float | bool = form.unpack_from(self._buffer, at)[0]
        return value

    def text(self, *, limit: int, what: str) -> str:
        """The next text: its length in bytes, and its UTF-8; what is none becomes U+FFFD."""
        length = int(self.number(_LENGTH))
        if length > limit:
            raise self.broken(f"{what} has {length:,} bytes, and {limit:,} is the most")
        return self.take(length).decode("utf-8", errors="replace")

    def skip(self, count: int) -> None:
        """Pass over `count` bytes without reading them."""
        if count > self._end - self.position:
            raise self._too_short(count)
        self._at += count

    def skip_texts(self, count: int) -> None:
        """Pass over `count` texts: their lengths have to be read one by one."""
        unpack, size = _LENGTH.unpack_from, _LENGTH.size
        for _ in range(count):
            if self._at + size > len(self._buffer):
                self._need(size)
            (length,) = unpack(self._buffer, self._at)
            self._at += size + length
            if self._start + self._at > self._end:
                self._at -= length
                raise self._too_short(length)

    def check_count(self, count: int, *, limit: int, size: int, what: str) -> None:
        """Refuse more than `limit` entries, and more than the rest of the file holds at `size` bytes each or more."""
        if count > limit:
            raise self.broken(f"it says that there are {count:,} {what}, and {limit:,} is the most")
        if count * size > self._end - self.position:
            raise self._too_short(count * size)

    def refused(self, what: str) -> ModelNotFound:
        """The error for a file of another kind."""
        return ModelNotFound(
            f"{self.path} cannot be read as a GGUF file: {what}.",
            hint="Name a GGUF file of version 2 or 3; a list tells which are there (`aspen models`).",
            path=str(self.path),
        )

    def broken(self, what: str) -> ModelNotFound:
        """The error for a header whose numbers cannot be."""
        return ModelNotFound(
            f"{self.path} cannot be read as a GGUF file: {what}.",
            hint="It is damaged: download it again, from a source that you trust.",
            path=str(self.path),
        )

    def _need(self, count: int) -> int:
        """Where the next `count` bytes begin in the buffer, which has them all."""
        if self._at + count > len(self._buffer):
            position = self.position
            if count > self._end - position:
                raise self._too_short(count)
            self._file.seek(position)
            self._buffer = self._file.read(min(max(count, _CHUNK), self._end - position))
            self._start, self._at = position, 0
            if len(self._buffer) < count:  # it became shorter meanwhile
                raise self._too_short(count)
        return self._at

    def _too_short(self, count: int) -> ModelNotFound:
        if self._end < self.size:
            return self.broken(f"its header goes on behind {MAX_HEADER:,} bytes")
        lacking = count - (self.size - self.position)
        return ModelNotFound(
            f"{self.path} is cut: it ends within its header, after {self.size:,} bytes, and at least {lacking:,} more "
            "are needed.",
            hint="Download it again.",
            path=str(self.path),
            missing=lacking,
        )
