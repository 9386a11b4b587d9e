"""Packed columns -> arrays. Postgres sends integers and floats with the highest byte first; NULL stands for no rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aspen.repository._rows import Row, tags_of
from aspen.repository.values import AccessRows, EdgeRows, MemoryRows, Postings, PriorityRows, TraitRows

BLOCK = 16_384
"""Rows in one packed block: 5 MB of keys. A packed value of Postgres ends at 1 GB."""


def int64_of(packed: bytes | None) -> NDArray[np.int64]:
    """The values of `int8send`, int64 [n]."""
    return np.frombuffer(packed or b"", dtype=">i8").astype(np.int64)


def int32_of(packed: bytes | None) -> NDArray[np.int32]:
    """The values of `int4send`, int32 [n]."""
    return np.frombuffer(packed or b"", dtype=">i4").astype(np.int32)


def float64_of(packed: bytes | None) -> NDArray[np.float64]:
    """The values of `float8send`, float64 [n]."""
    return np.frombuffer(packed or b"", dtype=">f8").astype(np.float64)


def postings_of(row: Row) -> Postings:
    seqs, positions = row
    return Postings(seqs=int64_of(seqs), positions=int32_of(positions))


def edge_rows_of(row: Row) -> EdgeRows:
    sources, targets, types, weights, provenances = row
    return EdgeRows(
        sources=int64_of(sources),
        targets=int64_of(targets),
        types=types or [],
        weights=float64_of(weights),
        provenances=provenances or [],
    )


def access_rows_of(row: Row) -> AccessRows:
    return AccessRows(*map(int64_of, row))


def trait_rows_of(row: Row) -> TraitRows:
    seqs, names, values = row
    return TraitRows(
        seqs=int64_of(seqs),
        names=names or [],
        values=np.frombuffer(values or b"", dtype=">f4").astype(np.float32),
    )


def priority_rows_of(row: Row) -> PriorityRows:
    seqs, types, stabilities, importances, emotions, counts, used_at = row
    return PriorityRows(
        seqs=int64_of(seqs),
        types=types or [],
        stabilities=stabilities or [],
        importances=float64_of(importances),
        emotions=float64_of(emotions),
        counts=int64_of(counts),
        used_at=int64_of(used_at),
    )


_NUMBERS: tuple[Callable[[bytes | None], NDArray[Any]], ...] = (
    float64_of,
    float64_of,
    int64_of,
    int64_of,
    int32_of,
    int32_of,
)


def memory_rows_of(block_after: Callable[[int], Row], *, key_size: int) -> MemoryRows:
    """All blocks joined. `block_after` gives the block of rows whose seqs come after a seq, empty at the end."""
    seqs, keys = [], []
    texts: list[list[Any]] = [[] for _ in range(7)]
    numbers: list[list[NDArray[Any]]] = [[] for _ in _NUMBERS]
    after, count = 0, BLOCK
    while count == BLOCK:
        count, packed_seqs, *columns, bodies = block_after(after)
        seqs.append(int64_of(packed_seqs))
        for column, values in zip(texts, columns[: len(texts)], strict=True):
            column.extend(values or [])
        for parts, unpack, packed in zip(numbers, _NUMBERS, columns[len(texts) :], strict=True):
            parts.append(unpack(packed))
        keys.append(keys_of(bodies, count=count, size=key_size))
        after = int(seqs[-1][-1]) if count else after
    conversations, speakers, subjects, provenances, types, stabilities, tags = texts
    importances, emotions, created_at, said_at, token_counts, term_counts = map(np.concatenate, numbers)
    return MemoryRows(
        seqs=np.concatenate(seqs),
        conversations=conversations,
        speakers=speakers,
        subjects=subjects,
        provenances=provenances,
        types=types,
        stabilities=stabilities,
        importances=importances,
        emotions=emotions,
        tags=[tags_of(own) for own in tags],
        created_at=created_at,
        said_at=said_at,
        token_counts=token_counts,
        term_counts=term_counts,
        keys=np.concatenate(keys),
    )


def keys_of(packed: bytes | None, *, count: int, size: int) -> NDArray[np.uint8]:
    """Keys one after another -> uint8 [count, size]."""
    return np.frombuffer(packed or b"", dtype=np.uint8).reshape(count, size)
