"""LoCoMo: long conversations between two people, and questions with the turns that hold their answers.

The turns are read as `aspen import` reads them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aspen.benchmarks import output
from aspen.benchmarks.datasets.lines import sha256
from aspen.benchmarks.interface import Dataset, Question
from aspen.errors import InvalidInput
from aspen.interchange.lines import opened
from aspen.interchange.locomo import read_locomo
from aspen.interchange.records import Problem, Record, Source
from aspen.types import MemoryItem

KINDS = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}
"""Kinds of questions by their number in the file."""
_APART = frozenset({KINDS[5]})
_EVIDENCE = re.compile(r"D(\d+):(\d+)")
_EXPECTED = "a list of samples with sample_id, conversation and qa"

Sample = Mapping[str, object]


def read_locomo_set(path: Path) -> Dataset:
    """All conversations of a file. Adversarial questions, whose answer was never said, are told apart."""
    samples = _samples(path)
    items, not_read = _items(path)
    there: dict[str, set[str | None]] = {}
    for item in items:
        there.setdefault(str(item.conversation), set()).add(item.source)
    questions = tuple(
        question
        for sample in samples
        for question in _questions(sample, there.get(str(sample["sample_id"]), set()))
    )
    if not questions:
        raise InvalidInput(
            f"{path} has no question whose evidence is a turn of its conversation.", path=str(path)
        )
    return Dataset(
        name="locomo",
        items=items,
        questions=questions,
        files={path.name: sha256(path)},
        apart=_APART,
        not_read=not_read,
    )


def _samples(path: Path) -> Sequence[Sample]:
    with opened(path) as file:
        body = file.read()
    try:
        samples: object = json.loads(body)
    except (ValueError, RecursionError) as error:  # the message of the former names line and column
        raise InvalidInput(
            f"{path} is not a LoCoMo file: it cannot be read as JSON ({error}).",
            hint=f"Expected {_EXPECTED}.",
            path=str(path),
        ) from error
    if not isinstance(samples, list) or not samples or not all(map(_is_sample, samples)):
        raise InvalidInput(f"{path} is not a LoCoMo file: expected {_EXPECTED}.", path=str(path))
    return samples


def _is_sample(sample: object) -> bool:
    return (
        isinstance(sample, dict)
        and isinstance(sample.get("sample_id"), str)
        and isinstance(sample.get("conversation"), dict)
        and isinstance(sample.get("qa"), list)
    )


def _items(path: Path) -> tuple[tuple[MemoryItem, ...], int]:
    """The turns, and how many could not be read; the first of those is told."""
    readings = list(read_locomo(Source(path)))
    problems = [reading for reading in readings if isinstance(reading, Problem)]
    for problem in problems[:1]:
        output.note(f"{len(problems)} turns were not read; turn {problem.number}: {problem.reason}")
    return tuple(reading.item for reading in readings if isinstance(reading, Record)), len(problems)


def _questions(sample: Sample, there: set[str | None]) -> Iterator[Question]:
    """The questions of a sample with evidence among `there`.

    Evidence is sometimes malformed ("D8:6; D9:17", "D30:05"): every `D<i>:<j>` counts, ids without a turn do not.
    """
    entries = sample["qa"]
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict):
            continue
        text, category = entry.get("question"), entry.get("category")
        cited = {f"D{int(i)}:{int(j)}" for i, j in _EVIDENCE.findall(json.dumps(entry.get("evidence")))}
        gold = frozenset(cited & there)
        if isinstance(text, str) and category in KINDS and gold:
            yield Question(text, gold, KINDS[category], str(sample["sample_id"]))
