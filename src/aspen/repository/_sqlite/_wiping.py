"""Checkpoints that leave nothing behind of what was deleted.

`PRAGMA secure_delete` overwrites deleted rows with zeros. But when SQLite moves rows between the pages of a
b-tree, the page that a row left keeps a stale copy of it in the unallocated gap between the cell pointers and the
cells, and when the row is deleted later nobody knows of that copy: measured, forgotten texts stood in the file.

Rows reach the database file only by a checkpoint. So ordinary connections never checkpoint, and the connection
that does opens the file through a VFS that zeroes the gap of every b-tree page on its way to the file. SQLite
never reads the gap. Page format: https://www.sqlite.org/fileformat2.html#b_tree_pages
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import apsw

VFS_NAME = "aspen-wiping"
_INTERIOR = (2, 5)
_LEAF = (10, 13)
_FILE_HEADER = 100  # bytes; only page 1 has it
_SMALLEST_PAGE = 512


def wiped(page: bytes, offset: int) -> bytes:
    """`page`, which begins at byte `offset` of the database file, with zeros in its unallocated gap.

    Other pages than those of b-trees begin with a page number of four bytes, whose first byte is below 2 in files
    of less than 2**25 pages (512 GiB), and come back as they are.
    """
    header = _FILE_HEADER if offset == 0 else 0
    kind = page[header] if len(page) >= _SMALLEST_PAGE else 0
    if kind not in _INTERIOR + _LEAF:
        return page
    cells = int.from_bytes(page[header + 3 : header + 5], "big")
    content = int.from_bytes(page[header + 5 : header + 7], "big") or 65_536
    gap = header + (12 if kind in _INTERIOR else 8) + 2 * cells
    if not gap <= content <= len(page):
        return page
    return page[:gap] + bytes(content - gap) + page[content:]


class _WipingFile(apsw.VFSFile):
    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  # SQLite's name
        super().xWrite(wiped(bytes(data), offset), offset)


class _WipingVFS(apsw.VFS):
    def __init__(self) -> None:
        super().__init__(VFS_NAME, base="")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        if flags[0] & apsw.SQLITE_OPEN_MAIN_DB:
            return _WipingFile("", name, flags)
        return super().xOpen(name, flags)


@cache
def wiping_vfs() -> _WipingVFS:
    """The VFS, registered at the first call. The cache keeps it alive: SQLite holds no reference."""
    return _WipingVFS()


def checkpoint(path: Path, *, truncate: bool, patience: float) -> bool:
    """Move the write-ahead log into the database file; True if all of it was moved.

    With `truncate`, wait up to `patience` seconds for readers and cut the log to zero bytes: until then it still
    holds what was deleted. Opened for each checkpoint: about 1 ms, and nothing to keep across a fork.
    """
    wiping_vfs()
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=VFS_NAME)
    try:
        connection.set_busy_timeout(round(patience * 1000))
        for pragma in ("synchronous = FULL", "user_version"):  # the read makes it see that there is a log
            connection.execute(f"PRAGMA {pragma}").fetchall()
        mode = "TRUNCATE" if truncate else "PASSIVE"
        ((busy, in_log, moved),) = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchall()
        return busy == 0 and in_log == moved
    finally:
        connection.close()
