"""LoCoMo: long conversations between two people, and questions with the turns that hold their answers.

The turns are read as `aspen import` reads them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aspen.benchmarks import output
from aspen.benchmarks.datasets.lines import sha256, shown
from aspen.benchmarks.interface import Dataset, Question
from aspen.errors import InvalidInput
from aspen.interchange.lines import opened
from aspen.interchange.locomo import read_locomo
from aspen.interchange.records import Problem, Record, Source
from aspen.types import MemoryItem

KINDS = {
    1: "multi-hop",
    2: "temporal",
    3: "open-domain",
    4: "single-hop",
    5: "adversarial",
    6: "instruction-following",  # not LoCoMo's: only the set that ships with Aspen has these
}
"""Kinds of questions by their number in the file."""
_APART = frozenset({KINDS[5]})
_EVIDENCE = re.compile(r"D(\d+):(\d+)")
_SESSION = re.compile(r"session_\d+")
_EXPECTED = "a list of samples with sample_id, conversation and qa"

Sample = Mapping[str, object]


def read_locomo_set(path: Path) -> Dataset:
    """All conversations of a file. Adversarial questions, whose answer was never said, are told apart."""
    samples = _samples(path)
    items, not_read = _items(path)
    questions = tuple(question for sample in samples for question in _questions(sample, path=path))
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
    twice = [name for name, count in Counter(sample["sample_id"] for sample in samples).items() if count > 1]
    if twice:
        raise InvalidInput(f"{path} has the sample_id {twice[0]!r} more than once.", path=str(path))
    return samples


def _is_sample(sample: object) -> bool:
    return (
        isinstance(sample, dict)
        and isinstance(sample.get("sample_id"), str)
        and bool(sample["sample_id"].strip())
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


def _questions(sample: Sample, *, path: Path) -> Iterator[Question]:
    """The questions of a sample whose evidence are turns of it.

    Evidence is sometimes malformed ("D8:6; D9:17", "D30:05"): every `D<i>:<j>` counts, ids without a turn do not. A
    turn that could not be read stays evidence: it cannot be found, and leaving it out would raise recall.
    """
    turns, entries, name = _turn_ids(sample), sample["qa"], str(sample["sample_id"])
    for number, entry in enumerate(entries if isinstance(entries, list) else [], start=1):
        problem = _problem(entry)
        if problem:
            raise InvalidInput(f"{path}: question {number} of {name}: {problem}.", path=str(path))
        cited = {f"D{int(i)}:{int(j)}" for i, j in _EVIDENCE.findall(json.dumps(entry.get("evidence")))}
        if gold := frozenset(cited & turns):
            yield Question(entry["question"], gold, KINDS[entry["category"]], name)


def _problem(entry: object) -> str | None:
    """Why this is no question; None where it is one."""
    if not isinstance(entry, dict):
        return f"expected an object, got {type(entry).__name__}"
    text, category, evidence = (entry.get(name) for name in ("question", "category", "evidence"))
    if not isinstance(text, str) or not text.strip():
        return "its text is missing or no text"
    if type(category) is not int or category not in KINDS:  # true is an int, too
        return f"the category is {shown(category)}, not a number from {min(KINDS)} to {max(KINDS)}"
    if not isinstance(evidence, list | str | None):
        return f"the evidence is {shown(evidence)}, not a list of turns"
    return None


def _turn_ids(sample: Sample) -> set[str]:
    """Of all turns in the file, those that cannot be read among them."""
    conversation = sample["conversation"]
    return {
        str(turn.get("dia_id"))
        for name, turns in (conversation.items() if isinstance(conversation, dict) else ())
        if _SESSION.fullmatch(name) and isinstance(turns, list)
        for turn in turns
        if isinstance(turn, dict)
    }
