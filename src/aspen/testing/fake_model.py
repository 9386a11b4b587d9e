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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aspen.errors import InvalidInput, ModelError, NoChatTemplate, PromptTooLong
from aspen.models.heads import Captured, HeadAttention, HeadRef, Rotary
from aspen.models.interface import AttentionInputs, ChatPrompt, ModelInfo
from aspen.models.kv import KVFragment
from aspen.models.text import check_encodable
from aspen.types import Fingerprint, FloatArray, Message, Segment, TokenIds

IM_START, IM_END = 256, 257
"""The two special tokens; ids 0..255 are the bytes of UTF-8. A chat reply ends with IM_END."""
_SPECIAL = {IM_START: "<|im_start|>", IM_END: "<|im_end|>"}
_HEAD_DIM = 8
_ROTARY = Rotary((10_000.0 ** (-np.arange(_HEAD_DIM // 2) / (_HEAD_DIM // 2))).astype(np.float32))


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
        self._waiting: _Recording | None = None  # the recording that the next session fills
        self._recording = False
        random = np.random.default_rng(seed)
        query, key = n_heads * _HEAD_DIM, n_kv_heads * _HEAD_DIM
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
        return [_Sequence(self).feed(ids, blocks=max(layers))[list(layers)] for ids in batch]

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
        columns = slice(ref.head * _HEAD_DIM, (ref.head + 1) * _HEAD_DIM)
        vectors: FloatArray = _normed(states[ref.block]) @ self._blocks[ref.block][name][:, columns]
        return vectors

    def head_attention(self, block: int) -> HeadAttention:
        """How queries and keys of a block meet; the same for all."""
        self.info.check_heads([HeadRef(block, 0)])
        return HeadAttention(_HEAD_DIM**-0.5, self.softcap, _ROTARY)

    def unembed(self, states: FloatArray) -> FloatArray:
        """Final norm and unembedding; what the model is made to say is no part of it."""
        self.info.check_states(states)
        return self._logits(states)

    def _logits(self, states: FloatArray) -> FloatArray:
        logits: FloatArray = _normed(states) @ self._unembedding + self._logit_bias
        return logits

    def start_session(self) -> _Sequence:
        """A new, empty sequence; the first one inside `recording()` is recorded."""
        with self._turn:
            sequence = _Sequence(self)
            if self._waiting is not None:
                self._waiting.sequence, self._waiting = sequence, None
            return sequence

    def fragments_refused(self) -> str | None:
        """A window forgets what a fragment would need."""
        return None if self.window is None else "its attention has a sliding window"

    @contextmanager
    def recording(self) -> Iterator[_Recording]:
        """Record the next session until the context closes."""
        with self._turn:
            if self._recording:
                raise ModelError("This model is recording already.")
            self._recording = True
            self._waiting = recording = _Recording()
            try:
                yield recording
            finally:
                self._waiting, self._recording = None, False
                recording.stop = recording.sequence.length if recording.sequence else 0


class _Sequence:
    """The Session of a FakeModel. Keeps all it computed, so that a recording can look at it."""

    def __init__(self, model: FakeModel) -> None:
        info = model.info
        self._model = model
        self.token_ids: list[int] = []
        self.ran: list[bool] = []
        self.rewinds = 0
        # float32 [L + 1, T, D], and per block queries [H, T, head_dim], keys and values [H_kv, T, head_dim]
        self.states: FloatArray = np.empty((info.n_layers + 1, 0, info.width), dtype=np.float32)
        self.queries: list[FloatArray] = [
            np.empty((info.n_heads, 0, _HEAD_DIM), dtype=np.float32)
        ] * info.n_layers
        self.keys: list[FloatArray] = [
            np.empty((info.n_kv_heads, 0, _HEAD_DIM), dtype=np.float32)
        ] * info.n_layers
        self._values = list(self.keys)

    @property
    def length(self) -> int:
        """Tokens in the cache."""
        return len(self.token_ids)

    def prefill(self, token_ids: TokenIds) -> FloatArray:
        """Feed several tokens at once; the logits after the last one, float32 [V]."""
        states = self.feed(token_ids, blocks=self._model.info.n_layers)
        self.states = np.concatenate([self.states, states], axis=1)
        logits = self._model._logits(states[-1, -1])
        if self._model._say is not None:
            logits[self._next_said(self._model._say)] += 10_000
        return logits

    def decode(self, token_id: int) -> FloatArray:
        """Feed one token; the logits after it, float32 [V]."""
        return self.prefill(np.array([token_id], dtype=np.int32))

    def prefill_each(self, token_ids: TokenIds) -> FloatArray:
        """Feed several tokens; the logits after each, float32 [n, V]."""
        return np.stack([self.decode(token) for token in token_ids.tolist()])

    def rewind(self, length: int) -> None:
        """Forget the tokens from `length` on."""
        if not 0 <= length <= self.length:
            raise InvalidInput(f"A session of {self.length} tokens cannot be rewound to {length}.")
        del self.token_ids[length:], self.ran[length:]
        self.rewinds += 1
        self.states = self.states[:, :length]
        for column in (self.queries, self.keys, self._values):
            column[:] = [array[:, :length] for array in column]

    def put(self, fragment: KVFragment) -> None:
        """Place a fragment's tokens behind the others without running them."""
        self._require_movable()
        info, count = self._model.info, len(fragment.token_ids)
        stop = self.length + count
        if stop > info.context_length:
            raise PromptTooLong(f"{stop} tokens do not fit a context of {info.context_length}.")
        if fragment.keys.shape != (info.n_layers, info.n_kv_heads, count, _HEAD_DIM):
            raise InvalidInput("The fragment was made by another model.")
        positions = np.arange(self.length, stop)
        for layer in range(info.n_layers):
            keys = _ROTARY.rotate(fragment.keys[layer], positions)
            queries = np.zeros((info.n_heads, count, _HEAD_DIM), dtype=np.float32)
            self.keys[layer] = np.concatenate([self.keys[layer], keys], axis=1)
            self._values[layer] = np.concatenate([self._values[layer], fragment.values[layer]], axis=1)
            self.queries[layer] = np.concatenate([self.queries[layer], queries], axis=1)
        unknown = np.zeros((info.n_layers + 1, count, info.width), dtype=np.float32)
        self.states = np.concatenate([self.states, unknown], axis=1)
        self.token_ids += fragment.token_ids.tolist()
        self.ran += [False] * count

    def fragment(self, start: int, stop: int) -> KVFragment:
        """Keys before rotation, and values, of the tokens `start` to `stop`."""
        self._require_movable()
        if not 0 <= start < stop <= self.length:
            raise InvalidInput(f"A session of {self.length} tokens has no tokens {start} to {stop}.")
        positions = np.arange(start, stop)
        return KVFragment(
            np.array(self.token_ids[start:stop], dtype=np.int32),
            np.stack([_ROTARY.rotate_back(keys[:, start:stop], positions) for keys in self.keys]),
            np.stack([values[:, start:stop] for values in self._values]),
        )

    def _require_movable(self) -> None:
        if reason := self._model.fragments_refused():
            raise ModelError(f"Keys and values cannot be moved: {reason}.")

    def feed(self, token_ids: TokenIds, *, blocks: int) -> FloatArray:
        """Run n tokens through the first `blocks` blocks; the residual stream, float32 [blocks + 1, n, D]."""
        start, stop, limit = self.length, self.length + len(token_ids), self._model.info.context_length
        if stop > limit:
            raise PromptTooLong(f"{stop} tokens do not fit a context of {limit}.")
        if stop == start or not 0 <= token_ids.min() <= token_ids.max() < self._model.info.vocab_size:
            raise InvalidInput("Expected at least one token, and only tokens of the vocabulary.")
        positions = np.arange(start, stop)
        visible = np.arange(stop) <= positions[:, None]  # [n, T]
        if self._model.window is not None:
            visible &= np.arange(stop) > positions[:, None] - self._model.window
        with self._model._lock:
            self._model.blocks_run += blocks * len(token_ids)
            states: list[FloatArray] = [self._model._embedding[token_ids]]
            for layer, block in enumerate(self._model._blocks[:blocks]):
                stream: FloatArray = states[-1] + self._attention(
                    layer, _normed(states[-1]), positions, visible
                )
                states.append(stream + np.maximum(_normed(stream) @ block["up"], 0) @ block["down"])
            self.token_ids += token_ids.tolist()
            self.ran += [True] * len(token_ids)
            return np.stack(states)

    def _attention(
        self, layer: int, x: FloatArray, positions: NDArray[Any], visible: NDArray[Any]
    ) -> FloatArray:
        block = self._model._blocks[layer]
        query = _ROTARY.rotate(_heads(x @ block["q"]), positions)  # [H, n, head_dim]
        key = np.concatenate([self.keys[layer], _ROTARY.rotate(_heads(x @ block["k"]), positions)], axis=1)
        value = np.concatenate([self._values[layer], _heads(x @ block["v"])], axis=1)
        self.keys[layer], self._values[layer] = key, value
        self.queries[layer] = np.concatenate([self.queries[layer], query], axis=1)
        grouped = query.reshape(len(key), -1, len(x), _HEAD_DIM)  # [H_kv, H / H_kv, n, head_dim]
        scores = grouped @ key[:, None].swapaxes(-1, -2) * np.float32(_HEAD_DIM**-0.5)
        if self._model.softcap is not None:
            scores = np.tanh(scores / np.float32(self._model.softcap)) * np.float32(self._model.softcap)
        scores = np.where(visible, scores, np.float32(-np.inf))
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (weights / weights.sum(axis=-1, keepdims=True)) @ value[:, None]
        joined: FloatArray = mixed.reshape(-1, len(x), _HEAD_DIM).swapaxes(0, 1).reshape(len(x), -1)
        return joined @ block["o"]

    def _next_said(self, say: Callable[[str], str]) -> int:
        header = [IM_START, *b"assistant\n"]
        starts = [i for i, token in enumerate(self.token_ids) if token == IM_START]
        begin = starts[-1] + len(header) if starts else 0  # the reply begins behind the last header
        prompt = np.array(self.token_ids[:begin], dtype=np.int32)
        wanted = say(self._model.detokenize(prompt, skip_special=False)).encode()
        given = self.length - begin
        return wanted[given] if 0 <= given < len(wanted) else IM_END


class _Recording:
    """The RawRecording of one sequence, up to the moment when the context closed."""

    sequence: _Sequence | None = None
    stop: int | None = None

    def _fed(self) -> _Sequence:
        if self.sequence is None or self.sequence.length == 0 or self.stop == 0:
            raise InvalidInput("Nothing was recorded: no session was fed while recording.")
        return self.sequence

    def token_ids(self) -> TokenIds:
        """The tokens that were fed, shape [T]."""
        return np.array(self._fed().token_ids[: self.stop], dtype=np.int32)

    def ran(self) -> NDArray[np.bool_]:
        """Which tokens ran through the model, shape [T]."""
        return np.array(self._fed().ran[: self.stop], dtype=np.bool_)

    def rewinds(self) -> int:
        """How often the session was rewound."""
        return self._fed().rewinds

    def hidden_states(self) -> FloatArray:
        """Every layer and token, float32 [L + 1, T, D]."""
        return self._fed().states[:, : self.stop]

    def attention_inputs(self, layer: int) -> AttentionInputs:
        """Queries and keys of block `layer` (0-based)."""
        sequence = self._fed()
        return AttentionInputs(
            queries=sequence.queries[layer][:, : self.stop],
            keys=sequence.keys[layer][:, : self.stop],
            scale=_HEAD_DIM**-0.5,
            softcap=sequence._model.softcap,
            window=sequence._model.window,
        )


def _drawn(random: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    return random.standard_normal(shape, dtype=np.float32)


def _normed(x: FloatArray) -> FloatArray:
    """RMS norm without weights (Zhang and Sennrich 2019)."""
    normed: FloatArray = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(1e-6))
    return normed


def _heads(x: FloatArray) -> FloatArray:
    """[n, heads * head_dim] -> [heads, n, head_dim]."""
    return x.reshape(len(x), -1, _HEAD_DIM).swapaxes(0, 1)
