from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from aspen.benchmarks import plotting
from aspen.benchmarks.interface import Dataset, Question
from aspen.benchmarks.report import described, show, summarised
from aspen.benchmarks.running import Outcome
from aspen.errors import InvalidInput, MissingDependency
from aspen.types import MemoryItem


def question(kind: str, group: str) -> Question:
    return Question("Who?", frozenset({"a"}), kind, group)


DATASET = Dataset(
    name="small",
    items=tuple(MemoryItem("text", conversation=group, source="a") for group in ("one", "two")),
    questions=(question("plain", "one"), question("trick", "one"), question("plain", "two")),
    files={"small.json": "0"},
    cutoffs=(5, 10),
    apart=frozenset({"trick"}),
)


def outcome(*found: float) -> Outcome:
    """Found within five, and so within ten: all measures alike."""
    return Outcome(np.repeat(np.array(found)[:, None], 5, axis=1), np.array([0.001, 0.002, 0.009]), 0.5)


OUTCOMES = {"aspen": outcome(1, 0, 0.5), "bm25": outcome(0, 1, 0.5)}


def test_kinds_that_stand_apart_count_in_no_other_figure() -> None:
    figures = summarised(DATASET, OUTCOMES)["systems"]["aspen"]
    assert figures["recall@5"] == figures["mrr"] == 75
    assert figures["per_kind"]["trick"]["recall@10"] == 0
    assert figures["per_kind"]["plain"]["recall@10"] == 75
    assert {name: group["recall@5"] for name, group in figures["per_group"].items()} == {
        "one": 100,
        "two": 50,
    }
    assert figures["ci95"]["recall@5"] == [50, 100]
    assert figures["write_ms"] == 250
    assert figures["query_ms"] == {"p50": 2, "p95": 8.3}


def test_differences_are_paired_and_of_the_default_unless_others_are_named() -> None:
    assert summarised(DATASET, OUTCOMES)["differences"]["aspen - bm25"]["recall@10"] == 50
    named = summarised(DATASET, OUTCOMES, pairs=[("bm25", "aspen"), ("bm25", "absent")])["differences"]
    assert list(named) == ["bm25 - aspen"]
    assert summarised(DATASET, {"bm25": OUTCOMES["bm25"]})["differences"] == {}


def test_a_difference_comes_with_a_verdict() -> None:
    for default, other, said in (
        (outcome(1, 0, 1), outcome(0, 1, 0.5), "higher"),
        (outcome(0, 0, 0.5), outcome(1, 1, 1), "lower"),
        (outcome(1, 0, 0), outcome(0, 0, 1), "within noise"),
    ):
        found = summarised(DATASET, {"aspen": default, "bm25": other})["differences"]["aspen - bm25"]
        assert (found["verdict"], found["units"]) == (said, 2)


def test_what_was_measured_on() -> None:
    assert described(DATASET)["questions"] == {"plain": 2, "trick": 1}
    assert described(DATASET)["conversations"] == {"one": 1, "two": 1}


def test_the_tables_show_what_the_report_has(capsys: pytest.CaptureFixture[str]) -> None:
    show(summarised(DATASET, OUTCOMES), DATASET)
    out = capsys.readouterr().out
    for piece in ("2 questions, 2 memories", "75.0", "50.0 to 100.0", "trick", "two", "aspen - bm25"):
        assert piece in out


def test_names_from_a_file_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = ("[red]", "b", "c")
    odd = Dataset("odd", DATASET.items, tuple(question(kind, "") for kind in kinds), {}, cutoffs=(5, 10))
    show(summarised(odd, OUTCOMES), odd)
    assert "[red]" in capsys.readouterr().out


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plotting.plot_recall(tmp_path / "recall.svg", summarised(DATASET, OUTCOMES), DATASET)
    assert "recall@k" in (tmp_path / "recall.svg").read_text()


def test_a_plot_without_matplotlib_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependency, match="pip install"):
        plotting.check_plotting(Path("recall.png"))


def test_a_plot_is_a_picture_by_its_name() -> None:
    with pytest.raises(InvalidInput, match=r"\.svg"):
        plotting.check_plotting(Path("recall.txt"))
