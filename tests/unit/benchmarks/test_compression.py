"""Which part of a data set `benchmarks/compression.py` measures on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from benchmarks import compression
from tests.bench_sets import write_beir, write_locomo

from aspen.benchmarks.datasets import Layout, read_dataset
from aspen.benchmarks.interface import Dataset, Question
from aspen.errors import InvalidInput


def chosen(dataset: Dataset, *arguments: str) -> Dataset:
    return compression.chosen(dataset, compression.parser().parse_args(arguments))


def asked(*kinds: str) -> Dataset:
    """A data set of nothing but questions, numbered from 0."""
    questions = tuple(Question(str(i), frozenset("a"), kind, "") for i, kind in enumerate(kinds))
    return Dataset("small", (), questions, {}, apart=frozenset({"adversarial"}))


@pytest.mark.parametrize(
    ("limit", "texts"),
    [(1, "0"), (2, "04"), (3, "036"), (4, "0246"), (5, "0246"), (6, "0246"), (7, "0123456"), (99, "0123456")],
)
def test_no_more_questions_are_asked_than_the_limit(limit: int, texts: Sequence[str]) -> None:
    dataset = asked(*["single-hop"] * 7, "adversarial")
    part = chosen(dataset, "--limit-questions", str(limit))
    assert [question.text for question in part.questions] == list(texts)
    assert len(part.questions) <= limit


def test_without_a_limit_all_are_asked_that_count() -> None:
    assert len(chosen(asked(*["single-hop"] * 7, "adversarial")).questions) == 7


@pytest.mark.parametrize("option", ["--limit-questions", "--conversations"])
@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_a_limit_is_a_number_from_1_on(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        compression.parser().parse_args([option, value])
    assert caught.value.code == 2
    assert "expected a number from 1 on" in capsys.readouterr().err


def test_a_part_of_the_conversations(tmp_path: Path) -> None:
    dataset = read_dataset(Layout.LOCOMO, write_locomo(tmp_path / "locomo.json", "one", "two", "three"))
    part = chosen(dataset, "--conversations", "2")
    assert part.conversations == {"one": 6, "two": 6}
    assert [question.group for question in part.questions] == ["one", "one", "two", "two"]
    assert chosen(dataset, "--quick").conversations == {"one": 6}


def test_quick_of_passages_is_a_few_questions(tmp_path: Path) -> None:
    dataset = read_dataset(Layout.BEIR, write_beir(tmp_path / "set"))
    assert chosen(dataset, "--quick").items == dataset.items
    with pytest.raises(InvalidInput, match="no conversations"):
        chosen(dataset, "--conversations", "1")
