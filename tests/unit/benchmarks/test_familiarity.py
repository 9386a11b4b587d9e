from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.bench_sets import write_beir, write_locomo

from aspen.benchmarks import familiarity, plotting
from aspen.benchmarks.datasets import Layout, read_dataset
from aspen.benchmarks.familiarity import Answers, ask, summarised
from aspen.benchmarks.interface import Dataset
from aspen.benchmarks.systems import Stores
from aspen.config import Config
from aspen.errors import InvalidInput
from aspen.testing.fake_model import FakeModel


class Knowing:
    """Stores that know what they are asked, and by whom: `told` by conversation."""

    def __init__(self, told: dict[str, float]) -> None:
        self.told, self.asked = told, []  # type: ignore[var-annotated]

    def write(self, items: Any, *, advance: Any) -> float:
        advance(len(items))
        return 0.0

    def holding(self, group: str) -> Any:
        def recall(text: str, *, limit: int) -> Any:
            self.asked.append((group, text))
            return SimpleNamespace(familiarity=self.told[group])

        return SimpleNamespace(recall=recall)


@pytest.fixture
def dialogues(tmp_path: Path) -> Dataset:
    return read_dataset(Layout.LOCOMO, write_locomo(tmp_path / "locomo.json", "one", "two", "three"))


def test_each_question_that_counts_is_put_to_its_own_conversation_and_to_the_next(dialogues: Dataset) -> None:
    stores: Any = Knowing({"one": 0.9, "two": 0.5, "three": 0.1})
    answers = ask(dialogues, stores)
    cat, mara = "What is the cat called?", "Where does Mara live?"  # not the adversarial one
    assert stores.asked == [
        *[("one", cat), ("two", cat), ("one", mara), ("two", mara)],
        *[("two", cat), ("three", cat), ("two", mara), ("three", mara)],
        *[("three", cat), ("one", cat), ("three", mara), ("one", mara)],
    ]
    assert answers.predicted.tolist() == [0.9, 0.5] * 2 + [0.5, 0.1] * 2 + [0.1, 0.9] * 2
    assert answers.answerable.tolist() == [True, False] * 6
    assert answers.groups == ("one",) * 4 + ("two",) * 4 + ("three",) * 4


def test_the_report_tells_how_well_and_how_honestly() -> None:
    answers = Answers(
        predicted=np.array([0.9, 0.1, 0.9, 0.1, 0.1, 0.9]),
        answerable=np.array([True, False] * 3),
        groups=("one", "one", "one", "one", "two", "two"),
    )
    found = summarised(answers)["familiarity"]
    assert found["auroc"] == pytest.approx((2 * 2.5 + 1) / 9, abs=1e-3)
    assert found["per_group"] == {"one": 1.0, "two": 0.0}
    assert found["ci95"]["auroc"] == [0.0, 1.0]
    assert (found["answerable"], found["unanswerable"]) == (3, 3)
    assert found["brier_score"] == pytest.approx((4 * 0.01 + 2 * 0.81) / 6, abs=1e-3)
    assert found["expected_calibration_error"] == pytest.approx(0.233, abs=1e-3)
    first, last = found["reliability"][0], found["reliability"][-1]
    assert (first["count"], first["mean_predicted"], first["observed"]) == (3, 0.1, 0.333)
    assert (last["count"], last["mean_predicted"], last["observed"]) == (3, 0.9, 0.667)


def test_a_store_is_more_familiar_with_its_own_conversation(config: Config, tmp_path: Path) -> None:
    path = write_locomo(tmp_path / "locomo.json", "one", "two")
    text = path.read_text()
    start = text.index('"two"')  # the other conversation speaks of other things
    path.write_text(text[:start] + text[start:].replace(" cat", " boat").replace("Mara", "Olga"))
    dialogues = read_dataset(Layout.LOCOMO, path)
    stores = Stores(tmp_path, model=FakeModel(), config=config, apart=True)
    try:
        answers = ask(dialogues, stores)
    finally:
        stores.close()
    own, other = answers.predicted[answers.answerable], answers.predicted[~answers.answerable]
    assert own.mean() > other.mean()
    assert summarised(answers)["familiarity"]["auroc"] > 0.5


def test_it_takes_two_conversations(dialogues: Dataset, tmp_path: Path) -> None:
    stores: Any = Knowing({})
    with pytest.raises(InvalidInput, match="has 1 conversations"):
        ask(dialogues.part(conversations=1), stores)
    with pytest.raises(InvalidInput, match="has 0 conversations"):
        ask(read_dataset(Layout.BEIR, write_beir(tmp_path / "set")), stores)
    assert not stores.asked


def report() -> dict[str, Any]:
    return summarised(Answers(np.array([0.95, 0.05]), np.array([True, False]), ("one", "one")))


def test_the_tables_show_it(dialogues: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    familiarity.show(report(), dialogues)
    out = capsys.readouterr().out
    for piece in ("AUROC", "1.000", "0.8 to 1.0", "95.0", "100.0"):
        assert piece in out


def test_the_plot_is_a_picture(dialogues: Dataset, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plotting.plot_reliability(tmp_path / "reliability.svg", report(), dialogues)
    assert "AUROC 1.000" in (tmp_path / "reliability.svg").read_text()
