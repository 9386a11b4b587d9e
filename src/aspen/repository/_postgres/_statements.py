"""The statements of the Postgres store, from its `.sql` files."""

from __future__ import annotations

import re
from functools import cache

from aspen.repository._sql_files import read_migrations, read_queries, read_schema


@cache
def queries() -> dict[str, bytes]:
    """Name -> statement, as psycopg takes one that was not written in the program."""
    return {name: statement.encode() for name, statement in read_queries("postgres").items()}


def migrations() -> tuple[str, ...]:
    """The scripts in order: number k (from 1) brings a database from version k - 1 to version k."""
    return read_migrations("postgres")


def schema() -> str:
    """The whole schema as one script."""
    return read_schema("postgres")


@cache
def table_names() -> frozenset[str]:
    """The tables that a database of the newest version has."""
    return frozenset(re.findall(r"^CREATE TABLE aspen\.(\w+)", schema(), re.MULTILINE))
