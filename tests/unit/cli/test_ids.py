"""Ids that are given by their beginning."""

from __future__ import annotations

import json

import pytest
from tests.cli_run import Cli


def remembered(cli: Cli, count: int) -> list[str]:
    return [
        cli("remember", f"Thing number {n} is here.", "--json").json["memory"]["id"] for n in range(count)
    ]


def test_a_beginning_that_only_one_id_has_stands_for_it(cli: Cli) -> None:
    one, other = remembered(cli, 2)
    short = one[:10]
    assert cli("show", short, "--json").json["memory"]["id"] == one
    corrected = cli("correct", short, "Thing number 0 is there.", "--json").json
    assert corrected["corrects"] == one
    assert cli("history", short, "--json").json["versions"][0]["id"] == one
    assert cli("forget", other[:10], other, "--yes", "--json").json["forgotten"] == [other]
    assert cli("show", other[:10]).code == 3


def test_every_command_takes_beginnings(cli: Cli) -> None:
    ids = remembered(cli, 3)
    one, two, three = (id_[:10] for id_ in ids)
    made = cli("relate", one, "supports", two, "--json").json["relations"]
    assert [(edge["source"], edge["target"]) for edge in made] == [(ids[0], ids[1])]
    assert len(cli("relations", one, "--json").json["relations"]) >= 1
    reached = cli("spread", one, "--json").json["memories"]
    assert {ids[0], ids[1]} <= {found["memory"]["id"] for found in reached}
    assert {change["source"] for change in cli("reinforce", one, two, "--json").json["changes"]} <= set(ids)
    assert cli("amend", one, "--tag", "here", "--json").json["memory"]["id"] == ids[0]
    assert cli("merge", one, three, "--json").json["merged"] == [ids[2]]
    assert cli("restore", three, "--json").json["memory"]["id"] == ids[2]


def test_a_beginning_that_is_too_short_or_of_nothing_is_not_found(cli: Cli) -> None:
    (one,) = remembered(cli, 1)
    for given in (one[:5], "m_zzzzzz", "m_"):
        result = cli("show", given)
        assert result.code == 3
        assert f"no memory '{given}'" in result.err


def test_a_beginning_that_several_ids_have_is_refused_and_they_are_listed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = remembered(cli, 8)
    monkeypatch.setattr("aspen.cli._ids._SHORTEST", 2)
    result = cli("forget", "m_", "--yes")
    assert result.code == 2
    assert "'m_' begins the ids of 8 memories: " in result.err
    assert ", ..." in result.err
    details = json.loads(cli("show", "m_", "--json").err)["details"]
    assert sorted(details["ids"]) == sorted(ids)
    assert len(cli("list", "--json").json["memories"]) == 8


def test_a_trace_and_its_alternatives_are_named_by_the_same_beginning(cli: Cli) -> None:
    sampled = cli("sample", "hello", "--seeds", "2", "--max-tokens", "4", "--json").json
    chosen, other = sorted((one["trace_id"] for one in sampled["candidates"]), key=len)
    assert other == f"{chosen}-1"
    assert cli("replay", chosen[:12], "--json").json["trace_id"] == chosen
    assert cli("replay", f"{chosen[:12]}-1", "--json").json["trace_id"] == other
    for given in ("t_zzzzzz", "t_zz", f"{chosen[:12]}-7"):
        result = cli("replay", given)
        assert result.code == 3
        assert "as `aspen traces` shows it, or 6 characters and more of its beginning." in result.err
