"""Small values for tests: memories, hits, and engines around FakeModel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from aspen.activation_db import HeadSet
from aspen.engine import Engine
from aspen.items import check_item, memory_id
from aspen.memory_graph import PriorityFacts
from aspen.models import HeadRef
from aspen.repository import NewMemory, Repository, to_microseconds
from aspen.resonance_search import Query, SearchResult
from aspen.testing.fake_model import FakeModel
from aspen.types import FloatArray, Hit, Memory, MemoryItem, Provenance

NOON = datetime(2026, 5, 8, 12, tzinfo=UTC)

FACTS = (
    "My sister Mara moved to Lisbon last year.",
    "The flaky test was fixed by pinning the clock.",
    "I am allergic to peanuts, so no satay.",
    "Our cat is called Biscuit.",
    "The boiler makes a noise when it rains.",
)


def memory(
    text: str = "Mara lives in Lisbon.",
    *,
    seq: int = 1,
    speaker: str | None = "Ann",
    said_at: datetime | None = NOON,
    provenance: Provenance = Provenance.SAID,
) -> Memory:
    return Memory(
        id=f"m_{seq}",
        seq=seq,
        text=text,
        speaker=speaker,
        said_at=said_at,
        conversation="c",
        source=None,
        provenance=provenance,
        created_at=NOON,
        token_count=len(text.split()),
    )


def hit(of: Memory, *, score: float = 1.0) -> Hit:
    return Hit(memory=of, score=score, arms={"keyword": score}, paths=(), familiarity=0.0)


def open_engine(repository: Repository, *, cache_dir: Path, model: FakeModel | None = None) -> Engine:
    return Engine.start(
        model or FakeModel(), repository=repository, cache_dir=cache_dir, notify=lambda message: None
    )


def encoded(engine: Engine, items: Sequence[MemoryItem | str]) -> list[NewMemory]:
    checked = [check_item(MemoryItem(item) if isinstance(item, str) else item) for item in items]
    return engine.encode([(memory_id(item), item) for item in checked])


def remember(engine: Engine, items: Sequence[MemoryItem | str]) -> list[Memory]:
    engine.claim_store()
    return engine.repository.add(encoded(engine, items))


def query(engine: Engine, text: str) -> Query:
    encoded, _ = engine.encoder.encode_query(text)
    return Query(text, encoded.pooled, encoded.heads)


def head_set(model: FakeModel, refs: Sequence[HeadRef]) -> HeadSet:
    """These heads of the model, their keys coded as those of FACTS are."""
    ids = [model.tokenize(text) for text in FACTS]
    captured = model.capture_with_heads(ids, layers=[0], heads=refs)
    return HeadSet.of(
        model, refs, memories=[one.keys for one in captured], prompts=[one.queries for one in captured]
    )


def found(engine: Engine, result: SearchResult) -> list[str]:
    """Texts of the hits, best first."""
    seqs = [int(result.seqs[ranked.row]) for ranked in result.ranked]
    return [memory.text for memory in engine.repository.get_by_seq(seqs)]


def drawn(*shape: int, seed: int = 0) -> FloatArray:
    """Standard normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def skewed(n: int, *, seed: int = 0) -> FloatArray:
    """Pooled vectors [n, 2, 6] with a mean of their own and one massive, correlated dimension."""
    raw = drawn(n, 2, 6, seed=seed)
    raw[:, :, 1] = 30 * raw[:, :, 1] + 5 * raw[:, :, 0]
    return np.asarray(raw + np.arange(6), dtype=np.float32)


def like_new(n: int) -> PriorityFacts:
    """What the priority of `n` memories depends on that were just stored and are nothing special."""
    return PriorityFacts(
        types=np.array(["episodic"] * n),
        stabilities=np.array(["tentative"] * n),
        importances=np.full(n, 0.6),
        emotions=np.zeros(n),
        counts=np.zeros(n, dtype=np.int64),
        used_at=np.full(n, to_microseconds(NOON)),
    )
