"""Commands on a store in Postgres, named by its URL."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.cli_run import Cli


@pytest.mark.parametrize("by", ["option", "environment"])
def test_commands_take_the_url_of_a_database(
    cli: Cli, new_postgres_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    url = new_postgres_url()
    named = ["--store", url] if by == "option" else []
    if by == "environment":
        monkeypatch.setenv("ASPEN_STORE", url)
    one = cli("remember", "In spring I drew until midnight.", "--json", *named).json["memory"]["id"]
    other = cli("remember", "Work gets what is left over.", "--type", "belief", "--json", *named).json[
        "memory"
    ]["id"]
    assert cli("relate", one, "supports", other, *named).code == 0
    spread = cli("spread", one, "--json", *named).json["memories"]
    assert [entry["memory"]["id"] for entry in spread] == [one, other]
    assert cli("recall", "What of spring?", "--json", *named).json["hits"][0]["memory"]["id"] == one
    findings = cli("doctor", "--json", *named).json["findings"]
    assert {finding["status"] for finding in findings if "store" in finding["name"]} == {"ok"}
    assert cli("forget", one, other, "--yes", *named).code == 0
    assert cli("list", "--json", *named).json["memories"] == []


def test_a_password_is_never_shown(cli: Cli) -> None:
    done = cli("list", "--store", "postgresql://ann:secret@127.0.0.1:1/nowhere")
    assert done.code == 5
    assert "secret" not in done.err
    assert "ann" in done.err
