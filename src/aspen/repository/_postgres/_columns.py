"""Packed columns -> arrays. Postgres sends integers and floats with the highest byte first; NULL stands for no rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aspen.repository._rows import Row
from aspen.repository.values import EdgeRows, MemoryRows, Postings, TraitRows

BLOCK = 16_384
"""Rows in one packed block: 5 MB of keys. A packed value of Postgres ends at 1 GB."""


def int64_of(packed: bytes | None) -> NDArray[np.int64]:
    """The values of `int8send`, int64 [n]."""
    return np.frombuffer(packed or b"", dtype=">i8").astype(np.int64)


def int32_of(packed: bytes | None) -> NDArray[np.int32]:
    """The values of `int4send`, int32 [n]."""
    return np.frombuffer(packed or b"", dtype=">i4").astype(np.int32)


def postings_of(row: Row) -> Postings:
    seqs, positions = row
    return Postings(seqs=int64_of(seqs), positions=int32_of(positions))


def edge_rows_of(row: Row) -> EdgeRows:
    sources, targets, types, weights = row
    return EdgeRows(
        sources=int64_of(sources),
        targets=int64_of(targets),
        types=types or [],
        weights=np.frombuffer(weights or b"", dtype=">f8").astype(np.float64),
    )


def trait_rows_of(row: Row) -> TraitRows:
    seqs, names, values = row
    return TraitRows(
        seqs=int64_of(seqs),
        names=names or [],
        values=np.frombuffer(values or b"", dtype=">f4").astype(np.float32),
    )


def memory_rows_of(block_after: Callable[[int], Row], *, key_size: int) -> MemoryRows:
    """All blocks joined. `block_after` gives the block of rows whose seqs come after a seq, empty at the end."""
    parts: list[list[Any]] = [[] for _ in range(8)]
    seqs, conversations, subjects, provenances, said_at, token_counts, term_counts, keys = parts
    after, count = 0, BLOCK
    while count == BLOCK:
        count, packed_seqs, *lists, times, tokens, terms, bodies = block_after(after)
        seqs.append(int64_of(packed_seqs))
        for column, values in zip((conversations, subjects, provenances), lists, strict=True):
            column.extend(values or [])
        said_at.append(int64_of(times))
        token_counts.append(int32_of(tokens))
        term_counts.append(int32_of(terms))
        keys.append(keys_of(bodies, count=count, size=key_size))
        after = int(seqs[-1][-1]) if count else after
    return MemoryRows(
        seqs=np.concatenate(seqs),
        conversations=conversations,
        subjects=subjects,
        provenances=provenances,
        said_at=np.concatenate(said_at),
        token_counts=np.concatenate(token_counts),
        term_counts=np.concatenate(term_counts),
        keys=np.concatenate(keys),
    )


def keys_of(packed: bytes | None, *, count: int, size: int) -> NDArray[np.uint8]:
    """Keys one after another -> uint8 [count, size]."""
    return np.frombuffer(packed or b"", dtype=np.uint8).reshape(count, size)
