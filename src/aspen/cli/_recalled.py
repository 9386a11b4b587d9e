"""How a recall is told to a person: in a table, and what each arm did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from aspen.aspen import Aspen
from aspen.cli._screen import as_data, date_of, on_terminal, one_line, put, put_table, say, width
from aspen.cli._standing import correction
from aspen.memory_agent import Evidence
from aspen.types import ActivatedMemory, Hit, HitPath, Memory, Recall, RecallFrame

_PARTS = (
    "activation",
    "keyword",
    "heads",
    "vector",
    "neighbours",
    "names",
    "relations",
    "priority",
    "rerank",
)
_FIRST, _LAST = ("#", "score"), ("familiar",)
_SELDOM = frozenset({"relations", "priority"})
"""Parts that get a column only where one of them shows."""
_SHOWS = 0.005
_OTHER = "other"
_FIRST_TO_GO = (
    "priority",
    "names",
    "neighbours",
    "heads",
    "vector",
    "rerank",
    "relations",
    "keyword",
    "activation",
)
"""Where a terminal is too narrow, these parts are counted as other ones, in this order."""
_RANK = 4
"""Width of the first column."""
_LONGEST = 200
"""Characters of a memory on a terminal: longer ones would push the other hits off the screen."""
_ROOM = 24
"""Characters that a memory needs beside its score."""


def recall_data(recall: Recall) -> dict[str, object]:
    """A recall as plain data for JSON; with its explanation where there is one."""
    data: dict[str, object] = as_data(recall)
    if recall.explanation is None:
        del data["explanation"]
    return data


def put_recall(recall: Recall) -> None:
    """A table with a row for each hit, best first."""
    own = _own_columns(recall.hits)
    scored = [_columns(hit, own) for hit in recall.hits]
    parts = sorted({name for columns in scored for name in columns}, key=[*_PARTS, _OTHER].index)
    scores = [
        _scores(rank, hit, [columns.get(name) for name in parts])
        for rank, (hit, columns) in enumerate(zip(recall.hits, scored, strict=True), start=1)
    ]
    texts = [hit.memory.text for hit in recall.hits]
    if on_terminal():  # `aspen show` has the rest
        texts = [one_line(text, most=_LONGEST) for text in texts]
    facts = [_facts(hit.memory) for hit in recall.hits]
    corrected = [hit.corrected_by for hit in recall.hits]
    if on_terminal():
        names = [*map(_short, [*_FIRST, *parts, *_LAST]), "memory"]
        rows = [[*row, text] for row, text in zip(scores, texts, strict=True)]
        below = [
            " · ".join(filter(None, [*row, correction(newer)]))
            for row, newer in zip(facts, corrected, strict=True)
        ]
        put_table(names, rows, numbers=names[:-1], below=below)
    else:
        names = [*_FIRST, *parts, *_LAST, "date", "type", "speaker", "id", "corrected_by", "text"]
        columns = zip(scores, facts, corrected, texts, strict=True)
        put_table(names, [[*row, *fact, newer or "", text] for row, fact, newer, text in columns])


def _own_columns(hits: Sequence[Hit]) -> set[str]:
    """The parts of a score that have a column of their own; on a terminal, as many as leave room for the memory."""

    def shows(part: str) -> bool:
        return any(abs(hit.arms.get(part, 0.0)) >= _SHOWS for hit in hits)

    there = {name for hit in hits for name in hit.arms}
    own = {name for name in _PARTS if name in there and (name not in _SELDOM or shows(name))}
    if not on_terminal():
        return own
    for name in (*(name for name in _FIRST_TO_GO if not shows(name)), *_FIRST_TO_GO):
        taken = sum(max(len(_short(column)), 5) + 2 for column in (*_FIRST[1:], *own, _OTHER, *_LAST))
        if width() - taken - _RANK >= _ROOM:
            break
        own.discard(name)
    return own


def _short(name: str) -> str:
    """A heading that leaves room for the text on a terminal of 80 characters."""
    return name if len(name) <= 8 else f"{name[:5]}."


def say_how(recall: Recall) -> None:
    """Which arms ran, why one did not, how deep the forward pass went, and how long all of it took."""
    ran = ", ".join(f"{arm.name} ({arm.seconds * 1000:.1f} ms)" for arm in recall.arms if arm.ran) or "none"
    took = recall.seconds * 1000
    say(f"{len(recall.hits)} of {recall.candidates:,} memories in {took:.0f} ms; arms that ran: {ran}")
    if recall.partial_pass is not None:
        run = recall.partial_pass
        say(
            f"partial forward pass: {run.depth} of {run.n_layers} blocks, {run.tokens} tokens, "
            f"{run.seconds * 1000:.0f} ms"
        )
    for reason in missing_arms(recall):
        say(reason)
    if recall.candidates == 1:
        say(_alone(recall))


def _alone(recall: Recall) -> str:
    """Why the score of an only candidate says nothing."""
    sentence = "One candidate: there was nothing to rank it against"
    compared = any(arm.name == "activation" and arm.ran for arm in recall.arms)
    return f"{sentence}; `familiar` says how near it is." if compared else f"{sentence}."


def missing_arms(recall: Recall) -> list[str]:
    """Which arms did not run, and why: a sentence for each reason."""
    names: dict[str, list[str]] = {}
    for arm in recall.arms:
        if not arm.ran:
            names.setdefault(arm.reason, []).append(arm.name)
    return [f"{' and '.join(same)} did not run: {reason}" for reason, same in names.items()]


def memories_on_paths(aspen: Aspen, hits: Iterable[Hit | ActivatedMemory | Evidence]) -> dict[str, Memory]:
    """Every memory that stands on a path to a hit, by id; one that was forgotten meanwhile is left out."""
    ids = sorted({id_ for hit in hits for path in hit.paths for id_ in path.memories})
    return {memory.id: memory for memory in aspen.repository.get(sorted(aspen.repository.known(ids)))}


def put_ways(recall: Recall, known: Mapping[str, Memory]) -> None:
    """What each hit's score is made of, and the ways that activation took to it; `known` has the memories on them."""
    for rank, hit in enumerate(recall.hits, start=1):
        put(f"{rank}. {one_line(hit.memory.text, most=70)}")
        put("   " + ", ".join(f"{name} {value:+.2f}" for name, value in hit.arms.items() if value))
        if hit.corrected_by:
            put(f"   {correction(hit.corrected_by)}")
        if not hit.paths:
            put("   no paths: no activation came to it from other memories")
        for path in hit.paths:
            put_path(path, known, arrived=_arrived(hit, path))


def put_fusion(recall: Recall) -> None:
    """Where each candidate stood in every arm, and what fusion and spreading made of it.

    Of the hits, and of what an arm or the fusion had among its first that many, in the order before spreading.
    """
    if recall.explanation is None or not recall.explanation.fused:
        return
    told, shown = recall.explanation, max(len(recall.hits), 1)
    ranks = {name: {one.memory_id: one.rank for one in arm} for name, arm in told.arms.items()}
    rows = []
    for before, one in enumerate(told.fused, start=1):
        own = [ranks[name][one.memory_id] for name in ranks]
        if one.place is None and min([before, *own]) > shown:
            continue
        rows.append(
            [
                str(before),
                *map(str, own),
                f"{one.score:+.2f}",
                f"{sum(one.added.values()):+.2f}",
                f"{one.final:+.2f}",
                "" if one.place is None else str(one.place),
                one_line(told.memories[one.memory_id].text, most=_LONGEST),
            ]
        )
    numbers = ["fused", *map(_short, ranks), "before", "added", "after", "place"]
    put()
    put(
        "Ranks when fused and in each arm, the score before spreading, what was added, and the place among the hits"
    )
    put_table([*numbers, "memory"], rows, numbers=numbers)
    for step, frame in enumerate(told.frames[1:], start=1):
        _put_frame(step, frame)


def _put_frame(step: int, frame: RecallFrame) -> None:
    kinds = Counter(edge.relation for edge in frame.edges)
    over = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    carried = sum(edge.carried for edge in frame.edges)
    more = f"; {frame.left_out:,} more led elsewhere" if frame.left_out else ""
    put(f"hop {step}: {carried:.3f} carried over {over}{more}")


def put_path(path: HitPath, known: Mapping[str, Memory], *, arrived: float) -> None:
    """A way, with what came over it and its share of all that `arrived`."""
    share = f"{path.contribution / arrived:4.0%}" if arrived > 0 else "    "
    via = f"  (over the name {path.via})" if path.via else ""
    put(f"   {path.contribution:+.3f} {share}  {_steps(path, known)}{via}")


def _arrived(hit: Hit, path: HitPath) -> float:
    """All that came to a hit in the same manner as over this path."""
    if path.relations:
        return hit.activation
    return hit.arms.get("names" if path.via else "neighbours", 0.0)


def _steps(path: HitPath, known: Mapping[str, Memory]) -> str:
    first, *others = [one_line(known[id_].text, most=40) if id_ in known else id_ for id_ in path.memories]
    arrows = [f"--{type_}-->" for type_ in path.relations] or ["->"] * len(others)
    return first + "".join(f" {arrow} {text}" for arrow, text in zip(arrows, others, strict=True))


def _columns(hit: Hit, own: Collection[str]) -> dict[str, float]:
    """The parts of a score that have a column of their own, and the sum of all others."""
    columns = {name: value for name, value in hit.arms.items() if name in own}
    others = [value for name, value in hit.arms.items() if name not in own]
    return {**columns, _OTHER: sum(others)} if others else columns


def _scores(rank: int, hit: Hit, parts: list[float | None]) -> list[str]:
    scores = ["" if value is None else f"{value:+.2f}" for value in parts]
    return [str(rank), f"{hit.score:.2f}", *scores, f"{hit.familiarity:.2f}"]


def _facts(memory: Memory) -> list[str]:
    return [date_of(memory.said_at), memory.type.value, memory.speaker or "", memory.id]
