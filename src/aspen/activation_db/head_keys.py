"""Head match: how much attention a prompt would pay to a memory, were the memory to stand right before it.

Some heads of a language model look things up: what they attend to is what the current token is about. So a memory
keeps the keys that its tokens have in a few such heads, and a prompt brings its queries. The score of a memory is the
share of attention that the prompt's tokens put on the memory's tokens, on average, less the share that a prompt
without content puts there.

The first token of every text is an attention sink, whatever it says: a memory's sink, and the prompt's own tokens,
take their share and count for nothing. All sinks have nearly the same key, so that of the null prompt stands for
them, and none is kept. (Exact sinks find a point less: what is left of the token in them is noise.) Keys are kept
before rotary embedding: a memory stands at positions -n..-1, wherever it was said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aspen.activation_db.head_set import HeadSet, PromptHeads
from aspen.errors import InvalidInput
from aspen.models import HeadAttention
from aspen.types import FloatArray

_GAP = 3
"""Position of a prompt's first token, where a memory's last one stands at -1. Measured: 1 finds a point less."""
_AT_ONCE = 64
"""Memories in one step: their keys stay inside the processor's cache."""
_MASS = np.dtype("<f2")
_HIGHEST = np.float32(60)
"""Where the largest logit is moved: e^60 times any number of tokens fits float32, and so does what is 150 lower."""


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """Keys of many memories, token after token: float32 [n_key_heads, N, head_dim]; `starts` int64 [n] of each."""

    keys: FloatArray
    starts: NDArray[np.int64]

    @property
    def positions(self) -> NDArray[np.int64]:
        """Where each token stands, int64 [N]: the last one of every memory at -1."""
        ends = np.append(self.starts[1:], self.keys.shape[1])
        positions: NDArray[np.int64] = np.arange(self.keys.shape[1]) - np.repeat(ends, ends - self.starts)
        return positions


def encode_head_keys(keys: FloatArray, *, heads: HeadSet) -> bytes:
    """Bytes of a memory's keys [n_key_heads, T, head_dim]: `heads.tag`, attention of the null prompt, then tokens.

    The null prompt's attention is a float16 for each head; each token but the first has its codes of all key heads.
    InvalidInput where a value is not finite.
    """
    if not np.isfinite(keys).all():
        raise InvalidInput(
            "The attention keys of this text are not finite numbers.",
            hint="The model overflows in this dtype: open it with dtype='float32'.",
        )
    codes = np.concatenate([code.encode(keys[row, 1:]) for row, code in enumerate(heads.codes)], axis=1)
    kept = TokenKeys(_decoded(codes, np.zeros(1, dtype=np.int64), heads=heads), np.zeros(1, dtype=np.int64))
    nothing = _masses(heads.null, kept, heads=heads)[0]
    return b"".join([heads.tag, nothing.astype(_MASS).tobytes(), codes.tobytes()])


def decode_head_keys(bodies: Sequence[bytes], *, heads: HeadSet) -> tuple[TokenKeys, FloatArray]:
    """What `encode_head_keys` wrote, of many memories at once, and the null prompt's attention, float32 [n, n_heads].

    InvalidInput where one does not fit `heads`.
    """
    if not all(map(heads.fits, bodies)):
        raise InvalidInput(
            "Head keys of a memory are of other heads.",
            hint="Let the doctor (`aspen doctor`) look at the store.",
        )
    tag, start = len(heads.tag), heads.head_size
    nothing = np.frombuffer(b"".join([body[tag:start] for body in bodies]), dtype=_MASS)
    tokens = np.array([len(body) - start for body in bodies], dtype=np.int64) // heads.token_size + 1
    starts = np.cumsum(tokens) - tokens
    codes = np.frombuffer(b"".join([body[start:] for body in bodies]), dtype=np.uint8)
    keys = _decoded(codes.reshape(-1, heads.token_size), starts, heads=heads)
    return TokenKeys(keys, starts), nothing.astype(np.float32).reshape(len(bodies), len(heads.heads))


def _decoded(codes: NDArray[np.uint8], starts: NDArray[np.int64], *, heads: HeadSet) -> FloatArray:
    """Keys [n_key_heads, N, head_dim] of the tokens with these codes [N - n, bytes], and n sinks at `starts`."""
    n_tokens = len(codes) + len(starts)
    keys = np.empty((heads.n_key_heads, n_tokens, heads.head_dim), dtype=np.float32)
    rest = np.ones(n_tokens, dtype=bool)
    rest[starts] = False
    column = 0
    for row, code in enumerate(heads.codes):
        keys[row, starts] = heads.null.keys[row, 0]
        keys[row, rest] = code.decode(codes[:, column : column + code.size])
        column += code.size
    return keys


def head_match(prompt: PromptHeads, bodies: Sequence[bytes], *, heads: HeadSet) -> FloatArray:
    """Attention on each memory, by head, beyond what the null prompt pays it: float32 [n, n_heads], from -1 to 1.

    `bodies` are what `encode_head_keys` made of the memories; InvalidInput where one does not fit `heads`.
    """
    match = np.empty((len(bodies), len(heads.heads)), dtype=np.float32)
    for start in range(0, len(bodies), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        match[part] = _match(prompt, bodies[part], heads=heads)
    return match


def _match(prompt: PromptHeads, bodies: Sequence[bytes], *, heads: HeadSet) -> FloatArray:
    memories, nothing = decode_head_keys(bodies, heads=heads)
    return np.asarray(_masses(prompt, memories, heads=heads) - nothing, dtype=np.float32)


def _masses(prompt: PromptHeads, memories: TokenKeys, *, heads: HeadSet) -> FloatArray:
    """`attention_mass` of a prompt on each memory, by head: float32 [n, n_heads]."""
    masses = np.empty((len(memories.starts), len(heads.heads)), dtype=np.float32)
    for row in range(heads.n_key_heads):
        at = [i for i, key_row in enumerate(heads.key_rows) if key_row == row]
        attention = heads.attention[at[0]]
        keys = rotated(memories.keys[row], memories.positions, attention=attention)
        masses[:, at] = attention_mass(
            prompt.queries[at], prompt.keys[row], keys, starts=memories.starts, attention=attention
        ).T
    return masses


def rotated(vectors: FloatArray, positions: NDArray[np.int64], *, attention: HeadAttention) -> FloatArray:
    """Vectors [..., T, head_dim] as they stand at `positions`; as they are where there is no rotary embedding."""
    return vectors if attention.rotary is None else attention.rotary.rotate(vectors, positions)


def capped(logits: FloatArray, *, attention: HeadAttention) -> FloatArray:
    """Logits of any shape as they enter the softmax; as they are where there is no softcap."""
    if attention.softcap is None:
        return logits
    cap = np.float32(attention.softcap)
    return np.asarray(cap * np.tanh(logits / cap), dtype=np.float32)


def attention_mass(
    queries: FloatArray,
    own: FloatArray,
    memories: FloatArray,
    *,
    starts: NDArray[np.int64],
    attention: HeadAttention,
) -> FloatArray:
    """Share of attention on each memory, mean over a prompt's T tokens: float32 [H, n].

    queries [H, T, d] and own [T, d], the prompt's keys, are of heads that share keys, not rotated; memories [N, d]
    are rotated. Each memory is taken as the only one: it shares attention with the prompt's own tokens alone.
    """
    n_heads, n_tokens, _ = queries.shape
    positions = np.arange(n_tokens) + _GAP
    rows: FloatArray = rotated(queries, positions, attention=attention) * np.float32(attention.scale)
    rows = rows.reshape(n_heads * n_tokens, -1)
    logits = capped(rows @ memories.T, attention=attention)
    own_logits = capped(rows @ rotated(own, positions, attention=attention).T, attention=attention)
    seen = np.tril(np.ones((n_tokens, n_tokens), dtype=bool))
    seen[:, 0] = False
    own_logits = np.where(np.tile(seen, (n_heads, 1)), own_logits, -np.inf)
    # Attention stays the same when all logits of a token move together.
    shift = np.maximum(logits.max(axis=1), own_logits.max(axis=1))[:, None] - _HIGHEST
    logits -= shift
    weights = np.exp(logits, out=logits)
    sinks = weights[:, starts]
    weights[:, starts] = 0
    on_memory = np.add.reduceat(weights, starts, axis=1)
    others = sinks + np.exp(own_logits - shift).sum(axis=1, keepdims=True)
    share = on_memory / (on_memory + others + np.finfo(np.float32).tiny)
    return np.asarray(share.reshape(n_heads, n_tokens, -1).mean(axis=1), dtype=np.float32)
