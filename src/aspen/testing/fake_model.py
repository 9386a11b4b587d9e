"""A tiny language model in NumPy for fast tests: a real causal transformer with random weights.

It behaves as a runtime must (KV cache, partial forward pass, recording, chat template, fingerprint) and costs
a third of a millisecond per token, but it knows nothing: where a test needs a sensible answer, `say` puts it
into the model's mouth.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

import numpy as np

from aspen.errors import InvalidInput, ModelError, NoChatTemplate
from aspen.models.heads import Captured, HeadAttention, HeadRef
from aspen.models.interface import ChatPrompt, ModelInfo
from aspen.models.text import check_encodable
from aspen.testing._fake_session import (
    HEAD_DIM,
    IM_END,
    IM_START,
    ROTARY,
    FakeRecording,
    FakeSession,
    normed,
)
from aspen.types import Fingerprint, FloatArray, Message, Segment, TokenIds

__all__ = ["IM_END", "IM_START", "FakeModel"]

_SPECIAL = {IM_START: "<|im_start|>", IM_END: "<|im_end|>"}


class FakeModel:
    """A LanguageModel with random weights drawn from `seed`; equal arguments make equal models.

    Parameters
    ----------
    say:
        Called with the prompt as text (special tokens included), returns the reply that the model then gives,
        one byte per token, whatever the sampler. Without it, replies are random printable ASCII.
    window, softcap:
        Sliding window and score softcap of every block's attention, as in AttentionInputs.
    chat_template:
        False makes a model without one.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        n_layers: int = 3,
        width: int = 32,
        n_heads: int = 4,
        n_kv_heads: int = 2,
        context_length: int = 4096,
        window: int | None = None,
        softcap: float | None = None,
        chat_template: bool = True,
        say: Callable[[str], str] | None = None,
    ) -> None:
        self.info = ModelInfo(
            name=f"fake-{seed}",
            architecture="FakeForCausalLM",
            n_layers=n_layers,
            width=width,
            n_heads=n_heads,
            n_kv_heads=n_kv_heads,
            vocab_size=256 + len(_SPECIAL),
            context_length=context_length,
            stop_ids=frozenset({IM_END}),
        )
        self.window, self.softcap = window, softcap
        self.blocks_run = 0  # blocks x tokens computed so far: shows a test what was (not) run
        self._chat_template, self._say = chat_template, say
        self._lock = threading.RLock()  # held for one pass
        self._turn = threading.RLock()  # held as long as a recording is open
        self._waiting: FakeRecording | None = None  # the recording that the next session fills
        self._recording = False
        random = np.random.default_rng(seed)
        query, key = n_heads * HEAD_DIM, n_kv_heads * HEAD_DIM
        shapes = {"q": (width, query), "k": (width, key), "v": (width, key), "o": (query, width)}
        shapes |= {"up": (width, 2 * width), "down": (2 * width, width)}
        # Applied as x @ w; divided by the root of the fan-in, so that a block moves the stream by about 1.
        self._blocks: list[dict[str, FloatArray]] = [
            {name: _drawn(random, shape) / np.float32(shape[0] ** 0.5) for name, shape in shapes.items()}
            for _ in range(n_layers)
        ]
        self._embedding = _drawn(random, (self.info.vocab_size, width))
        self._unembedding = _drawn(random, (width, self.info.vocab_size)) / np.float32(3)
        # Replies are printable ASCII and end after some dozen tokens, so that tests can store and show them.
        self._logit_bias = np.full(self.info.vocab_size, -100, dtype=np.float32)
        self._logit_bias[32:127] = 0
        self._logit_bias[IM_END] = 3

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """What decides whether a replay can be bit-equal; `say` is no part of it."""
        weights = hashlib.sha256(repr((self.info, self.window, self.softcap)).encode())
        blocks = (array for block in self._blocks for array in block.values())
        for array in (self._embedding, self._unembedding, *blocks):
            weights.update(array.tobytes())
        return Fingerprint(
            runtime="fake",
            architecture=self.info.architecture,
            weights=weights.hexdigest(),
            tokenizer=hashlib.sha256(b"bytes").hexdigest(),
            chat_template=hashlib.sha256(b"chatml" if self._chat_template else b"").hexdigest(),
            dtype="float32",
            quantisation="none",
            attention="numpy",
            device="cpu",
            threads=1,
            libraries={"numpy": np.__version__},
        )

    def tokenize(self, text: str) -> TokenIds:
        """One token per byte of UTF-8."""
        check_encodable(text)
        return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32)

    def detokenize(self, token_ids: TokenIds, *, skip_special: bool = True) -> str:
        """Text of token ids; bytes that are no UTF-8 become U+FFFD."""
        special = {} if skip_special else _SPECIAL
        pieces = (bytes([t]) if t < 256 else special.get(t, "").encode() for t in token_ids.tolist())
        return b"".join(pieces).decode(errors="replace")

    def vocabulary(self) -> list[bytes]:
        """Every single byte, and nothing for the special tokens."""
        return [bytes([i]) for i in range(256)] + [b""] * len(_SPECIAL)

    def apply_chat_template(self, messages: Sequence[Message]) -> ChatPrompt:
        """ChatML: `<|im_start|>role`, a line break, the content, `<|im_end|>`, a line break."""
        if not self._chat_template:
            raise NoChatTemplate(f"{self.info.name} has no chat template.")
        if not messages:
            raise InvalidInput("The chat template needs at least one message.")
        token_ids: list[int] = []
        spans = []
        for message in messages:
            token_ids += [IM_START, *f"{message.role.value}\n".encode()]
            start = len(token_ids)
            token_ids += message.content.encode()
            spans.append(Segment(name=message.role.value, start=start, stop=len(token_ids)))
            token_ids += [IM_END, *b"\n"]
        ids = np.array([*token_ids, IM_START, *b"assistant\n"], dtype=np.int32)
        return ChatPrompt(text=self.detokenize(ids, skip_special=False), token_ids=ids, spans=tuple(spans))

    def capture(self, batch: Sequence[TokenIds], *, layers: Sequence[int]) -> list[FloatArray]:
        """Partial forward pass up to `max(layers)`; float32 [len(layers), T, D] for each sequence."""
        self.info.check_batch(batch, layers=layers)
        return [FakeSession(self).feed(ids, blocks=max(layers))[list(layers)] for ids in batch]

    def capture_with_heads(
        self, batch: Sequence[TokenIds], *, layers: Sequence[int], heads: Sequence[HeadRef]
    ) -> list[Captured]:
        """`capture`, with queries and keys of `heads` before rotary embedding, out of the same pass."""
        self.info.check_heads(heads)
        depth = [max([*layers, *(ref.block for ref in heads)])] if layers else []
        captured = []
        for states in self.capture(batch, layers=range(depth[0] + 1) if depth else ()):
            queries = [self._head(states, ref, "q") for ref in heads]
            keys = [self._head(states, ref, "k") for ref in self.info.key_heads(heads)]
            none = np.zeros((0, 0, 0), dtype=np.float32)
            captured.append(
                Captured(
                    states[list(layers)],
                    np.stack(queries) if heads else none,
                    np.stack(keys) if heads else none,
                )
            )
        return captured

    def _head(self, states: FloatArray, ref: HeadRef, name: str) -> FloatArray:
        """Queries ("q") or keys ("k") of a head, float32 [T, head_dim], from states [depth + 1, T, D]."""
        columns = slice(ref.head * HEAD_DIM, (ref.head + 1) * HEAD_DIM)
        vectors: FloatArray = normed(states[ref.block]) @ self._blocks[ref.block][name][:, columns]
        return vectors

    def head_attention(self, block: int) -> HeadAttention:
        """How queries and keys of a block meet; the same for all."""
        self.info.check_heads([HeadRef(block, 0)])
        return HeadAttention(HEAD_DIM**-0.5, self.softcap, ROTARY)

    def unembed(self, states: FloatArray) -> FloatArray:
        """Final norm and unembedding; what the model is made to say is no part of it."""
        self.info.check_states(states)
        return self._logits(states)

    def _logits(self, states: FloatArray) -> FloatArray:
        logits: FloatArray = normed(states) @ self._unembedding + self._logit_bias
        return logits

    def start_session(self) -> FakeSession:
        """A new, empty sequence; the first one inside `recording()` is recorded."""
        with self._turn:
            sequence = FakeSession(self)
            if self._waiting is not None:
                self._waiting.sequence, self._waiting = sequence, None
            return sequence

    def fragments_refused(self) -> str | None:
        """A window forgets what a fragment would need."""
        return None if self.window is None else "its attention has a sliding window"

    @contextmanager
    def recording(self) -> Iterator[FakeRecording]:
        """Record the next session until the context closes."""
        with self._turn:
            if self._recording:
                raise ModelError("This model is recording already.")
            self._recording = True
            self._waiting = recording = FakeRecording()
            try:
                yield recording
            finally:
                self._waiting, self._recording = None, False
                recording.stop = recording.sequence.length if recording.sequence else 0


def _drawn(random: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    return random.standard_normal(shape, dtype=np.float32)
