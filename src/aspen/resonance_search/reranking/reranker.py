"""A linear re-ranker on attention in context.

No single head tells a memory that answers from one that is merely alike. A weighted sum over heads does, in which the
attention that any prompt would pay to the memory stands against what this prompt pays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from safetensors.numpy import load, save

from aspen.models import HeadRef
from aspen.resonance_search.fusion import zscore
from aspen.types import FloatArray


@dataclass(frozen=True, slots=True)
class Reranker:
    """Weights float32 [2, heads] of `ContextAttention.masses`, in units of the first stage's score.

    texts: `labelled_digest` of what they were learned from.
    """

    heads: tuple[HeadRef, ...]
    weights: FloatArray
    texts: str

    def lift(self, masses: FloatArray) -> FloatArray:
        """What is added to the scores of n memories, float32 [n], for their masses [n, 2, heads]."""
        return np.asarray(np.einsum("nkh,kh->n", zscore(masses), self.weights), dtype=np.float32)

    def to_bytes(self) -> bytes:
        """As safetensors."""
        refs = np.array([(ref.block, ref.head) for ref in self.heads], dtype=np.int64)
        texts = np.frombuffer(bytes.fromhex(self.texts), dtype=np.uint8)
        return save({"heads": refs, "weights": self.weights, "texts": texts})

    @classmethod
    def from_bytes(cls, body: bytes) -> Reranker:
        """The inverse of `to_bytes`; SafetensorError, KeyError or ValueError where it is damaged."""
        tensors = load(body)
        refs = tuple(HeadRef(block, head) for block, head in tensors["heads"].tolist())
        return cls(refs, tensors["weights"], tensors["texts"].tobytes().hex())
