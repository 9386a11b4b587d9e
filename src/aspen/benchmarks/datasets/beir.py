"""Folders laid out as BEIR does it: corpus.jsonl, queries.jsonl, and the judgements in qrels.tsv or qrels/test.tsv."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aspen.benchmarks.datasets.lines import json_lines, mapping_in, refused, sha256, table_lines, text_in
from aspen.benchmarks.interface import Dataset, Question
from aspen.errors import InvalidInput
from aspen.items import check_item
from aspen.types import MemoryItem, Provenance
from aspen.validation import MAX_TEXT_LENGTH

_CUTOFFS = (2, 5, 10, 25)
_JUDGEMENTS = ("qrels.tsv", "qrels/test.tsv")
_PASSAGE = '{"_id": ..., "title": ..., "text": ...} on each line'
_QUERY = '{"_id": ..., "text": ...} on each line'
_JUDGED = "query-id, corpus-id and score on each line, with tabs between"
_HEADER = "query-id"

Metadata = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Passage:
    """A line of the corpus. `text` has the title in it."""

    id: str
    text: str
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Fields:
    """What makes a memory of a passage, and kind and group of a query's metadata."""

    item: Callable[[Passage], Mapping[str, object]]
    kind: Callable[[Metadata], str]
    group: Callable[[Metadata], str]


def read_beir(folder: Path) -> Dataset:
    """Passages that belong to no conversation; every question is put to all of them."""
    return read_folder(folder, name="beir", fields=_PLAIN, cutoffs=_CUTOFFS)


def read_folder(folder: Path, *, name: str, fields: Fields, cutoffs: tuple[int, ...]) -> Dataset:
    """A folder in BEIR's layout. InvalidInput names the file and the line where it is not."""
    if not folder.is_dir():
        raise InvalidInput(
            f"{folder} is not a folder.",
            hint=f"Expected one with corpus.jsonl, queries.jsonl and {_JUDGEMENTS[0]}.",
            path=str(folder),
        )
    judgements = next((path for path in _JUDGEMENTS if (folder / path).exists()), _JUDGEMENTS[0])
    corpus, queries, qrels = folder / "corpus.jsonl", folder / "queries.jsonl", folder / judgements
    items, not_read = _items(corpus, fields)
    evidence = _evidence(qrels, known=items)
    questions = _questions(queries, evidence, fields)
    return Dataset(
        name=name,
        items=tuple(item for item in items.values() if item is not None),
        questions=questions,
        files={path.name: sha256(path) for path in (corpus, queries, qrels)},
        cutoffs=cutoffs,
        not_read=not_read,
    )


def _items(path: Path, fields: Fields) -> tuple[dict[str, MemoryItem | None], int]:
    """The memories by the id of their passages, None for what no memory can hold, and how many those are."""
    items: dict[str, MemoryItem | None] = {}
    for number, line in json_lines(path, expected=_PASSAGE):
        passage = _passage(line, path=path, number=number)
        if passage.id in items:
            raise refused(path, number, f"the id {passage.id!r} was there before", expected="each id once")
        # Some corpora have passages without any text. Importing would leave these out, and what is too long, too.
        holds = passage.text and len(passage.text) <= MAX_TEXT_LENGTH
        items[passage.id] = _item(passage, fields, path=path, number=number) if holds else None
    return items, sum(item is None for item in items.values())


def _passage(line: Mapping[str, object], *, path: Path, number: int) -> Passage:
    id_ = text_in(line.get("_id"), path=path, number=number, name="_id", expected=_PASSAGE)
    text, title = line.get("text"), line.get("title") or ""
    if not isinstance(text, str) or not isinstance(title, str):
        raise refused(path, number, "text or title is missing or no text", expected=_PASSAGE)
    return Passage(
        id_, ": ".join(filter(None, (title.strip(), text.strip()))), mapping_in(line.get("metadata"))
    )


def _item(passage: Passage, fields: Fields, *, path: Path, number: int) -> MemoryItem:
    try:
        return check_item({"text": passage.text, "source": passage.id, **fields.item(passage)})
    except InvalidInput as error:
        reason = error.message.removeprefix("Item 0: ").rstrip(".")
        raise refused(path, number, reason, expected=_PASSAGE) from error


def _evidence(path: Path, *, known: Mapping[str, MemoryItem | None]) -> dict[str, set[str]]:
    """Passages judged relevant (score above 0), by the id of the query."""
    evidence: dict[str, set[str]] = {}
    for number, (query, passage, score) in table_lines(path, fields=3, expected=_JUDGED):
        if number == 1 and query == _HEADER:
            continue
        try:
            relevant = int(score) > 0
        except ValueError as error:
            raise refused(path, number, f"the score {score!r} is no number", expected=_JUDGED) from error
        if relevant and passage not in known:
            raise refused(path, number, f"{passage!r} is not in the corpus", expected="a whole corpus.jsonl")
        if relevant:
            evidence.setdefault(query, set()).add(passage)
    return evidence


def _questions(path: Path, evidence: Mapping[str, set[str]], fields: Fields) -> tuple[Question, ...]:
    """The queries that were judged: a folder holds those of all splits, and judgements of one."""
    questions, seen = [], set()
    for number, line in json_lines(path, expected=_QUERY):
        id_ = text_in(line.get("_id"), path=path, number=number, name="_id", expected=_QUERY)
        text = text_in(line.get("text"), path=path, number=number, name="text", expected=_QUERY)
        seen.add(id_)
        if id_ in evidence:
            metadata = mapping_in(line.get("metadata"))
            gold = frozenset(evidence[id_])
            questions.append(Question(text, gold, fields.kind(metadata), fields.group(metadata)))
    missing = sorted(set(evidence) - seen)
    if missing or not questions:
        named = f"the query {missing[0]!r}, which has judgements," if missing else "a query with judgements"
        raise InvalidInput(f"{path} does not have {named}.", hint="Is the file whole?", path=str(path))
    return tuple(questions)


def _kind(metadata: Metadata) -> str:
    kind, hops = metadata.get("type"), metadata.get("hops")
    return str(kind) if kind else f"{hops} hops" if hops else "all"


_PLAIN = Fields(
    item=lambda passage: {"provenance": Provenance.IMPORTED}, kind=_kind, group=lambda metadata: ""
)
