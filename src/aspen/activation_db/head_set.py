"""Which heads match memories to prompts, and all that matching takes besides the model: kept with the calibration."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aspen.activation_db.transform_code import TransformCode
from aspen.models import HeadAttention, HeadRef, LanguageModel, Rotary
from aspen.types import FloatArray

NULL_PROMPT = "Question: N/A?"
"""A prompt without content: what it attends to, every prompt attends to."""
_VERSION = 2
_LESS = 21
"""A token's key takes this many times fewer bytes than as float32; docs/benchmarks/compression.md has the curve."""


@dataclass(frozen=True, slots=True)
class PromptHeads:
    """Queries float32 [n_heads, T, head_dim] and keys [n_key_heads, T, head_dim] of a prompt, not rotated."""

    queries: FloatArray
    keys: FloatArray


@dataclass(frozen=True)
class HeadSet:
    """The heads that match memories.

    heads: the query heads; key_rows: for each, its row among the key heads; attention: for each, how queries and
    keys meet; null: the prompt without content; codes: how each key head's keys are kept.
    """

    heads: tuple[HeadRef, ...]
    key_rows: tuple[int, ...]
    attention: tuple[HeadAttention, ...]
    null: PromptHeads
    codes: tuple[TransformCode, ...]

    @classmethod
    def of(
        cls,
        model: LanguageModel,
        heads: Sequence[HeadRef],
        *,
        memories: Sequence[FloatArray],
        prompts: Sequence[FloatArray],
    ) -> HeadSet:
        """For `heads` of `model`; ModelError where they cannot be told apart.

        `memories` are keys [n_key_heads, T, head_dim] of texts, `prompts` queries [n_heads, T, head_dim] of others:
        keys like these are coded, so that the products with queries like these come out right.
        """
        keys = model.info.key_heads(heads)
        (null,) = model.capture_with_heads([model.tokenize(NULL_PROMPT)], layers=[0], heads=heads)
        key_rows = tuple(keys.index(model.info.key_head(ref)) for ref in heads)
        attention = tuple(model.head_attention(ref.block) for ref in heads)
        codes = []
        for row in range(len(keys)):
            asking = [i for i, key_row in enumerate(key_rows) if key_row == row]
            codes.append(
                _code(
                    np.concatenate([text[row, 1:] for text in memories]),
                    np.concatenate([prompt[asking].reshape(-1, prompt.shape[2]) for prompt in prompts]),
                    attention=attention[asking[0]],
                )
            )
        return cls(tuple(heads), key_rows, attention, PromptHeads(null.queries, null.keys), tuple(codes))

    @cached_property
    def version(self) -> str:
        """Head keys of equal version and model can be compared: the heads, and a digest of what decodes their keys."""
        digest = hashlib.sha256(
            b"".join(code.digest for code in self.codes) + self.null.keys.tobytes()
        ).hexdigest()
        return f"{_VERSION}:{','.join(f'{ref.block}.{ref.head}' for ref in self.heads)}:{digest[:8]}"

    @cached_property
    def tag(self) -> bytes:
        """What head keys begin with: four bytes that stand for `version`."""
        return hashlib.sha256(self.version.encode()).digest()[:4]

    @property
    def n_key_heads(self) -> int:
        """Key heads that the query heads read."""
        return len(self.null.keys)

    @property
    def head_dim(self) -> int:
        """Width of a query or key."""
        return int(self.null.keys.shape[2])

    @cached_property
    def token_size(self) -> int:
        """Bytes that each token of a memory takes, but for the first, which takes none."""
        return sum(code.size for code in self.codes)

    @property
    def head_size(self) -> int:
        """Bytes before the tokens: the tag, and for each head a float16."""
        return len(self.tag) + 2 * len(self.heads)

    def fits(self, body: bytes) -> bool:
        """Whether head keys are of these heads: a calibration made anew may have chosen others."""
        tokens, rest = divmod(len(body) - self.head_size, self.token_size)
        return body.startswith(self.tag) and tokens >= 0 and rest == 0

    def to_tensors(self) -> dict[str, NDArray[Any]]:
        """The arrays it consists of, by name."""
        tensors: dict[str, NDArray[Any]] = {
            "heads.refs": np.array([(ref.block, ref.head) for ref in self.heads], dtype=np.int64),
            "heads.key_rows": np.array(self.key_rows, dtype=np.int64),
            "heads.scales": np.array([one.scale for one in self.attention]),
            "heads.softcaps": np.array([one.softcap or 0.0 for one in self.attention]),  # 0: none
            "heads.null_queries": self.null.queries,
            "heads.null_keys": self.null.keys,
        }
        for i, one in enumerate(self.attention):
            if one.rotary is not None:
                tensors[f"heads.frequencies.{i}"] = one.rotary.inverse_frequencies
                tensors[f"heads.factor.{i}"] = np.array([one.rotary.factor])
        for row, code in enumerate(self.codes):
            tensors |= code.to_tensors(f"heads.code.{row}")
        return tensors

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> HeadSet | None:
        """The inverse of `to_tensors`; None where the arrays hold no heads, KeyError where one of them is missing."""
        if "heads.refs" not in tensors:
            return None
        return cls(
            heads=tuple(HeadRef(block, head) for block, head in tensors["heads.refs"].tolist()),
            key_rows=tuple(tensors["heads.key_rows"].tolist()),
            attention=tuple(
                HeadAttention(scale, softcap or None, _rotary(tensors, i))
                for i, (scale, softcap) in enumerate(
                    zip(tensors["heads.scales"].tolist(), tensors["heads.softcaps"].tolist(), strict=True)
                )
            ),
            null=PromptHeads(tensors["heads.null_queries"], tensors["heads.null_keys"]),
            codes=tuple(
                TransformCode.from_tensors(tensors, f"heads.code.{row}")
                for row in range(len(tensors["heads.null_keys"]))
            ),
        )


def _code(keys: FloatArray, queries: FloatArray, *, attention: HeadAttention) -> TransformCode:
    """For keys like those of tokens [N, head_dim], asked by queries like these [M, head_dim]."""
    # An error in a key counts by how large queries are in its dimension. Rotary embedding mixes the two of a pair.
    squares = np.square(queries, dtype=np.float64).mean(axis=0)
    if attention.rotary is not None:
        half = len(attention.rotary.inverse_frequencies)
        squares[:half] = squares[half : 2 * half] = (squares[:half] + squares[half : 2 * half]) / 2
    weights = np.sqrt(squares + 1e-6 * squares.max() + 1e-12)
    width = keys.shape[1]
    mean = keys.mean(axis=0, dtype=np.float64)
    deviations = keys - mean
    return TransformCode.fit(
        mean,
        deviations.T @ deviations / max(len(keys) - 1, 1),
        size=max(1, 4 * width // _LESS),
        weights=weights.astype(np.float32),
    )


def _rotary(tensors: Mapping[str, NDArray[Any]], i: int) -> Rotary | None:
    frequencies = tensors.get(f"heads.frequencies.{i}")
    return None if frequencies is None else Rotary(frequencies, float(tensors[f"heads.factor.{i}"][0]))
