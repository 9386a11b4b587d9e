"""How a recall is told to a person: in a table, and what each arm did."""

from __future__ import annotations

from aspen.cli._screen import as_data, date_of, on_terminal, one_line, put, put_table, say
from aspen.types import Hit, HitPath, Memory, Recall

_PARTS = ("activation", "keyword", "heads", "vector", "neighbours", "names", "rerank")
_OTHER = "other"


def recall_data(recall: Recall) -> dict[str, object]:
    """A recall as plain data for JSON."""
    return {**as_data(recall), "familiarity": recall.familiarity}


def put_recall(recall: Recall) -> None:
    """A table with a row for each hit, best first."""
    scored = [_columns(hit) for hit in recall.hits]
    parts = list(dict.fromkeys(name for columns in scored for name in columns))
    parts.sort(key=[*_PARTS, _OTHER].index)
    scores = [
        _scores(rank, hit, [columns.get(name) for name in parts])
        for rank, (hit, columns) in enumerate(zip(recall.hits, scored, strict=True), start=1)
    ]
    texts = [hit.memory.text for hit in recall.hits]
    facts = [_facts(hit.memory) for hit in recall.hits]
    if on_terminal():
        names = [*map(_short, ["#", "score", *parts, "familiar"]), "memory"]
        rows = [[*row, text] for row, text in zip(scores, texts, strict=True)]
        below = [" · ".join(filter(None, row)) for row in facts]
        put_table(names, rows, numbers=names[:-1], below=below)
    else:
        names = ["#", "score", *parts, "familiar", "date", "speaker", "id", "text"]
        put_table(names, [[*row, *fact, text] for row, fact, text in zip(scores, facts, texts, strict=True)])


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
    """A sentence for each arm that did not run, with the reason."""
    return [f"{arm.name} did not run: {arm.reason}" for arm in recall.arms if not arm.ran]


def put_paths(recall: Recall, known: dict[str, Memory]) -> None:
    """The ways that activation took to each hit; `known` has every memory that stands on one."""
    for rank, hit in enumerate(recall.hits, start=1):
        put(f"{rank}. {one_line(hit.memory.text, most=70)}")
        put("   " + ", ".join(f"{name} {value:+.2f}" for name, value in hit.arms.items() if value))
        if not hit.paths:
            put("   no paths: no activation came to it from other memories")
        for path in hit.paths:
            via = f"  (over the name {path.via})" if path.via else ""
            put(f"   {path.contribution:+.3f}  {_steps(path, known)}{via}")


def _steps(path: HitPath, known: dict[str, Memory]) -> str:
    texts = [one_line(known[id_].text, most=40) if id_ in known else id_ for id_ in path.memories]
    return " -> ".join(texts)


def _columns(hit: Hit) -> dict[str, float]:
    """The parts of a score that have a column of their own, and the sum of all others."""
    columns = {name: value for name, value in hit.arms.items() if name in _PARTS}
    others = [value for name, value in hit.arms.items() if name not in _PARTS]
    return {**columns, _OTHER: sum(others)} if others else columns


def _scores(rank: int, hit: Hit, parts: list[float | None]) -> list[str]:
    scores = ["" if value is None else f"{value:+.2f}" for value in parts]
    return [str(rank), f"{hit.score:.2f}", *scores, f"{hit.familiarity:.2f}"]


def _facts(memory: Memory) -> list[str]:
    return [date_of(memory.said_at), memory.speaker or "", memory.id]
