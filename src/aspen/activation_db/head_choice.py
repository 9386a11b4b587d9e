"""Which heads of a model look things up: found out on the calibration text, which says nothing of it.

A head is good if a prompt's match with the right turn ranks high among its matches with the turns around. Right is,
for a turn that ends in a question, the turn that follows; and for a question of the calibration text, the turn whose
activation key is nearest. The first is what a person would say, but few answers repeat what was asked; the second
rests on other parts of the same model, and its errors average out.

Measured on SmolLM2-135M, where 4 of 144 heads find more than 25 % of what is asked of two conversations of LoCoMo: the
two kinds together rank these four first in 98 of 100 random halves of the pairs, and choose 9.2, 15.6 and 15.7 of
them; turns followed by turns alone in 16 of 30. Halves of turns that must find each other put heads first that look
for the same word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from aspen.activation_db.capture import captures
from aspen.activation_db.head_keys import TokenKeys, attention_mass, rotated
from aspen.activation_db.head_set import NULL_PROMPT, HeadSet
from aspen.activation_db.keys import MAX_KEY_TOKENS
from aspen.activation_db.whitening import KeySpace
from aspen.errors import ModelError
from aspen.models import Captured, HeadAttention, HeadRef, LanguageModel, ModelInfo
from aspen.types import FloatArray

MOST_HEADS = 3
_TRIED = 4
"""Heads to choose from: those of them are taken that need the fewest key heads, for these fill the store."""
_LEAST_MERIT = 0.2
"""Below this a head finds little. The four best of SmolLM2 have .28 to .35, the next .20, .19, .18 and .14."""
_WINDOW = 100
"""Turns that a right one is ranked among."""
_TURN_TOKENS, _PROMPT_TOKENS = 64, 32
"""Tokens of a turn and of a prompt that are looked at: more cost time where tokens are short, and change nothing."""

Halves = NDArray[np.float16]
"""Queries [heads, T, head_dim] or keys [key heads, T, head_dim] of one text, of every head that is tried: many."""


@dataclass(frozen=True, slots=True)
class Pair:
    """What every head makes of a prompt, and the turn (its place among all turns) that the prompt should find."""

    queries: Halves
    keys: Halves
    turn: int


class HeadTrial:
    """Tries out the heads of a model, on texts that are run through it anyway.

    Parameters
    ----------
    model:
        Whose heads; `refusal` is not empty where they cannot be told apart, and `refs` is then empty.
    depth:
        Heads are tried that read layers 0 to `depth`.
    """

    def __init__(self, model: LanguageModel, *, depth: int) -> None:
        self._model = model
        self.refusal = ""
        self._attention: list[HeadAttention] = []
        try:
            blocks = range(min(depth + 1, model.info.n_layers))
            self._attention = [model.head_attention(block) for block in blocks]
        except ModelError as error:
            self._attention, self.refusal = [], error.message
        self.refs = [
            HeadRef(block, head)
            for block in range(len(self._attention))
            for head in range(model.info.n_heads)
        ]
        self._turns: dict[int, Halves] = {}
        self._questions: dict[int, tuple[Halves, Halves]] = {}

    def see_turn(self, i: int, captured: Captured) -> None:
        """Turn `i`, captured with `refs`."""
        self._turns[i] = _halves(captured.keys)[:, :_TURN_TOKENS]

    def see_question(self, i: int, captured: Captured) -> None:
        """Question `i`, captured with `refs`."""
        self._questions[i] = _end(captured)

    def best(self, turns: Sequence[str], alike: Sequence[int]) -> HeadSet | None:
        """The heads to match memories by; None where none is good, and `refusal` then says so.

        `turns` are those seen, in order; `alike[i]` is the turn that question i should find.
        """
        if not self.refs:
            return None
        merits = head_merits(
            [self._turns[i] for i in range(len(turns))],
            [self._asking(turns), [Pair(*self._questions[i], turn) for i, turn in enumerate(alike)]],
            null=self._captured([NULL_PROMPT])[0],
            attention=self._attention,
            info=self._model.info,
        )
        heads = choose_heads(merits, info=self._model.info)
        if not heads:
            self.refusal = f"None of the heads of {self._model.info.name} was found to look things up."
            return None
        info = self._model.info
        key_rows = [info.key_heads(self.refs).index(key_head) for key_head in info.key_heads(heads)]
        rows = [self.refs.index(ref) for ref in heads]
        return HeadSet.of(
            self._model,
            heads,
            memories=[keys[key_rows].astype(np.float32) for keys in self._turns.values()],
            prompts=[queries[rows].astype(np.float32) for queries, _ in self._questions.values()],
        )

    def _asking(self, turns: Sequence[str]) -> list[Pair]:
        asking = asking_turns(turns)
        captured = self._captured(list(asking))
        return [Pair(*heads, turn) for heads, turn in zip(captured, asking.values(), strict=True)]

    def _captured(self, texts: Sequence[str]) -> list[tuple[Halves, Halves]]:
        ids = [self._model.tokenize(text)[:MAX_KEY_TOKENS] for text in texts]
        found = {i: _end(one) for i, one in captures(self._model, ids, layers=[0], heads=self.refs)}
        return [found[i] for i in range(len(ids))]


def asking_turns(turns: Sequence[str]) -> dict[str, int]:
    """The last sentence of each turn ("speaker: text") that ends in a question, and the place of the next turn."""
    asking = {}
    for i, turn in enumerate(turns[:-1]):
        if turn.endswith("?"):
            asking[re.split(r"[.!?:]\s+", turn)[-1]] = i + 1
    return asking


def most_alike(prompts: FloatArray, turns: FloatArray, *, space: KeySpace) -> list[int]:
    """For each of pooled prompts [m, K, D], the place among pooled turns [n, K, D] of the one with the nearest key."""
    layers = zip(space.prompt_keys(prompts), space.memory_keys(turns), strict=True)
    cosines = [prompt @ turn.T for prompt, turn in layers]
    spreads = [layer / (layer.std(axis=1, keepdims=True) + 1e-9) for layer in cosines]
    return np.sum(spreads, axis=0).argmax(axis=1).tolist()  # type: ignore[no-any-return]


def choose_heads(merits: Mapping[HeadRef, float], *, info: ModelInfo) -> tuple[HeadRef, ...]:
    """At most MOST_HEADS of the best heads, in order of blocks; none where none is good."""
    best = [ref for ref in sorted(merits, key=lambda ref: -merits[ref]) if merits[ref] >= _LEAST_MERIT][
        :_TRIED
    ]
    some = combinations(best, min(MOST_HEADS, len(best)))
    return tuple(
        sorted(min(some, key=lambda refs: (len(info.key_heads(refs)), sum(best.index(ref) for ref in refs))))
    )


def head_merits(
    turns: Sequence[Halves],
    pairs: Sequence[Sequence[Pair]],
    *,
    null: tuple[Halves, Halves],
    attention: Sequence[HeadAttention],
    info: ModelInfo,
) -> dict[HeadRef, float]:
    """How well each head of the first `len(attention)` blocks finds turns: 1 always first, 0 by chance.

    `turns` are keys [key heads, T, head_dim]; `pairs` are of several kinds, which count alike; `null` are queries and
    keys of the null prompt. All hold the heads of the blocks in order.
    """
    merits = {}
    group = info.n_heads // info.n_kv_heads
    starts = np.cumsum([0, *(turn.shape[1] for turn in turns)])
    for row in range(len(attention) * info.n_kv_heads):
        block, key_head = divmod(row, info.n_kv_heads)
        keys = np.concatenate([turn[[row]] for turn in turns], axis=1).astype(np.float32)
        tokens = TokenKeys(keys, starts[:-1])
        finder = _Finder(
            slice(row * group, (row + 1) * group),
            row,
            rotated(tokens.keys[0], tokens.positions, attention=attention[block]),
            starts,
            attention[block],
        )
        nothing = finder.masses(*null, 0, len(turns))
        logs = [np.mean([finder.log_rank(pair, nothing) for pair in kind], axis=0) for kind in pairs]
        chance = np.log1p(np.arange(min(_WINDOW, len(turns)))).mean()
        for i, merit in enumerate(1 - np.mean(logs, axis=0) / chance):
            merits[HeadRef(block, key_head * group + i)] = float(merit)
    return merits


@dataclass(frozen=True, slots=True)
class _Finder:
    """The heads of one key head, and that key head's rotated keys [N, head_dim] of all turns; `starts` [n + 1]."""

    heads: slice
    row: int
    keys: FloatArray
    starts: NDArray[np.int64]
    attention: HeadAttention

    def masses(self, queries: Halves, keys: Halves, first: int, last: int) -> FloatArray:
        """`attention_mass` of a prompt on turns `first` to `last` - 1, float32 [heads, n]."""
        begin, end = self.starts[first], self.starts[last]
        return attention_mass(
            queries[self.heads].astype(np.float32),
            keys[self.row].astype(np.float32),
            self.keys[begin:end],
            starts=self.starts[first:last] - begin,
            attention=self.attention,
        )

    def log_rank(self, pair: Pair, nothing: FloatArray) -> FloatArray:
        """ln(1 + how many turns of the window match better than the right one), by head."""
        n = len(self.starts) - 1
        first = int(np.clip(pair.turn - _WINDOW // 2, 0, max(n - _WINDOW, 0)))
        last = min(first + _WINDOW, n)
        match = self.masses(pair.queries, pair.keys, first, last) - nothing[:, first:last]
        better = match > match[:, [pair.turn - first]]
        return np.asarray(np.log1p(better.sum(axis=1)), dtype=np.float32)


def _halves(values: FloatArray) -> Halves:
    return values.astype(np.float16)


def _end(captured: Captured) -> tuple[Halves, Halves]:
    """Queries and keys of a prompt's last tokens."""
    return _halves(captured.queries[:, -_PROMPT_TOKENS:]), _halves(captured.keys[:, -_PROMPT_TOKENS:])
