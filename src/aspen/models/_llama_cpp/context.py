"""One llama.cpp context: a KV cache for one sequence, and forward passes of which tensors are watched."""

from __future__ import annotations

import ctypes
import os
import signal
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aspen.errors import ModelError
from aspen.models._llama_cpp.c_api import FLASH_ATTENTION, AbortCallback, Batch, EvalCallback
from aspen.models._llama_cpp.graph import Node
from aspen.models._llama_cpp.library import Library
from aspen.models._llama_cpp.signals import DeferredSignals, send_later
from aspen.models._llama_cpp.watch import Take, Watch
from aspen.types import FloatArray, TokenIds

PASS_TOKENS = 64
"""Tokens that run through the model at once. Passes of 128 and 256 are 2 and 5 percent faster on two cores; but other
threads have to wait for the end of one, and the logits of all its tokens are reserved: 13 MB with a vocabulary of
49,152."""

_SEQUENCE, _SPARE = 0, 1
_NEVER = AbortCallback()


class Weights:
    """A model that is loaded; freed when nothing refers to it any more."""

    def __init__(self, library: Library, pointer: int) -> None:
        self.library = library
        self.pointer = pointer
        self.library.process = os.getpid()
        _free_with(self, library.llama_model_free, pointer)


class Context:
    """A KV cache for `capacity` tokens. Not to be shared between threads.

    A watched one calls back for each node of each pass, which takes some of its speed.
    """

    def __init__(self, weights: Weights, *, capacity: int, threads: int, watched: bool) -> None:
        library = weights.library
        self._weights = weights
        self._library = library
        self.capacity = capacity
        self.watched = watched
        self._watch = Watch(library)
        params = library.llama_context_default_params()
        params.n_ctx = capacity
        params.n_batch = params.n_ubatch = params.n_outputs_max = PASS_TOKENS
        params.n_outputs_max_per_seq = PASS_TOKENS
        params.n_threads = params.n_threads_batch = threads
        params.flash_attn_type = FLASH_ATTENTION
        # A second sequence, for fragments on their way, in the same cells.
        params.n_seq_max, params.kv_unified = 2, True
        params.offload_kqv = params.op_offload = False
        params.swa_full = True  # blocks with a window keep every token, so that a sequence can be rewound
        # Kept here: the library goes on calling it.
        self._callback = EvalCallback(self._watch)
        self._abort = AbortCallback(self._watch.aborts)
        if watched:
            params.cb_eval = ctypes.cast(self._callback, ctypes.c_void_p).value
        with DeferredSignals(), library.listening() as said:
            self._pointer = library.llama_init_from_model(weights.pointer, params)
        if not self._pointer:
            raise ModelError(
                f"llama.cpp could make no context of {capacity} tokens{_told(said)}.",
                hint="There may be too little memory: take a smaller model, or end other programs.",
            )
        _free_with(self, library.llama_free, self._pointer, before=weights)
        self._memory = library.llama_get_memory(self._pointer)
        self._arrays = _BatchArrays()

    def run(
        self,
        token_ids: TokenIds,
        *,
        start: int,
        outputs: int = 0,
        take: Mapping[int, Take] | None = None,
        names: tuple[str, ...] = (),
        lasting: Collection[int] = (),
        stop: bool = False,
    ) -> None:
        """One pass over int32 [n], n <= PASS_TOKENS, whose first token stands at position `start`.

        outputs: of how many tokens, counted from the end, logits are computed. take: by place in the graph, whose
        nodes have these `names`, who gets the tensor there; with `stop` the pass ends after the last of them. lasting:
        those places that can be read together with the next one.

        What a `take` raises is raised here; so is KeyboardInterrupt, behind the next node of the graph, or the whole
        pass over a single token. The cache then holds the tokens in some blocks only.
        """
        self._library.check_process()
        with DeferredSignals() as signals:
            self._watch.begin(take or {}, names=names, lasting=lasting, stop=stop, signals=signals)
            # A call for each node would cost a single token some of its speed, and it is soon over.
            abortable = signals.waits and len(token_ids) > 1
            self._library.llama_set_abort_callback(self._pointer, self._abort if abortable else _NEVER, None)
            code = self._decode(token_ids, start=start, outputs=outputs)
            self._watch.end()
        _check(code, f"{len(token_ids)} tokens behind {start}")

    def nodes_of(self, token_ids: TokenIds, *, start: int) -> list[Node]:
        """Run a pass and describe its nodes, in order. Only where it is watched."""
        with DeferredSignals():
            self._watch.begin_listing()
            code = self._decode(token_ids, start=start, outputs=len(token_ids))
            nodes = self._watch.end()
        _check(code, f"{len(token_ids)} tokens")
        return nodes

    def logits(self, row: int) -> FloatArray:
        """float32 [V] after token `row` of the last pass, which was among its outputs; a copy."""
        pointer = self._library.llama_get_logits_ith(self._pointer, row)
        if not pointer:
            raise ModelError(f"llama.cpp gave no logits for token {row} of its last pass.")
        vocabulary = self._library.llama_vocab_n_tokens(
            self._library.llama_model_get_vocab(self._weights.pointer)
        )
        return np.ctypeslib.as_array(pointer, shape=(vocabulary,)).astype(np.float32, copy=True)

    def clear(self) -> None:
        """Forget all tokens."""
        self._library.llama_memory_clear(self._memory, 0)  # the data stays, and is not read

    def cut(self, length: int) -> bool:
        """Forget the tokens from position `length` on; False where the cache cannot."""
        return bool(self._library.llama_memory_seq_rm(self._memory, _SEQUENCE, length, -1))

    def can_shift(self) -> bool:
        """Whether what is in the cache can be moved to other positions."""
        return bool(self._library.llama_memory_can_shift(self._memory))

    def state(self) -> bytes:
        """The cache of the sequence, as llama.cpp writes it down."""
        size = self._library.llama_state_seq_get_size(self._pointer, _SEQUENCE)
        raw = (ctypes.c_char * size)()
        if self._library.llama_state_seq_get_data(self._pointer, raw, size, _SEQUENCE) != size:
            raise ModelError("llama.cpp could not write down the cache of a sequence.")
        return bytes(raw)

    def restore(self, state: bytes) -> None:
        """Take over a cache that was written down, in place of what there is."""
        self._restore(state, sequence=_SEQUENCE)

    def append(self, state: bytes, *, length: int, at: int) -> None:
        """Put a cache of `length` tokens, written down as standing at 0, behind the `at` tokens that are here.

        The library turns the keys to where they land. It does so before the next pass, so one token is run and
        forgotten again: whoever reads the cache then finds them turned.
        """
        library = self._library
        self._restore(state, sequence=_SPARE)
        if at:
            library.llama_memory_seq_add(self._memory, _SPARE, 0, length, at)
        library.llama_memory_seq_cp(self._memory, _SPARE, _SEQUENCE, -1, -1)
        library.llama_memory_seq_rm(self._memory, _SPARE, -1, -1)
        self.run(np.zeros(1, dtype=np.int32), start=at + length)
        if not self.cut(at + length):
            raise ModelError("llama.cpp could not forget a token that it ran.", hint="Start a new session.")

    def _restore(self, state: bytes, *, sequence: int) -> None:
        with DeferredSignals(), self._library.listening() as said:
            read = self._library.llama_state_seq_set_data(self._pointer, state, len(state), sequence)
        if read != len(state):
            raise ModelError(f"llama.cpp could not take over the cache of a sequence{_told(said)}.")

    def _decode(self, token_ids: TokenIds, *, start: int, outputs: int) -> int:
        batch = self._arrays.fill(token_ids, start=start, outputs=outputs)
        return int(self._library.llama_decode(self._pointer, batch))


class _BatchArrays:
    """The arrays of a `llama_batch` over one sequence, used again for each pass."""

    def __init__(self) -> None:
        self._tokens = np.zeros(PASS_TOKENS, dtype=np.int32)
        self._positions = np.zeros(PASS_TOKENS, dtype=np.int32)
        self._outputs = np.zeros(PASS_TOKENS, dtype=np.int8)
        self._counts = np.ones(PASS_TOKENS, dtype=np.int32)
        self._sequence = (ctypes.c_int32 * 1)(_SEQUENCE)
        one = ctypes.cast(self._sequence, ctypes.POINTER(ctypes.c_int32))
        self._sequences = (ctypes.POINTER(ctypes.c_int32) * PASS_TOKENS)(*[one] * PASS_TOKENS)
        self._batch = Batch(
            token=_int32s(self._tokens),
            pos=_int32s(self._positions),
            n_seq_id=_int32s(self._counts),
            seq_id=ctypes.cast(self._sequences, ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
            logits=self._outputs.ctypes.data_as(ctypes.POINTER(ctypes.c_int8)),
        )

    def fill(self, token_ids: TokenIds, *, start: int, outputs: int) -> Batch:
        count = len(token_ids)
        self._tokens[:count] = token_ids
        self._positions[:count] = np.arange(start, start + count)
        self._outputs[:count] = 0
        self._outputs[count - outputs : count] = 1
        self._batch.n_tokens = count
        return self._batch


def _int32s(array: NDArray[np.int32]) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))


def _free_with(owner: object, free: Callable[[int], None], pointer: int, *, before: object = None) -> None:
    """Free what `owner` stands for once it is collected, and before `before` is.

    Not at exit: what is still open then is closed later.
    """
    weakref.finalize(owner, _free, free, pointer, os.getpid(), before).atexit = False


def _free(free: Callable[[int], None], pointer: int, process: int, before: object) -> None:
    """`before` is an argument to be kept until then: a cycle is collected in any order."""
    if os.getpid() != process:  # a process that was forked off shares the memory, not the threads
        return
    try:
        with DeferredSignals(again=True):
            free(pointer)
    except KeyboardInterrupt:  # that came before signals were deferred, or when they were not any more
        send_later([signal.SIGINT])


def _check(code: int, what: str) -> None:
    """Raise ModelError where `llama_decode` returned an error."""
    if code:
        raise ModelError(
            f"llama.cpp could not run {what} (code {code}).",
            hint="Start a new session. If it fails again, the model's file may be damaged (`aspen doctor --deep`).",
        )


def _told(lines: Sequence[str]) -> str:
    return f": {lines[-1]}" if lines else ""
