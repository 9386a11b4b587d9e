from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from tests.bench_sets import write_beir, write_locomo

from aspen.benchmarks import cold_start, plotting
from aspen.benchmarks.catalogue import Setting, opened
from aspen.benchmarks.cold_start import run, stretches
from aspen.benchmarks.datasets import Layout, read_dataset
from aspen.benchmarks.interface import Advance, Dataset, Question
from aspen.config import Config
from aspen.errors import InvalidInput
from aspen.testing.fake_model import FakeModel
from aspen.types import MemoryItem


class Ranker(nullcontext):  # type: ignore[type-arg]
    """Finds what it was told last, in the order it was told or the other way round."""

    def __init__(self, name: str, *, backwards: bool = False) -> None:
        super().__init__()
        self.name, self.step, self.written = name, -1 if backwards else 1, []  # type: ignore[var-annotated]

    def __enter__(self) -> Any:
        return self

    def write(self, items: Sequence[MemoryItem], *, advance: Advance) -> float:
        self.written.append([item.source for item in items])
        return 0.0

    def search(self, question: Question, *, limit: int) -> list[str]:
        found: list[str] = self.written[-1][:: self.step][:limit]
        return found


@pytest.fixture
def dialogues(tmp_path: Path) -> Dataset:
    return read_dataset(Layout.LOCOMO, write_locomo(tmp_path / "locomo.json", "one", "two"))


def asked(parts: Sequence[Dataset]) -> list[tuple[list[str | None], list[str]]]:
    return [([item.source for item in part.items], [q.text for q in part.questions]) for part in parts]


def test_stretches_hold_all_the_evidence_of_their_questions(dialogues: Dataset) -> None:
    cat, mara = "What is the cat called?", "Where does Mara live?"
    two = stretches(dialogues, 2)
    assert asked(two) == [(["D1:1", "D1:2"], [cat])] * 2  # of Mara D2:1 and D3:1 tell
    assert [{item.conversation for item in part.items} for part in two] == [{"one"}, {"two"}]
    assert asked(stretches(dialogues, 6))[0] == (
        ["D1:1", "D1:2", "D2:1", "D2:2", "D3:1", "D3:2"],
        [cat, mara],
    )
    assert asked(stretches(dialogues, 4)) == [(["D1:1", "D1:2", "D2:1", "D2:2"], [cat])] * 2
    assert stretches(dialogues, 7) == []


def test_figures_for_each_size_and_what_one_finds_more(dialogues: Dataset) -> None:
    first, last = Ranker("aspen"), Ranker("bm25", backwards=True)
    systems: list[AbstractContextManager[Any]] = [first, last]
    report = run(dialogues, systems, sizes=[2, 6, 7])  # type: ignore[arg-type]

    assert list(report["memories"]) == ["2", "6"]  # none has seven
    two, six = report["memories"]["2"], report["memories"]["6"]
    assert (two["stores"], two["questions"], six["stores"], six["questions"]) == (2, 2, 2, 4)
    assert two["systems"]["aspen"]["recall@1"] == 100
    assert two["systems"]["bm25"]["recall@1"] == 0
    assert two["systems"]["bm25"]["recall@5"] == 100
    # D1:1 is the first of six, D2:1 and D3:1 the third and the fifth.
    assert six["systems"]["aspen"]["mrr"] == pytest.approx(100 * (1 + 1 / 3) / 2, abs=0.1)
    assert two["differences"]["aspen - bm25"]["recall@1"] == 100
    assert two["differences"]["aspen - bm25"]["ci95"]["recall@1"] == [100, 100]
    assert [len(sources) for sources in first.written] == [2, 2, 6, 6]


def test_stores_are_new_each_time_and_a_text_is_encoded_once(dialogues: Dataset, config: Config) -> None:
    encoded: list[int] = []

    class Counting(FakeModel):
        def capture_with_heads(self, batch: Any, *, layers: Any, heads: Any) -> Any:
            encoded.append(len(batch))
            return super().capture_with_heads(batch, layers=layers, heads=heads)

    setting = Setting(config, model=Counting(), encode_once=True)
    with opened(["aspen", "bm25"], setting) as made:
        encoded.clear()  # what calibrating took
        report = run(dialogues, made.systems, sizes=[2, 6])
        (store,) = {system._stores for system in made.systems}  # type: ignore[attr-defined]
        assert store.holding("two").repository.stats().memories == 6
    # Two turns of each conversation for size 2, the other four for size 6, and the prompts of both; BM25 takes no pass.
    assert sum(encoded) == 2 * 2 + 2 * 4 + (2 + 4)
    assert report["memories"]["6"]["systems"]["aspen"]["recall@10"] == 100


def test_what_holds_no_question_is_refused(dialogues: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="within 100 memories"):
        run(dialogues, [], sizes=[7, 100])
    with pytest.raises(InvalidInput, match="no question"):
        run(read_dataset(Layout.BEIR, write_beir(tmp_path / "set")), [], sizes=[1])


def test_tables_and_plot(dialogues: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    systems: Any = [Ranker("aspen"), Ranker("bm25", backwards=True)]
    report = run(dialogues, systems, sizes=[2, 6])
    cold_start.show(report, dialogues)
    out = capsys.readouterr().out
    assert "aspen - bm25" in out and "100.0 (100.0 to 100.0)" in out

    cold_start.show(run(dialogues, systems[:1], sizes=[2]), dialogues)
    assert "differences" not in capsys.readouterr().out

    pytest.importorskip("matplotlib")
    plotting.plot_cold_start(tmp_path / "cold.svg", report, dialogues)
    assert "cold start" in (tmp_path / "cold.svg").read_text()
