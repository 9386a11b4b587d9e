"""`aspen recall --explain`, and settings of spreading for one recall."""

from __future__ import annotations

from typing import Any

import pytest
from tests.cli_run import Cli, Result

PODCAST, SPRING, SUPPER = "The burnout podcast with tips", "After spring I could not draw", "Supper is sacred"


@pytest.fixture
def ids(cli: Cli) -> list[str]:
    kinds = {PODCAST: "episodic", SPRING: "episodic", SUPPER: "belief"}
    ids = [cli("remember", text, "--type", kind).out.strip() for text, kind in kinds.items()]
    for number in range(4):
        cli("remember", f"Something else, number {number}")
    cli("relate", ids[0], "similar_to", ids[1])
    cli("relate", ids[1], "supports", ids[2])
    return ids


def recall(cli: Cli, *options: str) -> Result:
    return cli("recall", "burnout podcast tips", "--arm", "keyword", *options)


def hit(document: dict[str, Any], id_: str) -> dict[str, Any]:
    return next(one for one in document["hits"] if one["memory"]["id"] == id_)


def test_explain_shows_ranks_by_arm_and_what_spreading_changed(cli: Cli, ids: list[str]) -> None:
    out = recall(cli, "--explain", "--limit", "2").out
    header, *lines = out.split("the place among the hits\n")[1].splitlines()
    assert header.split("\t") == ["fused", "keyword", "before", "added", "after", "place", "memory"]
    first = lines[0].split("\t")
    assert (first[0], first[1], first[-2], first[-1]) == ("1", "1", "1", PODCAST)
    table = {line.split("\t")[-1]: line.split("\t") for line in lines if "\t" in line}
    assert table[SPRING][-2] == "2"
    assert float(table[SPRING][3]) > 0
    for row in table.values():
        assert float(row[2]) + float(row[3]) == pytest.approx(float(row[4]), abs=0.011)
    hops = [line for line in lines if line.startswith("hop ")]
    assert hops[0].startswith("hop 1: ")
    assert hops[0].endswith(" carried over 1 similar_to")
    assert hops[1].endswith(" carried over 1 supports")


def test_explain_as_json_names_every_memory_it_speaks_of(cli: Cli, ids: list[str]) -> None:
    document = recall(cli, "--explain", "--json").json
    told = document["explanation"]
    assert set(told) == {"arms", "units", "weights", "fused", "frames", "memories"}
    assert told["units"] == {"keyword": "BM25"}
    assert {one["memory_id"] for one in told["fused"]} <= told["memories"].keys()
    assert told["frames"][1]["edges"][0]["relation"] == "similar_to"
    assert "explanation" not in recall(cli, "--json").json


def test_hops_decay_and_boosts_are_settings_of_the_recall(cli: Cli, ids: list[str]) -> None:
    plain = recall(cli, "--json").json
    one_hop = recall(cli, "--hops", "1", "--json").json
    assert hit(plain, ids[2])["activation"] > 0
    assert hit(one_hop, ids[2])["activation"] == 0
    assert hit(recall(cli, "--decay", "0.3", "--json").json, ids[1])["activation"] == pytest.approx(
        hit(plain, ids[1])["activation"] / 2, rel=1e-4
    )
    boosted = hit(recall(cli, "--boost", "belief=3.5", "--json").json, ids[2])
    assert boosted["type_boost"] == 3.5
    assert boosted["activation"] == pytest.approx(2 * hit(plain, ids[2])["activation"], rel=1e-4)


def test_settings_change_the_preset_that_is_named(cli: Cli, ids: list[str]) -> None:
    character = hit(recall(cli, "--preset", "character", "--json").json, ids[2])
    changed = hit(recall(cli, "--preset", "character", "--hops", "2", "--json").json, ids[2])
    assert (changed["activation"], changed["type_boost"]) == (
        pytest.approx(character["activation"], rel=1e-4),
        character["type_boost"],
    )


@pytest.mark.parametrize(
    "options", [("--hops", "4"), ("--decay", "0"), ("--boost", "belief"), ("--boost", "opinion=2")], ids=str
)
def test_settings_out_of_range_are_refused(cli: Cli, ids: list[str], options: tuple[str, str]) -> None:
    result = recall(cli, *options)
    assert result.code == 2
    assert "error: " in result.err
