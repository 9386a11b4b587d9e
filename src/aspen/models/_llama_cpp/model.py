"""`LlamaCppModel`: the language model interface over a GGUF file and llama.cpp."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version

import numpy as np

from aspen.errors import ModelError
from aspen.models._llama_cpp.capture import capture
from aspen.models._llama_cpp.context import PASS_TOKENS, Weights
from aspen.models._llama_cpp.graph import Places, learn
from aspen.models._llama_cpp.heads import HeadLayout
from aspen.models._llama_cpp.measuring import measure_attention
from aspen.models._llama_cpp.pool import Pool
from aspen.models._llama_cpp.recording import Recorder
from aspen.models._llama_cpp.session import LlamaCppSession, Parts
from aspen.models._llama_cpp.shared_object import library_versions
from aspen.models._llama_cpp.unembedding import Unembedding, find_unembedding
from aspen.models.gguf_header import GGUFHeader
from aspen.models.heads import Captured, HeadAttention, HeadRef, Rotary
from aspen.models.interface import ModelInfo
from aspen.models.memory import check_memory
from aspen.models.runtime_model import RuntimeModel
from aspen.models.text import TextCodec
from aspen.types import Fingerprint, FloatArray, TokenIds


@dataclass(frozen=True, slots=True)
class Facts:
    """What the file says of a model, beside what the library tells.

    rotated: dimensions of a head that are turned, None for all; interleaved: 2i with 2i + 1. window: tokens that a
    sliding window lets through, None where there is none. immovable: why keys and values cannot be moved to another
    place, None where nothing speaks against it.
    """

    rotated: int | None
    interleaved: bool
    window: int | None
    immovable: str | None
    quantisation: str


class LlamaCppModel(RuntimeModel):
    """Implements `LanguageModel`. Each sequence of a batch runs by itself: its numbers do not depend on the others.

    Parameters
    ----------
    weights:
        The loaded model.
    info, facts, header, text:
        What it is, what its file says, and its tokenizer and chat template.
    threads:
        That a pass runs on.
    weights_hash:
        Computes the SHA-256 of the file; called once, when `fingerprint` is first asked for.
    """

    def __init__(
        self,
        weights: Weights,
        *,
        info: ModelInfo,
        facts: Facts,
        header: GGUFHeader,
        text: TextCodec,
        threads: int,
        weights_hash: Callable[[], str],
    ) -> None:
        super().__init__(info, text=text, weights_hash=weights_hash)
        self._weights = weights
        self._library = weights.library
        self._facts = facts
        self._header = header
        self._threads = threads
        self._pool = Pool(
            weights,
            context_length=info.context_length,
            threads=threads,
            check_memory=lambda tokens: check_memory(header, context=tokens),
        )
        self._recorder: Recorder | None = None
        self._recorder_taken = False
        places = self._learn(1), self._learn(2)
        layout = HeadLayout.of(
            places[0].head_dim, rotated=facts.rotated or places[0].head_dim, interleaved=facts.interleaved
        )
        windowed = facts.window is not None
        self._parts = Parts(self._library, info, self._pool, self._lock, places, layout, windowed)
        self._windows = _windows(places[0], window=facts.window)

    @property
    def fingerprint(self) -> Fingerprint:
        """See `Fingerprint`. The file is hashed at the first call."""
        weights, tokenizer, template = self._hashes
        return Fingerprint(
            runtime="llama.cpp",
            architecture=self._info.architecture,
            weights=weights,
            tokenizer=tokenizer,
            chat_template=template,
            dtype="float32, cache float16",
            quantisation=self._facts.quantisation,
            attention=f"flash, passes of {PASS_TOKENS}",
            device=f"cpu {platform.machine()} {_kernels(self._library.llama_print_system_info().decode())}",
            threads=self._threads,
            libraries={
                "llama.cpp": self._library.version,
                "numpy": version("numpy"),
                **library_versions(self._library.path),
            },
        )

    def capture_with_heads(
        self, batch: Sequence[TokenIds], *, layers: Sequence[int], heads: Sequence[HeadRef]
    ) -> list[Captured]:
        """See `LanguageModel.capture_with_heads`; raises as `capture` does, and InvalidInput on an unknown head."""
        self._library.check_process()
        self._info.check_batch(batch, layers=layers)
        self._info.check_heads(heads)
        return [capture(self._parts, token_ids, layers=layers, heads=heads) for token_ids in batch]

    def head_attention(self, block: int) -> HeadAttention:
        """See `LanguageModel.head_attention`."""
        self._info.check_heads([HeadRef(block, 0)])
        return self._head_attentions[block]

    def start_session(self) -> LlamaCppSession:
        """A new, empty sequence; the first one inside `recording()` is the one recorded."""
        self._library.check_process()  # before a lock is waited for that another thread held at the fork
        with self._turn:
            recorder = None if self._recorder_taken else self._recorder
            self._recorder_taken = self._recorder is not None
            return LlamaCppSession(self._parts, recorder=recorder, rotaries=lambda: self._rotaries)

    def unembed(self, states: FloatArray) -> FloatArray:
        """float32 [n, V] from float32 [n, D]; see `LanguageModel.unembed`."""
        self._info.check_states(states)
        return self._unembedding(states)

    @contextlib.contextmanager
    def recording(self) -> Iterator[Recorder]:
        """See `LanguageModel.recording`. The recording can still be read when the context is closed."""
        self._library.check_process()
        with self._turn:
            if self._recorder is not None:
                raise ModelError("This model is recording already.", hint="Close the outer recording first.")
            recorder = Recorder(
                self._library,
                info=self._info,
                places=self._parts.places[0],
                layout=self._parts.layout,
                windows=self._windows,
            )
            self._recorder, self._recorder_taken = recorder, False
            try:
                yield recorder
            finally:
                self._recorder = None
                with self._lock:
                    recorder.close()

    def _learn(self, count: int) -> Places:
        with self._pool.lent(count, watched=True) as context:
            nodes = context.nodes_of(np.arange(count, dtype=np.int32) % self._info.vocab_size, start=0)
        return learn(nodes, n_layers=self._info.n_layers, architecture=self._info.architecture)

    @cached_property
    def _unembedding(self) -> Unembedding:
        return find_unembedding(self._header, parts=self._parts)

    @cached_property
    def _head_attentions(self) -> tuple[HeadAttention, ...]:
        """Of each block, measured in a pass over a few tokens."""
        return measure_attention(self._parts)

    @cached_property
    def _rotaries(self) -> tuple[Rotary, ...]:
        """Of each block; ModelError with the reason where fragments cannot be moved."""
        if self._facts.immovable is not None:
            raise _refused(self._facts.immovable)
        with self._pool.lent(1, watched=True) as context:
            if not context.can_shift():
                raise _refused("llama.cpp cannot shift its cache")
        try:
            found = [attention.rotary for attention in self._head_attentions]
        except ModelError as error:
            raise _refused(error.message.rstrip(".")) from error
        rotaries = tuple(rotary for rotary in found if rotary is not None)
        if len(rotaries) < self._info.n_layers:
            raise _refused("positions are no matter of its attention alone")
        return rotaries


def _windows(places: Places, *, window: int | None) -> tuple[int | None, ...]:
    """Of each block the tokens that its attention sees, None for all of them.

    Blocks that slide read another mask than those that do not, and in all architectures that have both, the first
    block slides.
    """
    first = places.attention[0].mask
    return tuple(window if attention.mask == first else None for attention in places.attention)


def _kernels(system_info: str) -> str:
    """What of a processor the library uses, such as "AVX2 FMA": the same weights round otherwise with others."""
    facts = (fact.split("=") for fact in system_info.partition(":")[2].split("|"))
    return " ".join(name.strip() for name, *value in facts if value and value[0].strip() == "1")


def _refused(reason: str) -> ModelError:
    return ModelError(
        f"Keys and values of this model cannot be moved to another place: {reason}.",
        hint="Give the memories as text: strategy note.",
    )
