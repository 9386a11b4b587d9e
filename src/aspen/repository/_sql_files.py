"""Reads the `.sql` files of a database: named queries, and migrations in the order of their numbers.

A block that begins with `-- part: ...` is no query: it stands in queries for each line `-- include: ...` of its name.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_SQL = files("aspen.repository") / "sql"
_BLOCK = re.compile(r"^-- (name|part): (\w+)\n", re.MULTILINE)
_INCLUDE = re.compile(r"^ *-- include: (\w+)$", re.MULTILINE)


@cache
def read_queries(database: str) -> dict[str, str]:
    """Name -> statement, from the blocks that begin with `-- name: ...` in all files but the schema and migrations."""
    files = sorted(
        (file for file in (_SQL / database).iterdir() if file.is_file()), key=lambda file: file.name
    )
    parts: dict[str, str] = {}
    statements: dict[str, str] = {}
    for file in files:
        if file.name == "schema.sql":
            continue
        blocks = _BLOCK.split(file.read_text(encoding="utf-8"))[1:]
        for kind, name, text in zip(blocks[::3], blocks[1::3], blocks[2::3], strict=True):
            known = parts if kind == "part" else statements
            if name in known:
                raise ValueError(f"two statements of {database} have the name {name}")
            known[name] = text.strip()
    return {
        name: _INCLUDE.sub(lambda line: parts[line[1]], statement) for name, statement in statements.items()
    }


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
