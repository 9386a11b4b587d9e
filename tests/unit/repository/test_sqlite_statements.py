"""The `.sql` files: the schema is the sum of the migrations, and every statement is used."""

import re
from pathlib import Path

import apsw

import aspen.repository
from aspen.repository._sqlite._statements import migrations, queries, schema, table_names

PACKAGE = Path(aspen.repository.__file__).parent


def objects(script: str) -> list[tuple[object, ...]]:
    connection = apsw.Connection(":memory:")
    connection.execute(script).fetchall()
    found = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")
    # A column that a migration adds stands on the line of the one before it.
    return [(*names, re.sub(r"\s*([,()])\s*|\s+", r" \1 ", sql or "")) for *names, sql in found]


def test_the_schema_is_the_sum_of_the_migrations() -> None:
    assert objects(schema()) == objects("".join(migrations()))


def test_every_table_is_looked_for_when_a_store_is_opened() -> None:
    connection = apsw.Connection(":memory:")
    connection.execute(schema()).fetchall()
    tables = connection.execute("SELECT name FROM pragma_table_list WHERE type <> 'shadow'").fetchall()
    assert table_names() == {name for (name,) in tables if not str(name).startswith("sqlite_")}


def test_every_query_runs_on_the_schema() -> None:
    connection = apsw.Connection(":memory:")
    connection.execute(schema()).fetchall()
    for name, statement in queries().items():
        if name.startswith(("begin", "commit", "rollback")):
            continue
        bindings = dict.fromkeys(re.findall(r":(\w+)", statement))
        # Not plain EXPLAIN: of a check of virtual tables it shows an address in memory as text.
        connection.execute(f"EXPLAIN QUERY PLAN {statement}", bindings).fetchall()


def test_every_query_is_used_and_every_used_query_is_there() -> None:
    sources = "".join(path.read_text() for path in (PACKAGE / "_sqlite").glob("*.py"))
    used = set(re.findall(r"\b(?:rows|row|value|iterate|run|run_many|_transaction)\(\s*\"(\w+)\"", sources))
    used |= set(re.findall(r'^    "(check_\w+)":', sources, re.MULTILINE))
    assert used == set(queries())


def test_no_sql_stands_in_the_code_beside_pragmas() -> None:
    for path in (PACKAGE / "_sqlite").glob("*.py"):
        statements = re.findall(r"\"(?:SELECT|INSERT|UPDATE|DELETE)\b.*\"", path.read_text())
        assert len(statements) <= (path.name == "_file.py"), path
