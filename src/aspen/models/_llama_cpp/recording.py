"""Recording a session: the residual stream and the queries of every block, read while a pass runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from aspen.errors import InvalidInput, ModelError
from aspen.models._llama_cpp.graph import Places
from aspen.models._llama_cpp.heads import HeadLayout
from aspen.models._llama_cpp.library import Library
from aspen.models._llama_cpp.watch import Take
from aspen.models.interface import AttentionInputs, ModelInfo
from aspen.types import FloatArray, TokenIds


class Recorder:
    """Keeps what one session feeds. Implements `RawRecording`.

    Between `begin` and `end` lies one pass. Keys are taken from the cache of the session when the recording is closed;
    with a sliding window, outside of which llama.cpp writes nothing down, they are read in each pass like the queries.

    Parameters
    ----------
    windows:
        Of each block the tokens that its attention sees, or None for all of them.
    """

    def __init__(
        self,
        library: Library,
        *,
        info: ModelInfo,
        places: Places,
        layout: HeadLayout,
        windows: tuple[int | None, ...],
    ) -> None:
        self.is_open = True
        self.keys_of: Callable[[], FloatArray] | None = None
        self._library = library
        self._info = info
        self._places = places
        self._layout = layout
        self._windows = windows
        self._watches_keys = any(windows)
        self._step: _Step | None = None
        self._rewinds = 0
        self._ids = np.empty(0, dtype=np.int32)
        self._ran = np.empty(0, dtype=np.bool_)
        self._hidden: list[FloatArray] = []  # per step [L + 1, n, D]
        self._queries: list[FloatArray] = []  # per step [L, n, H x head_dim]
        self._keys: list[FloatArray] = []  # per step [L, n, H_kv x head_dim], where they are watched
        self._cached: FloatArray | None = None  # [L, H_kv, T, head_dim], once the recording is closed

    def begin(self, token_ids: TokenIds, *, places: Places) -> dict[int, Take]:
        """A pass over int32 [n] begins; what is to be read in it, by place."""
        step = self._step = _Step(
            token_ids, info=self._info, head_dim=places.head_dim, with_keys=self._watches_keys
        )
        targets = [_Target(array) for array in (step.hidden, step.queries, step.keys)]
        take: dict[int, Take] = {}
        for place, kind, layer in _reading_order(places, with_keys=self._watches_keys):
            target = targets[kind]
            take[place] = partial(self._copy, target.address + layer * target.size, target.size)
        return take

    def end(self) -> None:
        """The pass is done: keep it."""
        step, self._step = self._step, None
        if step is None:
            raise ModelError("A pass ended that had not begun.")
        self._add(step.token_ids, ran=True)
        self._hidden.append(step.hidden)
        self._queries.append(step.queries)
        self._keys.append(step.keys)

    def put(self, token_ids: TokenIds) -> None:
        """Tokens [n] came into the cache without running."""
        step = _Step(token_ids, info=self._info, head_dim=self._places.head_dim, with_keys=False)
        self._add(token_ids, ran=False)
        self._hidden.append(np.zeros_like(step.hidden))
        self._queries.append(np.zeros_like(step.queries))

    def rewind(self, length: int) -> None:
        """Forget the tokens from `length` on."""
        self._rewinds += 1
        self._ids, self._ran = self._ids[:length], self._ran[:length]
        self._hidden, self._queries, self._keys = (
            _cut(steps, length) for steps in (self._hidden, self._queries, self._keys)
        )

    def close(self) -> None:
        """Nothing is recorded any more; what was can be read, but for keys where the interpreter shuts down."""
        if sys.is_finalizing():
            return
        if self.is_open and len(self._ids) and not self._watches_keys:
            self._cached = self._from_cache()
        self.is_open = False
        self.keys_of = None

    def token_ids(self) -> TokenIds:
        """int32 [T]"""
        self._require_something()
        return self._ids

    def ran(self) -> NDArray[np.bool_]:
        """bool [T]"""
        self._require_something()
        return self._ran

    def rewinds(self) -> int:
        """See `RawRecording.rewinds`."""
        return self._rewinds

    def hidden_states(self) -> FloatArray:
        """float32 [L + 1, T, D]; put together anew at each call."""
        self._require_something()
        return np.concatenate(self._hidden, axis=1)

    def attention_inputs(self, layer: int) -> AttentionInputs:
        """See `RawRecording`. A model whose attention cannot be expressed so is not loaded at all."""
        self._require_something()
        info = self._info
        if not 0 <= layer < info.n_layers:
            raise InvalidInput(f"Attention layers are 0 to {info.n_layers - 1}, not {layer}.")
        attention = self._places.attention[layer]
        queries = self._heads(self._queries, layer, heads=info.n_heads)
        if self._watches_keys:
            keys = self._heads(self._keys, layer, heads=info.n_kv_heads)
        else:
            keys = (self._cached if self._cached is not None else self._from_cache())[layer]
        return AttentionInputs(queries, keys, attention.scale, attention.softcap, self._windows[layer])

    def _heads(self, steps: list[FloatArray], layer: int, *, heads: int) -> FloatArray:
        """float32 [heads, T, head_dim] of one block."""
        flat = np.concatenate([step[layer] for step in steps])
        return self._layout.ours(flat.reshape(len(flat), heads, -1).transpose(1, 0, 2))

    def _from_cache(self) -> FloatArray:
        if self.keys_of is None:
            raise ModelError("The session that was recorded is gone.")
        return self.keys_of()

    def _add(self, token_ids: TokenIds, *, ran: bool) -> None:
        self._ids = np.concatenate([self._ids, token_ids.astype(np.int32)])
        self._ran = np.concatenate([self._ran, np.full(len(token_ids), ran)])

    def _copy(self, target: int, size: int, tensor: int) -> None:
        given = self._library.ggml_nbytes(tensor)
        if given != size:
            name = self._library.ggml_get_name(tensor).decode()
            raise ModelError(
                f"{name} has {given} bytes, where {size} are expected.", hint="Load the model again."
            )
        self._library.ggml_backend_tensor_get(tensor, target, 0, size)

    def _require_something(self) -> None:
        if not len(self._ids):
            raise InvalidInput(
                "Nothing was recorded.", hint="Start the session inside the recording, then feed it tokens."
            )


class _Step:
    """Where the tensors of one pass over n tokens go."""

    def __init__(self, token_ids: TokenIds, *, info: ModelInfo, head_dim: int, with_keys: bool) -> None:
        count = len(token_ids)
        self.token_ids = token_ids.copy()
        self.hidden = np.empty((info.n_layers + 1, count, info.width), dtype=np.float32)
        self.queries = np.empty((info.n_layers, count, info.n_heads * head_dim), dtype=np.float32)
        self.keys = np.empty(
            (info.n_layers, count if with_keys else 0, info.n_kv_heads * head_dim), np.float32
        )


class _Target:
    """Where an array [L, ...] lies in memory: the address of its first layer, and the bytes of each."""

    __slots__ = ("address", "size")

    def __init__(self, array: FloatArray) -> None:
        self.address = array.ctypes.data
        self.size = array.nbytes // len(array)


@lru_cache(maxsize=16)
def _reading_order(places: Places, *, with_keys: bool) -> tuple[tuple[int, int, int], ...]:
    """Place, kind (0 residual stream, 1 queries, 2 keys) and layer of what is read in a pass, one after the other."""
    kinds = [places.residual, places.rotated_queries, *([places.rotated_keys] if with_keys else [])]
    return tuple(
        sorted((place, kind, layer) for kind, found in enumerate(kinds) for layer, place in enumerate(found))
    )


def _cut(steps: list[FloatArray], length: int) -> list[FloatArray]:
    """The first `length` tokens of steps [.., n, ..] that follow each other."""
    kept = []
    for step in steps:
        if length <= 0:
            break
        kept.append(step[:, :length])
        length -= step.shape[1]
    return kept
