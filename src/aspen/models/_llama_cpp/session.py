"""One sequence in the making: a KV cache in a context of its own, fed by prefill and decode."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aspen.errors import InvalidInput, ModelError
from aspen.models._llama_cpp.context import PASS_TOKENS, Context
from aspen.models._llama_cpp.graph import Places
from aspen.models._llama_cpp.heads import HeadLayout
from aspen.models._llama_cpp.library import Library
from aspen.models._llama_cpp.pool import Lease, Pool
from aspen.models._llama_cpp.recording import Recorder
from aspen.models._llama_cpp.state import CachedTokens, make_state, read_state
from aspen.models.heads import Rotary
from aspen.models.interface import ModelInfo
from aspen.models.kv import KVFragment
from aspen.types import FloatArray, TokenIds

_MOMENT = 0.0005
"""Seconds. A lock that is given back goes to whoever asks first, and who waits for it has to wake up before."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What all sequences of a model share. places: in passes over one token, and over several. windowed: whether
    some blocks see a window of the tokens only."""

    library: Library
    info: ModelInfo
    pool: Pool
    lock: threading.RLock
    places: tuple[Places, Places]
    layout: HeadLayout
    windowed: bool

    def places_for(self, count: int) -> Places:
        """In a pass over `count` tokens."""
        return self.places[count > 1]

    @property
    def head_dim(self) -> int:
        """Dimensions of a head."""
        return self.places[0].head_dim


def cut(token_ids: TokenIds) -> Iterator[TokenIds]:
    """The passes that a sequence is run in, with a moment between them in which other threads may take their turn."""
    for start in range(0, len(token_ids), PASS_TOKENS):
        if start:
            time.sleep(_MOMENT)
        yield token_ids[start : start + PASS_TOKENS]


class LlamaCppSession:
    """Implements `Session`.

    A prompt's last token runs by itself: those before it then need no logits, recorded or not, and all passes are the
    same with a recording and without.
    """

    def __init__(
        self, parts: Parts, *, recorder: Recorder | None, rotaries: Callable[[], Sequence[Rotary]]
    ) -> None:
        """`rotaries` gives the rotary embedding of each block; ModelError where KV fragments are refused."""
        self._parts = parts
        self._rotaries = rotaries
        self._recorder = recorder
        self._lease = Lease(parts.pool, watched=recorder is not None)
        self._lease.bind(self)
        self._ids: TokenIds = np.empty(0, dtype=np.int32)
        self._broken = False
        self._moved_at = 0  # tokens that were there when the cache moved to a larger context
        if recorder is not None:
            recorder.keys_of = self._rotated_keys  # which keeps this session until the recording is closed

    @property
    def length(self) -> int:
        return len(self._ids)

    def prefill(self, token_ids: TokenIds) -> FloatArray:
        """float32 [V]; see `Session.prefill`. Raises PromptTooLong where the context would overflow."""
        self._parts.info.check_token_ids(token_ids)
        self._reserve(len(token_ids))
        with self._step():
            for chunk in cut(token_ids[:-1]):
                self._run(chunk, outputs=0)
            return self._run(token_ids[-1:], outputs=1).reshape(-1)

    def prefill_each(self, token_ids: TokenIds) -> FloatArray:
        """float32 [n, V]; see `Session.prefill_each`. Raises as `prefill` does."""
        self._parts.info.check_token_ids(token_ids)
        self._reserve(len(token_ids))
        with self._step():
            return np.concatenate([self._run(chunk, outputs=len(chunk)) for chunk in cut(token_ids)])

    def decode(self, token_id: int) -> FloatArray:
        """float32 [V]; see `Session.decode`."""
        if not 0 <= token_id < self._parts.info.vocab_size:
            raise InvalidInput(f"Token ids must lie in 0..{self._parts.info.vocab_size - 1}, not {token_id}.")
        self._reserve(1)
        with self._step():
            return self._run(np.array([token_id], dtype=np.int32), outputs=1).reshape(-1)

    def rewind(self, length: int) -> None:
        """See `Session.rewind`."""
        self._require_whole()
        if not 0 <= length <= self.length:
            raise InvalidInput(f"A session of {self.length} tokens cannot be rewound to {length}.")
        if length == self.length:
            return
        self._broken = True
        # What moves are the tokens that blocks with a window still see: those before are lost.
        lost = self._parts.windowed and 0 < length < self._moved_at
        if lost or not self._context(self.length).cut(length):
            raise ModelError(
                "The cache has let go of earlier tokens and cannot be rewound.", hint="Start a new session."
            )
        self._broken = False
        if self._recorder is not None and self._recorder.is_open:
            self._recorder.rewind(length)
        self._ids = self._ids[:length]

    def put(self, fragment: KVFragment) -> None:
        """See `Session.put`. The library itself turns the keys from the beginning of a text to where they land."""
        self._require_whole()
        rotaries = self._rotaries()
        parts = self._parts
        parts.info.check_fragment(fragment, head_dim=parts.head_dim)
        count = len(fragment.token_ids)
        self._require_room(count)
        positions = np.arange(count)
        keys = np.stack(
            [rotary.rotate(own, positions) for rotary, own in zip(rotaries, fragment.keys, strict=True)]
        )
        cached = CachedTokens(_flat(parts.layout.theirs(keys)), _flat(fragment.values))
        with parts.lock:
            context = self._context(self.length + count + 1)  # one token more is run and forgotten
            with self._step():
                context.append(make_state(cached), length=count, at=self.length)
                if self._recorder is not None and self._recorder.is_open:
                    self._recorder.put(fragment.token_ids)
                self._ids = np.concatenate([self._ids, fragment.token_ids.astype(np.int32)])

    def fragment(self, start: int, stop: int) -> KVFragment:
        """See `Session.fragment`."""
        self._require_whole()
        rotaries = self._rotaries()
        if not 0 <= start < stop <= self.length:
            raise InvalidInput(f"A session of {self.length} tokens has no tokens {start} to {stop}.")
        parts = self._parts
        with parts.lock:
            cached = read_state(self._lease.context(self.length).state())
        keys, values = (_by_head(part[:, start:stop], parts.info) for part in (cached.keys, cached.values))
        positions = np.arange(start, stop)
        unrotated = [
            rotary.rotate_back(parts.layout.ours(own), positions)
            for rotary, own in zip(rotaries, keys, strict=True)
        ]
        return KVFragment(self._ids[start:stop].copy(), np.stack(unrotated), values.astype(np.float32))

    def _rotated_keys(self) -> FloatArray:
        """Of the tokens in the cache, float32 [L, H_kv, length, head_dim]."""
        with self._parts.lock:
            cached = read_state(self._lease.context(self.length).state())
        # Behind them lies what a pass left that failed.
        return self._parts.layout.ours(_by_head(cached.keys[:, : self.length], self._parts.info))

    @contextlib.contextmanager
    def _step(self) -> Iterator[None]:
        """What is begun within it and not ended leaves a session that can be used no more."""
        self._broken = True
        yield
        self._broken = False

    def _run(self, chunk: TokenIds, *, outputs: int) -> FloatArray:
        """One pass; the logits after its last `outputs` tokens, float32 [outputs, V]."""
        parts, count, start = self._parts, len(chunk), self.length
        with parts.lock:
            context = self._context(start + count)
            recorder = self._recorder if self._recorder is not None and self._recorder.is_open else None
            if recorder is None:
                context.run(chunk, start=start, outputs=outputs)
            else:
                places = parts.places_for(count)
                take = recorder.begin(chunk, places=places)
                # The last layer is computed for tokens with outputs only. Where no logits are wanted, the pass ends
                # behind it.
                context.run(
                    chunk,
                    start=start,
                    outputs=count,
                    take=take,
                    names=places.names,
                    lasting=places.lasting,
                    stop=not outputs,
                )
            logits = [context.logits(row) for row in range(count - outputs, count)]
            if recorder is not None:
                recorder.end()
            self._ids = np.concatenate([self._ids, chunk.astype(np.int32)])
        return np.stack(logits) if logits else np.empty((0, parts.info.vocab_size), dtype=np.float32)

    def _reserve(self, count: int) -> None:
        """Make room for so many tokens more: growing once is cheaper than with each pass."""
        self._require_room(count)
        with self._parts.lock:
            self._context(self.length + count)

    def _context(self, tokens: int) -> Context:
        """One that has room for so many tokens, with those of this sequence in it."""
        before = self._lease.held
        context = self._lease.context(tokens)
        if before is not None and context is not before:
            self._moved_at = self.length
        return context

    def _require_whole(self) -> None:
        self._parts.library.check_process()  # before the lock, which another thread may have held at the fork
        if self._broken:
            raise ModelError("An earlier step of this session failed half-way.", hint="Start a new session.")

    def _require_room(self, count: int) -> None:
        self._require_whole()
        self._parts.info.check_room(self.length + count)


def _flat(vectors: FloatArray) -> NDArray[np.float16]:
    """[L, H_kv, n, head_dim] as the cache holds it: float16 [L, n, H_kv x head_dim]."""
    n_layers, heads, count, width = vectors.shape
    if not np.abs(vectors).max() <= np.finfo(np.float16).max:
        raise InvalidInput(
            "The fragment has numbers that are not finite or too large for a cache in float16."
        )
    return vectors.transpose(0, 2, 1, 3).reshape(n_layers, count, heads * width).astype(np.float16)


def _by_head(rows: NDArray[np.float16], info: ModelInfo) -> FloatArray:
    """[L, n, H_kv x head_dim] as float32 [L, H_kv, n, head_dim]."""
    split = rows.reshape(*rows.shape[:2], info.n_kv_heads, -1)
    return np.ascontiguousarray(split.transpose(0, 2, 1, 3), dtype=np.float32)
