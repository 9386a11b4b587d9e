from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aspen.benchmarks import gate
from aspen.errors import InvalidInput

DATA = {"name": "small", "files": {"small.json": "0"}}


def difference(
    value: float | None, ends: list[float] | None = None, *, units: int | None = None
) -> dict[str, Any]:
    return {"recall@10": value, "ci95": {"recall@10": ends}, "units": units or (5 if ends else 1)}


@pytest.mark.parametrize(
    ("value", "ends", "said"),
    [
        (2.0, [0.5, 3.5], "higher"),
        (2.0, [-0.5, 4.5], "within noise"),
        (0.0, [0.0, 0.0], "within noise"),
        (-1.0, [-2.0, 0.0], "within noise"),
        (-1.0, [-2.0, -0.1], "lower"),
        (-2.9, None, "within noise"),
        (-3.1, None, "lower"),
        (3.1, None, "higher"),
        (None, None, "not measured"),
    ],
)
def test_a_difference_counts_where_its_interval_leaves_zero_out(
    value: float | None, ends: list[float] | None, said: str
) -> None:
    assert gate.verdict(difference(value, ends)) == said


def test_an_interval_of_few_conversations_is_not_trusted_alone() -> None:
    assert gate.verdict(difference(-2.0, [-2.1, -1.9], units=2)) == "within noise"
    assert gate.verdict(difference(-4.0, [-4.1, -3.9], units=2)) == "lower"
    assert gate.verdict(difference(-4.0, [-9.0, 1.0], units=2)) == "within noise"
    assert gate.verdict(difference(2.0, [1.9, 2.1], units=4)) == "within noise"


@pytest.mark.parametrize(
    ("measured", "passes"),
    [
        (difference(-1.0, [-2.0, 0.5]), True),
        (difference(-1.0, [-2.0, -0.5]), False),
        (difference(None), False),  # a gate that measured nothing does not pass
    ],
)
def test_spreading_must_do_no_harm(measured: dict[str, Any], passes: bool) -> None:
    failures = gate.spreading_failures({"differences": {"aspen - hybrid": measured}})
    assert (not failures) is passes
    assert passes or "aspen - hybrid" in failures[0]


def systems(**found: float) -> dict[str, Any]:
    return {"systems": {name: {"recall@10": value} for name, value in found.items()}}


def test_no_system_may_find_less_than_was_recorded() -> None:
    recorded = systems(aspen=80.0, bm25=60.0, minilm=90.0)
    assert gate.recorded_failures(systems(aspen=77.0, bm25=70.0), recorded) == []
    (failure,) = gate.recorded_failures(systems(aspen=76.9, bm25=70.0), recorded)
    assert failure == "aspen finds 76.9 % at recall@10; recorded were 80.0 %."


def test_a_record_of_other_systems_lets_nothing_pass() -> None:
    (failure,) = gate.recorded_failures(systems(minilm=1.0), systems(aspen=80.0))
    assert "aspen" in failure


def test_a_young_store_must_not_find_less_than_words() -> None:
    def part(ends: list[float]) -> dict[str, Any]:
        intervals = {"recall@1": ends, "recall@5": [0.0, 2.0]}
        measured = {"recall@1": -5.0, "recall@5": 1.0, "ci95": intervals, "units": 10}
        return {"differences": {"aspen - bm25": measured, "aspen - activation": difference(-9, [-9, -9])}}

    assert gate.cold_start_failures({"memories": {"10": part([-10.0, 1.0])}}) == []
    (failure,) = gate.cold_start_failures({"memories": {"10": part([-10.0, 1.0]), "50": part([-9.0, -1.0])}})
    assert "50 memories" in failure and "recall@1" in failure


def test_familiarity_must_tell_questions_apart() -> None:
    assert gate.familiarity_failures({"familiarity": {"auroc": 0.9}}) == []
    assert gate.familiarity_failures({"familiarity": {"auroc": 0.899}}) != []


def test_a_recorded_report_is_read(tmp_path: Path) -> None:
    path = tmp_path / "recall.json"
    systems = {"aspen": {"recall@10": 80.0}}
    for report in ({"systems": systems}, {"systems": systems, "data": DATA}):
        path.write_text(json.dumps(report))
        assert gate.read_recorded(path, data=DATA) == report


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"systems": {"aspen": {}}}', "cannot be read"),
        ('{"systems": {"aspen": {"recall@10": "80"}}}', "no number"),
        ('{"systems": {"aspen": {"recall@10": 80}}, "data": {"name": "other"}}', "other data"),
    ],
)
def test_what_is_no_report_of_the_same_data_is_refused(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "recall.json"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=said):
        gate.read_recorded(path, data=DATA)
    with pytest.raises(InvalidInput, match="cannot be read"):
        gate.read_recorded(tmp_path / "absent.json", data=DATA)
