"""The `.sql` files of Postgres: what holds for every table, and for every statement."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import aspen.repository
from aspen.repository._postgres._statements import migrations, queries, schema, table_names
from aspen.testing.postgres_server import PostgresServer

PACKAGE = Path(aspen.repository.__file__).parent
NO_PLAN = {"begin_read", "begin_write", "commit", "commit_durably", "create_schema", "vacuum"}
OF_ALL_TENANTS = {"migration"}
LOOK_UPS = (
    "postings", "mentions", "mentioning", "mentioning_in_conversation", "about", "about_in_conversation", "out_edges",
    "in_edges", "head_keys", "memories_by_id", "memories_by_seq", "list_conversation", "new_rows", "traits_of_new_rows",
    "new_edges", "new_forgotten", "forget_postings", "forget_traces", "trace_body", "statistics", "delete_traits",
)  # fmt: skip
"""Which must go over an index, whatever rights the role has."""


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    """A database with nothing but the schema."""
    with psycopg.connect(postgres_server.url(postgres_server.new_database()), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA aspen")
        connection.execute(schema().encode())
        connection.execute("CREATE ROLE reader")
        connection.execute("GRANT USAGE ON SCHEMA aspen TO reader")
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA aspen TO reader")
        yield connection


def test_the_schema_is_the_sum_of_the_migrations(postgres_server: PostgresServer) -> None:
    dumps = []
    for scripts in ([schema()], migrations()):
        url = postgres_server.url(postgres_server.new_database())
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA aspen")
            for script in scripts:
                connection.execute(script.encode())
        dump = postgres_server.run("pg_dump", "--schema-only", url)
        dumps.append(
            [line for line in dump.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]
        )
    assert dumps[0] == dumps[1]
    assert sum(line.startswith("CREATE TABLE aspen.") for line in dumps[0]) == len(table_names())


def test_the_tenant_stands_first_in_every_key_and_index(
    database: "psycopg.Connection[tuple[Any, ...]]",
) -> None:
    first_columns = database.execute(
        """
        SELECT pg_class.relname, pg_index.indexrelid::regclass::text, attname
        FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
        JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
        WHERE relnamespace = 'aspen'::regnamespace
        UNION ALL
        SELECT pg_class.relname, conname, attname
        FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
        JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
        WHERE relnamespace = 'aspen'::regnamespace AND contype IN ('p', 'u', 'f')
        """
    ).fetchall()
    tables = {table for table, _, _ in first_columns}
    assert tables == table_names()
    others = {(table, what) for table, what, column in first_columns if column != "tenant_id"}
    assert {table for table, _ in others} == OF_ALL_TENANTS


def test_every_table_is_held_by_row_level_security(database: "psycopg.Connection[tuple[Any, ...]]") -> None:
    found = database.execute(
        """
        SELECT relname, relrowsecurity AND relforcerowsecurity,
            (SELECT array_agg(pg_get_expr(polqual, polrelid)) FROM pg_policy WHERE polrelid = pg_class.oid)
        FROM pg_class
        WHERE relnamespace = 'aspen'::regnamespace AND relkind = 'r'
        """
    ).fetchall()
    policies = {name: policies for name, held, policies in found if held}
    assert policies.keys() == table_names() - OF_ALL_TENANTS
    assert set(map(str, policies.values())) == {
        "[\"(tenant_id = current_setting('aspen.tenant'::text, true))\"]"
    }


def plan_of(database: "psycopg.Connection[tuple[Any, ...]]", query: str) -> dict[str, Any]:
    statement = queries()[query].decode()
    values: dict[str, Any] = dict.fromkeys(re.findall(r"%\((\w+)\)s", statement))
    for name in ("limit", "fan", "after", "since", "before", "stamp", "min_weight"):
        if name in values and f"%({name})s::" not in statement:
            values[name] = 1
    values |= {"tenant": "t"} if "tenant" in values else {}
    for name in ("terms", "names", "ids", "conversations", "tables"):
        if name in values:
            values[name] = ["x"]
    for name in ("conversation", "name", "id", "type", "model_id", "key_version"):
        if name in values and f"%({name})s::" not in statement:
            values[name] = "x"
    if "seqs" in values:
        values["seqs"] = [1]
    with psycopg.ClientCursor(database) as cursor:
        (plan,) = cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}".encode(), values).fetchone() or ()
    tree: dict[str, Any] = plan[0]["Plan"]
    return tree


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


@pytest.mark.parametrize("query", sorted(set(queries()) - NO_PLAN))
def test_every_query_runs_on_the_schema_and_reads_of_one_tenant_alone(
    database: "psycopg.Connection[tuple[Any, ...]]", query: str
) -> None:
    """As a superuser, whom row-level security lets through."""
    for node in nodes(plan_of(database, query)):
        if (
            node.get("Schema", "aspen") == "aspen"
            and node.get("Relation Name") in table_names() - OF_ALL_TENANTS
        ):
            if node["Node Type"] == "ModifyTable":
                continue
            if node["Node Type"] == "Bitmap Heap Scan":
                conditions = " ".join(part["Index Cond"] for part in node["Plans"])
            else:
                conditions = f"{node.get('Index Cond')} {node.get('Filter')}"
            assert "tenant_id = 't'" in conditions, node


@pytest.mark.parametrize("query", LOOK_UPS)
def test_each_look_up_goes_over_an_index_beside_row_level_security(
    database: "psycopg.Connection[tuple[Any, ...]]", query: str
) -> None:
    """An operator that is not leakproof would make it read the whole table."""
    with database.transaction(force_rollback=True):
        database.execute("SET LOCAL ROLE reader")
        database.execute("SET LOCAL aspen.tenant = 't'")
        database.execute("SET LOCAL enable_seqscan = off")  # the tables are empty
        scans = [node for node in nodes(plan_of(database, query)) if "Relation Name" in node]
    scans = [node for node in scans if node["Node Type"] != "ModifyTable"]
    assert scans
    assert {node["Node Type"] for node in scans} <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}


def test_every_query_is_used_and_every_used_query_is_there() -> None:
    sources = "".join(path.read_text() for path in (PACKAGE / "_postgres").glob("*.py"))
    used = set(
        re.findall(r"\b(?:rows|row|value|each|run|run_many|_rows|_row|_transaction)\(\s*\"(\w+)\"", sources)
    )
    used |= set(re.findall(r"\b_row\(connection, \"(\w+)\"", sources))
    used |= set(re.findall(r"\b_rows\(connection, \"(\w+)\"", sources))
    used |= set(re.findall(r"queries\(\)\[\"(\w+)\"\]", sources))
    used |= set(re.findall(r'"((?:check|copy)_\w+)": "', sources))
    assert used == set(queries())


def test_no_sql_stands_in_the_code() -> None:
    for path in (PACKAGE / "_postgres").glob("*.py"):
        assert not re.findall(r"\"(?:SELECT|INSERT|UPDATE|DELETE|SET|BEGIN)\b.*\"", path.read_text()), path
