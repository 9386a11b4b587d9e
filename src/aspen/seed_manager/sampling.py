"""Several seeds for one prompt: drawn after one prefill, compared, and one of them chosen.

The reply that agrees most with the others is likeliest to be right: self-consistency (Wang et al. 2022) takes the
answer that most reasoning paths end in. Free text has no answers to count, so agreement is measured where the model
keeps what it means, in the middle of its residual stream, and the reply nearest to the others is taken, as minimum
Bayes risk decoding does (Kumar and Byrne 2004). The model's own likelihood weighs in, as in the weighted vote of Wang
et al.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from aspen.errors import InvalidInput
from aspen.models.generation import Generation, sample_reply
from aspen.models.interface import LanguageModel, Session
from aspen.models.likelihood import log_softmax
from aspen.seed_manager.seeds import choose_seed
from aspen.types import FloatArray, PooledActivations, SamplerSettings, TokenIds
from aspen.validation import check_kind, check_seed

MOST_SEEDS = 64


@dataclass(frozen=True, slots=True)
class Scores:
    """How one candidate stands among the others.

    log_likelihood: mean over its tokens of their log-probability under the model, natural logarithm, <= 0, whatever the
    sampler's settings. agreement: mean cosine of its pooled activations with those of the others, in [-1, 1].
    differs: mean share of its tokens that are not in the others, in [0, 1]. score: the sum of the z-scores of
    log_likelihood and agreement; the highest is chosen.
    """

    log_likelihood: float
    agreement: float
    differs: float
    score: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidates compared, in their order. `diversity` is their mean pairwise distance, 1 - cosine, in [0, 2]."""

    scores: tuple[Scores, ...]
    chosen: int
    diversity: float


def choose_seeds(seeds: int | Sequence[int]) -> list[int]:
    """So many fresh seeds, or those that are given. InvalidInput unless they are 2 to 64 different ones."""
    check_kind(seeds, int | list | tuple | range, what="seeds")
    if isinstance(seeds, bool) or (isinstance(seeds, int) and not 2 <= seeds <= MOST_SEEDS):
        raise InvalidInput(
            f"Candidates are compared with each other: 2 to {MOST_SEEDS} seeds are needed, not {seeds!r}."
        )
    chosen = (
        [choose_seed(None) for _ in range(seeds)] if isinstance(seeds, int) else list(map(check_seed, seeds))
    )
    if not 2 <= len(chosen) <= MOST_SEEDS or len(set(chosen)) < len(chosen):
        raise InvalidInput(
            f"Candidates are compared with each other: 2 to {MOST_SEEDS} different seeds are needed, not {chosen}."
        )
    return chosen


def sample_after(
    model: LanguageModel,
    *,
    session: Session,
    prompt_ids: TokenIds,
    logits: FloatArray,
    settings: SamplerSettings,
    seed: int,
    max_tokens: int,
    prefill_seconds: float = 0.0,
) -> tuple[Generation, float]:
    """`sample_reply`, and the mean log-probability of its tokens under the model.

    The session holds the prompt, and the reply behind it afterwards: `rewind` it before the next seed.
    """
    log_probabilities: list[float] = []

    def keep(token: int, drawn_from: FloatArray) -> None:
        log_probabilities.append(float(log_softmax(drawn_from[None])[0, token]))

    generation = sample_reply(
        model,
        session=session,
        prompt_ids=prompt_ids,
        logits=logits,
        settings=settings,
        seed=seed,
        max_tokens=max_tokens,
        on_draw=keep,
        prefill_seconds=prefill_seconds,
    )
    return generation, float(np.mean(log_probabilities))


def compare_candidates(
    token_ids: Sequence[TokenIds],
    pooled: Sequence[PooledActivations],
    log_likelihoods: Sequence[float],
    *,
    empty: Sequence[bool],
) -> Comparison:
    """Compare two candidates or more, by their sampled tokens, pooled activations and mean log-likelihoods.

    `empty` ones say nothing: one of them is chosen only where all are.
    """
    cosines = activation_cosines(pooled)
    agreement = _mean_of_others(cosines)
    differs = _mean_of_others(_token_distances(token_ids))
    score = _z(np.array(log_likelihoods)) + _z(agreement)
    ranked = np.where(np.array(empty) & ~np.all(empty), -np.inf, score)
    pairs = np.triu_indices(len(pooled), k=1)
    rows = zip(log_likelihoods, agreement.tolist(), differs.tolist(), score.tolist(), strict=True)
    return Comparison(
        scores=tuple(Scores(*map(float, row)) for row in rows),
        chosen=int(np.argmax(ranked)),
        diversity=float(np.mean(1 - cosines[pairs])),
    )


def activation_cosines(pooled: Sequence[PooledActivations]) -> NDArray[np.float64]:
    """Cosines of replies with each other, float64 [n, n], mean over the middle third of the layers.

    Pooled residual streams of one model point nearly the same way (Ethayarajh 2019), so they are centred first: on the
    prompt's own mean, which all candidates share. The mean of the candidates would not do: the reply that agrees with
    all of them would be the origin. A reply of one token was never fed back, and agrees with nothing: 0.
    """
    layers = len(pooled[0].reply)
    middle = slice(layers // 3, max(layers // 3 + 1, 2 * layers // 3))
    there = np.array([bool(one.reply.any()) for one in pooled])
    centred = np.stack([one.reply[middle].astype(np.float64) - one.prompt[middle] for one in pooled], axis=1)
    lengths = np.linalg.norm(centred, axis=-1, keepdims=True)
    units = np.where(there[:, None], centred / np.where(lengths > 0, lengths, 1), 0)  # [layers, n, D]
    cosines: NDArray[np.float64] = np.mean(units @ units.swapaxes(-1, -2), axis=0)
    return np.clip(cosines, -1, 1)


def _token_distances(token_ids: Sequence[TokenIds]) -> NDArray[np.float64]:
    """1 - the share of tokens in common runs (difflib's ratio), float64 [n, n]."""
    distances = np.zeros((len(token_ids), len(token_ids)))
    for i, one in enumerate(token_ids):
        for j in range(i):
            matcher = SequenceMatcher(a=one.tolist(), b=token_ids[j].tolist(), autojunk=False)
            distances[i, j] = distances[j, i] = 1 - matcher.ratio()
    return distances


def _mean_of_others(square: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each row, the mean without its own column."""
    count = len(square)
    means: NDArray[np.float64] = (square.sum(axis=1) - np.diagonal(square)) / (count - 1)
    return means


def _z(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = values.std()
    # Candidates that came out alike differ by rounding alone, which must not decide.
    return np.zeros(len(values)) if spread < 1e-9 else (values - values.mean()) / spread
