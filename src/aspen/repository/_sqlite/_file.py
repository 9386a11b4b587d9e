"""The file of a store: finding out what is there, creating and migrating it, connecting to it.

Never open the database file with anything but SQLite while a connection of this process is open: closing any
descriptor of a file drops all POSIX locks that the process holds on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote

import apsw
from filelock import FileLock, Timeout

from aspen.errors import InvalidInput, StoreBusy, StoreError, StoreNotWritable, StoreVersionError
from aspen.repository._sqlite._errors import not_writable, translated
from aspen.repository._sqlite._statements import migrations, table_names
from aspen.repository._sqlite._wiping import VFS_NAME, wiping_vfs

APPLICATION_ID = int.from_bytes(b"ASPN", "big")
"""Stands in the header of the file: this database is Aspen's."""
PAGE_SIZE = 16_384
"""Bytes. Five keys of 2,900 bytes fill a page to 90 %; a page of 4,096 would hold one."""
CACHE_SIZE = 16 * 1024
"""KiB of pages that each connection keeps."""

_PRIVATE = 0o600
"""Of a new store, and the log beside it, which SQLite gives the same: texts are nobody else's business."""
_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 7) <> 'sqlite_'"


@dataclass(frozen=True, slots=True)
class _Found:
    """What stands at a path. `tables` without SQLite's own."""

    application: int
    version: int
    tables: frozenset[str]
    log: bool
    writable: bool
    immutable: bool

    @property
    def ready(self) -> bool:
        return self.log and self.version == len(migrations())


@dataclass(frozen=True, slots=True)
class StoreFile:
    """A store of the newest version, ready for connections.

    `immutable`: file and folder are read-only and no log lies beside the file, so that SQLite can only read it
    without locks. Should a writer come later, the next connection sees its log; so none may outlive one call.
    """

    path: Path
    busy_timeout: float
    writable: bool
    immutable: bool

    def connect(self, on_commit: Callable[[int], None]) -> apsw.Connection:
        """A connection that never checkpoints by itself; `on_commit` gets the pages in the log."""
        immutable = self.immutable and not _readable_with_locks(self.path, self.busy_timeout)
        connection = _connect(self.path, self.busy_timeout, immutable=immutable)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)

        def after_commit(_: apsw.Connection, __: str, pages: int) -> int:
            on_commit(pages)
            return apsw.SQLITE_OK

        connection.set_wal_hook(after_commit)  # takes the place of SQLite's automatic checkpoints
        return connection


def prepare(path: Path, busy_timeout: float) -> StoreFile:
    """Create or migrate the store at `path` where that is needed, and say how it can be opened."""
    if path.is_dir():
        raise StoreVersionError(
            f"{path} is a folder, not a store.", hint="Give the path of a file.", path=str(path)
        )
    if not path.parent.is_dir():
        raise StoreNotWritable(
            f"The folder {path.parent} does not exist.",
            hint=f"Create it: mkdir -p '{path.parent}'",
            path=str(path),
        )
    with translated(path):
        found = _look(path, busy_timeout)
        if found is None or not found.ready:
            found = _bring_up_to_date(path, busy_timeout)
    missing = table_names() - found.tables
    if missing:
        raise StoreError(
            f"The store {path} lacks the table {', '.join(sorted(missing))}.",
            hint="Put it back from a backup.",
            path=str(path),
            missing=sorted(missing),
        )
    return StoreFile(path, busy_timeout, found.writable, found.immutable)


def _look(path: Path, busy_timeout: float) -> _Found | None:
    """What stands at `path`, None for nothing yet; refuses what is not an Aspen store of a known version."""
    if not path.exists() or path.stat().st_size == 0:
        return None
    found = _inspect(path, busy_timeout)
    if found.application == 0 and found.version == 0 and not found.tables:
        return None
    if found.application != APPLICATION_ID:
        raise StoreVersionError(
            f"The database {path} belongs to another application.",
            hint="Choose another path.",
            path=str(path),
        )
    if found.version > len(migrations()):
        raise StoreVersionError(
            f"The store {path} has version {found.version}, this Aspen knows up to {len(migrations())}.",
            hint="Upgrade aspen.",
            path=str(path),
            version=found.version,
            known=len(migrations()),
        )
    return found


def _inspect(path: Path, busy_timeout: float) -> _Found:
    immutable = not _readable_with_locks(path, busy_timeout)
    with closing(_connect(path, busy_timeout, immutable=immutable)) as connection:
        return _Found(
            application=int(_pragma(connection, "application_id")),
            version=int(_pragma(connection, "user_version")),
            tables=frozenset(str(name) for (name,) in connection.execute(_TABLES).fetchall()),
            log=_pragma(connection, "journal_mode") == "wal" or immutable,
            writable=not connection.readonly("main"),
            immutable=immutable,
        )


def _readable_with_locks(path: Path, busy_timeout: float) -> bool:
    """False where SQLite cannot make the shared memory beside the file that a log needs, and no log is there."""
    try:
        with closing(_connect(path, busy_timeout, immutable=False)) as connection:
            _pragma(connection, "user_version")
    except (apsw.CantOpenError, apsw.ReadOnlyError):
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size > 0:
            raise
        return False
    return True


def _bring_up_to_date(path: Path, busy_timeout: float) -> _Found:
    """Create or migrate under a file lock: busy_timeout does not cover the switch to a write-ahead log."""
    lock = Path(f"{path}.lock")
    try:
        # In a folder that takes no files, FileLock would wait as for another process.
        with suppress(FileExistsError):
            lock.touch(exist_ok=False)
    except OSError as error:
        raise StoreNotWritable(
            f"The store {path} cannot be written: no file can be made in the folder {path.parent} "
            f"({error.strerror or error}).",
            hint="Make the folder writable for you, or choose another path.",
            path=str(path),
            cause=str(error),
        ) from error
    try:
        with FileLock(lock, timeout=busy_timeout):
            found = _look(path, busy_timeout)  # another process may have done it meanwhile
            if found is None or not found.ready:
                _migrate(path, busy_timeout, found.version if found else 0)
            return _inspect(path, busy_timeout)
    except Timeout as error:
        raise StoreBusy(
            f"Another process has been creating the store {path} for {busy_timeout:g} s.",
            hint="Try again; if it stays so, look for a process that hangs.",
            path=str(path),
        ) from error
    except OSError as error:
        raise not_writable(path, cause=str(error)) from error


def _migrate(path: Path, busy_timeout: float, version: int) -> None:
    if not path.exists():
        path.touch(mode=_PRIVATE)
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    with closing(_connect(path, busy_timeout, immutable=False, flags=flags)) as connection:
        if connection.readonly("main"):
            raise not_writable(path, version=version)
        if version == 0:
            connection.execute(f"PRAGMA page_size = {PAGE_SIZE}").fetchall()
        scripts = "".join(migrations()[version:])
        # One transaction: a process that dies in the middle leaves an empty file, or the older version.
        connection.execute(
            f"BEGIN IMMEDIATE; {scripts} PRAGMA application_id = {APPLICATION_ID};"
            f"PRAGMA user_version = {len(migrations())}; COMMIT;"
        ).fetchall()
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchall()[0][0]
        if mode != "wal":
            raise StoreError(
                f"The file system of {path} cannot hold a write-ahead log (journal mode {mode}).",
                hint="Put the store on a local disk.",
                path=str(path),
                mode=mode,
            )


def _connect(
    path: Path, busy_timeout: float, *, immutable: bool, flags: int = apsw.SQLITE_OPEN_READWRITE
) -> apsw.Connection:
    if immutable:
        name = f"file:{quote(str(path.absolute()))}?immutable=1"
        connection = apsw.Connection(name, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    else:
        connection = apsw.Connection(str(path), flags=flags)
    connection.set_busy_timeout(round(busy_timeout * 1000))
    for pragma in (
        "synchronous = FULL",  # a commit survives the loss of power
        "foreign_keys = ON",
        "secure_delete = ON",
        "temp_store = MEMORY",  # texts never reach a temporary file
        f"cache_size = -{CACHE_SIZE}",
        "trusted_schema = OFF",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def _pragma(connection: apsw.Connection, name: str) -> str:
    return str(connection.execute(f"PRAGMA {name}").fetchall()[0][0])


def back_up(source: apsw.Connection, path: Path, destination: Path) -> None:
    """Copy the store in `path`, of which `source` is a connection, to `destination`."""
    if destination.exists() and destination.samefile(path):
        raise InvalidInput("A store cannot be backed up onto itself.", path=str(destination))
    wiping_vfs()
    with (
        replacing(destination) as aside,
        translated(destination),
        closing(apsw.Connection(str(aside), vfs=VFS_NAME)) as copy,
        copy.backup("main", source, "main") as job,
    ):
        while not job.done:
            job.step(-1)  # all pages in one go: one moment of the store


@contextmanager
def replacing(destination: Path) -> Iterator[Path]:
    """A path beside `destination` to write a store to, which then takes its place: it is there whole or not at all."""
    if destination.with_name(destination.name + "-wal").exists():
        raise InvalidInput(
            f"A store in use is at {destination}.", hint="Choose another path.", path=str(destination)
        )
    if destination.is_dir() or not destination.parent.is_dir():
        raise StoreNotWritable(
            f"No file can be written at {destination}.",
            hint="Give the path of a file in a folder that exists.",
            path=str(destination),
        )
    aside = destination.with_name(f"{destination.name}.{token_hex(4)}.part")
    try:
        aside.touch(mode=_PRIVATE)
        yield aside
        aside.replace(destination)
    except OSError as error:
        raise not_writable(destination, cause=str(error)) from error
    finally:
        for end in ("", "-wal", "-shm", ".lock"):
            aside.with_name(aside.name + end).unlink(missing_ok=True)
