"""The session and the recording of the fake model: its forward pass, with a KV cache, in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aspen.errors import InvalidInput, ModelError, PromptTooLong
from aspen.models.heads import Rotary
from aspen.models.interface import AttentionInputs
from aspen.models.kv import KVFragment
from aspen.types import FloatArray, TokenIds

if TYPE_CHECKING:
    from aspen.testing.fake_model import FakeModel

IM_START, IM_END = 256, 257
"""The two special tokens; ids 0..255 are the bytes of UTF-8. A chat reply ends with IM_END."""
HEAD_DIM = 8
ROTARY = Rotary((10_000.0 ** (-np.arange(HEAD_DIM // 2) / (HEAD_DIM // 2))).astype(np.float32))


class FakeSession:
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
            np.empty((info.n_heads, 0, HEAD_DIM), dtype=np.float32)
        ] * info.n_layers
        self.keys: list[FloatArray] = [
            np.empty((info.n_kv_heads, 0, HEAD_DIM), dtype=np.float32)
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
        if fragment.keys.shape != (info.n_layers, info.n_kv_heads, count, HEAD_DIM):
            raise InvalidInput("The fragment was made by another model.")
        positions = np.arange(self.length, stop)
        for layer in range(info.n_layers):
            keys = ROTARY.rotate(fragment.keys[layer], positions)
            queries = np.zeros((info.n_heads, count, HEAD_DIM), dtype=np.float32)
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
            np.stack([ROTARY.rotate_back(keys[:, start:stop], positions) for keys in self.keys]),
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
                    layer, normed(states[-1]), positions, visible
                )
                states.append(stream + np.maximum(normed(stream) @ block["up"], 0) @ block["down"])
            self.token_ids += token_ids.tolist()
            self.ran += [True] * len(token_ids)
            return np.stack(states)

    def _attention(
        self, layer: int, x: FloatArray, positions: NDArray[Any], visible: NDArray[Any]
    ) -> FloatArray:
        block = self._model._blocks[layer]
        query = ROTARY.rotate(_heads(x @ block["q"]), positions)  # [H, n, head_dim]
        key = np.concatenate([self.keys[layer], ROTARY.rotate(_heads(x @ block["k"]), positions)], axis=1)
        value = np.concatenate([self._values[layer], _heads(x @ block["v"])], axis=1)
        self.keys[layer], self._values[layer] = key, value
        self.queries[layer] = np.concatenate([self.queries[layer], query], axis=1)
        grouped = query.reshape(len(key), -1, len(x), HEAD_DIM)  # [H_kv, H / H_kv, n, head_dim]
        scores = grouped @ key[:, None].swapaxes(-1, -2) * np.float32(HEAD_DIM**-0.5)
        if self._model.softcap is not None:
            scores = np.tanh(scores / np.float32(self._model.softcap)) * np.float32(self._model.softcap)
        scores = np.where(visible, scores, np.float32(-np.inf))
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (weights / weights.sum(axis=-1, keepdims=True)) @ value[:, None]
        joined: FloatArray = mixed.reshape(-1, len(x), HEAD_DIM).swapaxes(0, 1).reshape(len(x), -1)
        return joined @ block["o"]

    def _next_said(self, say: Callable[[str], str]) -> int:
        header = [IM_START, *b"assistant\n"]
        starts = [i for i, token in enumerate(self.token_ids) if token == IM_START]
        begin = starts[-1] + len(header) if starts else 0  # the reply begins behind the last header
        prompt = np.array(self.token_ids[:begin], dtype=np.int32)
        wanted = say(self._model.detokenize(prompt, skip_special=False)).encode()
        given = self.length - begin
        return wanted[given] if 0 <= given < len(wanted) else IM_END


class FakeRecording:
    """The RawRecording of one sequence, up to the moment when the context closed."""

    sequence: FakeSession | None = None
    stop: int | None = None

    def _fed(self) -> FakeSession:
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
            scale=HEAD_DIM**-0.5,
            softcap=sequence._model.softcap,
            window=sequence._model.window,
        )


def normed(x: FloatArray) -> FloatArray:
    """RMS norm without weights (Zhang and Sennrich 2019)."""
    normed: FloatArray = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(1e-6))
    return normed


def _heads(x: FloatArray) -> FloatArray:
    """[n, heads * head_dim] -> [heads, n, head_dim]."""
    return x.reshape(len(x), -1, HEAD_DIM).swapaxes(0, 1)
