"""The statements of the SQLite store, from its `.sql` files."""

from __future__ import annotations

import re
from functools import cache

from aspen.repository._sql_files import read_migrations, read_queries, read_schema


def queries() -> dict[str, str]:
    """Name -> statement."""
    return read_queries("sqlite")


def migrations() -> tuple[str, ...]:
    """The scripts in order: number k (from 1) brings a store from version k - 1 to version k."""
    return read_migrations("sqlite")


def schema() -> str:
    """The whole schema as one script."""
    return read_schema("sqlite")


@cache
def table_names() -> frozenset[str]:
    """The tables that a store of the newest version has, without those that FTS5 makes for itself."""
    return frozenset(re.findall(r"^CREATE (?:VIRTUAL )?TABLE (\w+)", schema(), re.MULTILINE))
