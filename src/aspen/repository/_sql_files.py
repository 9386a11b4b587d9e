"""Reads the `.sql` files of a database: named queries, and migrations in the order of their numbers."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_SQL = files("aspen.repository") / "sql"
_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def read_queries(database: str) -> dict[str, str]:
    """Name -> statement, from the blocks that begin with `-- name: ...` in all files but the schema and migrations."""
    files = sorted(
        (file for file in (_SQL / database).iterdir() if file.is_file()), key=lambda file: file.name
    )
    blocks = [
        part
        for file in files
        if file.name != "schema.sql"
        for part in _NAME.split(file.read_text(encoding="utf-8"))[1:]
    ]
    names, statements = blocks[::2], blocks[1::2]
    if len(set(names)) != len(names):
        raise ValueError(f"two statements of {database} have one name")
    return {name: statement.strip() for name, statement in zip(names, statements, strict=True)}


@cache
def read_migrations(database: str) -> tuple[str, ...]:
    """The scripts in order: number k (from 1) brings a store from version k - 1 to version k."""
    folder = _SQL / database / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    for number, name in enumerate(names, start=1):
        if not name.startswith(f"{number:04}_"):
            raise ValueError(f"the migration {name} should have the number {number:04}")
    return tuple((folder / name).read_text(encoding="utf-8") for name in names)


@cache
def read_schema(database: str) -> str:
    """The whole schema as one script."""
    return (_SQL / database / "schema.sql").read_text(encoding="utf-8")
