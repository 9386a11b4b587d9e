"""Stores of any size within seconds: the texts that ship with Aspen, varied, with their keys, varied.

Encoding ten thousand texts takes minutes and is no part of a recall. So some hundred turns are encoded for real;
each synthetic memory takes one of them, with a fifth of its words drawn from all turns, and its key with noise of
a fifth of the spread of each dimension. Word frequencies, text lengths and distances of keys stay realistic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np

from aspen.activation_db import EncodedText, KeyCode
from aspen.activation_db.calibration import calibration_text
from aspen.engine import Engine
from aspen.items import memory_id
from aspen.repository import NewMemory
from aspen.resonance_search import analyse, dated_text, mentions_in, subject_of
from aspen.types import FloatArray, MemoryItem, MemoryType

_CONVERSATION, _SESSION = 500, 20  # memories
_CHANGED = 0.2
_START = datetime(2024, 1, 1, 9, tzinfo=UTC)
_AT_ONCE = 1000


@dataclass(frozen=True)
class Seeds:
    """Encoded turns. pooled: float32 [n, K, D]; spread: its standard deviation over turns [K, D]."""

    turns: list[str]
    words: list[str]
    encoded: list[EncodedText]
    code: KeyCode
    pooled: FloatArray
    spread: FloatArray

    @classmethod
    def encode(cls, engine: Engine, *, count: int) -> Self:
        """Run the model over the first `count` turns of the calibration text."""
        turns = calibration_text()[0][:count]
        encoded = engine.encoder.encode(turns)
        keys = np.stack([np.frombuffer(text.key, dtype=np.uint8) for text in encoded])
        code = engine.encoder.key_code
        pooled = code.decode(keys)
        words = [word for turn in turns for word in turn.split()]
        return cls(turns, words, encoded, code, pooled, pooled.std(axis=0))

    def memory(
        self,
        number: int,
        random: np.random.Generator,
        *,
        source: str = "bench",
        kind: MemoryType = MemoryType.EPISODIC,
    ) -> NewMemory:
        """A synthetic memory, ready to be stored: the `number`-th of its store."""
        pick = int(random.integers(len(self.turns)))
        speaker, _, text = self.turns[pick].partition(": ")
        words = [
            self.words[int(random.integers(len(self.words)))] if random.random() < _CHANGED else word
            for word in text.split()
        ]
        noise = random.standard_normal(self.spread.shape).astype(np.float32) * self.spread * _CHANGED
        session, turn = divmod(number, _SESSION)
        item = MemoryItem(
            text=" ".join(words),
            speaker=speaker,
            said_at=_START + timedelta(days=session, minutes=turn),
            conversation=f"conversation {number // _CONVERSATION}",
            source=f"{source}:{number}",
            type=kind,
        )
        terms = analyse(dated_text(item.text, speaker=item.speaker, said_at=item.said_at))
        encoded = self.encoded[pick]
        return NewMemory(
            memory_id(item),
            item,
            datetime.now(UTC),
            encoded.token_count,
            terms,
            self.code.encode(self.pooled[pick] + noise),
            subject=subject_of(item.text, speaker=speaker),
            mentions=mentions_in(item.text, speaker=speaker, n_terms=len(terms)),
            traits=encoded.traits,
            head_keys=encoded.head_keys,
        )


def fill(engine: Engine, seeds: Seeds, *, count: int, types: Sequence[str] = ()) -> None:
    """Put `count` synthetic memories into the engine's store; `types` are theirs, all are episodic without it."""
    kinds = [MemoryType(kind) for kind in types] or [MemoryType.EPISODIC] * count
    engine.claim_store()
    random = np.random.default_rng(count)
    for start in range(0, count, _AT_ONCE):
        numbers = range(start, min(start + _AT_ONCE, count))
        engine.repository.add(
            [seeds.memory(number, random, kind=kinds[number]) for number in numbers], stamp=engine.stamp
        )
