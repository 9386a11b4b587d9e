"""What the logits of a model say: how likely a text is, and how sure the model is of what comes next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aspen.errors import InvalidInput
from aspen.models.interface import Session
from aspen.types import FloatArray, TokenIds


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Of one distribution over the next token, in nats, at temperature 1.

    entropy: Shannon's, in [0, ln V]; margin: log-probability of the likeliest token minus that of the second, >= 0.
    """

    entropy: float
    margin: float


def uncertainty(logits: FloatArray) -> Uncertainty:
    """How sure a model is of the next token, from its logits, float32 [V] with V >= 2."""
    logs = log_softmax(logits[None])[0]
    second, first = np.partition(logs, -2)[-2:]
    with np.errstate(invalid="ignore"):  # a token that cannot come adds 0 x -inf
        terms = np.where(np.isneginf(logs), 0.0, np.exp(logs) * logs)
    return Uncertainty(entropy=max(0.0, -float(terms.sum())), margin=float(first - second))


def log_likelihoods(session: Session, logits: FloatArray, token_ids: TokenIds) -> NDArray[np.float64]:
    """Log-probability of each of int32 [n >= 1] tokens after those in the session, in nats: float64 [n].

    `logits` [V] are those after the session's last token. The session stands afterwards as it did before.
    """
    if len(token_ids) == 0:
        raise InvalidInput("A text without a token has no likelihood.")
    length = session.length
    logs = [log_softmax(logits[None])]
    if len(token_ids) > 1:
        try:
            logs.append(log_softmax(session.prefill_each(token_ids[:-1])))
        finally:
            session.rewind(length)
    found: NDArray[np.float64] = np.concatenate(logs)[np.arange(len(token_ids)), token_ids]
    return found


def log_softmax(logits: FloatArray) -> NDArray[np.float64]:
    """Log-probabilities of all tokens, float64 [n, V], from float32 [n, V]."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    logs: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logs
