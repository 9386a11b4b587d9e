"""What can be measured in each layer and token of an inference: functions of its activations, and of the model.

Shapes: `L` blocks, `T` fed tokens, `D` width of the residual stream. Where there is no value, NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from weakref import WeakKeyDictionary

import numpy as np

from aspen.activation_db import calibration_text
from aspen.errors import InvalidInput, ModelError, PromptTooLong
from aspen.models import LanguageModel
from aspen.models.likelihood import log_softmax
from aspen.types import FloatArray, TokenIds

LENS_LAYERS = 6
"""Layers that surprise is taken at, evenly up to the last: the unembedding of one costs as much as a third of a small
model's forward pass. The embedding is none of them: it knows the token alone."""
_AT_ONCE = 64
"""Tokens whose logits are held at once: 49,152 words are 25 MB of float64."""
_COMMON_TEXTS, _COMMON_TOKENS = 48, 40
"""Texts, and their first tokens, that tell what all states have in common."""


def norms(states: FloatArray) -> FloatArray:
    """Euclidean length of the residual stream: float32 [L + 1, T] of [L + 1, T, D]; 0 where a token did not run."""
    lengths: FloatArray = np.sqrt(np.einsum("ltd,ltd->lt", states, states, dtype=np.float64)).astype(
        np.float32
    )
    return lengths


def changes(states: FloatArray) -> FloatArray:
    """How much each block changes the residual stream: |after - before| / |before|, float32 [L, T]."""
    before = np.maximum(norms(states)[:-1], np.finfo(np.float32).tiny)
    found = np.stack([np.linalg.norm(after - was, axis=-1) for was, after in pairwise(states)])
    shares: FloatArray = (found / before).astype(np.float32)
    return shares


def surprises(
    model: LanguageModel, states: FloatArray, token_ids: TokenIds
) -> tuple[tuple[int, ...], FloatArray]:
    """How little each layer expects a token: the layers, and -log2 p(token | tokens before), float32 [layers, T].

    By the logit lens (nostalgebraist 2020): final norm and unembedding are put on the state of the token before. What
    they make of early layers is biased (Belrose et al. 2023, "Eliciting Latent Predictions from Transformers with the
    Tuned Lens"): read them beside each other, not as what the model believes. Of the last layer it is the model's own
    surprise. Where the model does not tell its unembedding, the last layer alone, from a pass of its own over
    `token_ids` [T]. The first token has none.
    """
    last = len(states) - 1
    found = np.full((1, len(token_ids)), np.nan, dtype=np.float32)
    try:
        model.unembed(states[last, :1])
    except ModelError:
        session = model.start_session()
        found[0, 1:] = _bits(lambda start, stop: session.prefill_each(token_ids[start:stop]), token_ids)
        return (last,), found
    layers = tuple(sorted({max(1, round(last * (n + 1) / LENS_LAYERS)) for n in range(LENS_LAYERS)}))
    found = np.repeat(found, len(layers), axis=0)
    for row, layer in enumerate(layers):
        found[row, 1:] = _bits(_lens(model, states[layer]), token_ids)
    return layers, found


def _lens(model: LanguageModel, states: FloatArray) -> Callable[[int, int], FloatArray]:
    return lambda start, stop: model.unembed(states[start:stop])


def _bits(logits: Callable[[int, int], FloatArray], token_ids: TokenIds) -> FloatArray:
    """-log2 p of each token but the first, [T - 1]; `logits(start, stop)` are those after these tokens, in order."""
    found = np.empty(len(token_ids) - 1, dtype=np.float32)
    for start in range(0, len(found), _AT_ONCE):
        stop = min(start + _AT_ONCE, len(found))
        logs = log_softmax(logits(start, stop))
        found[start:stop] = -logs[np.arange(stop - start), token_ids[start + 1 : stop + 1]] / np.log(2)
    return found


def resonances(model: LanguageModel, states: FloatArray, prompt: str) -> FloatArray:
    """Likeness of each layer and token to a prompt: the greatest cosine with one of its tokens, float32 [L + 1, T].

    The greatest, as in late interaction (Khattab and Zaharia 2020, ColBERT): the mean over the prompt blurs what one
    word of it says. Raw states are all alike, for a few dimensions are a hundred times as large as the others
    (Ethayarajh 2019, "How Contextual are Contextualized Word Representations?"). So each dimension of each layer is
    centred and divided by its spread over a shipped text (Timkey and van Schijndel 2021, "All Bark and No Bite: Rogue
    Dimensions in Transformer Language Models Obscure Representational Quality"): on the bundled model the mean cosine
    then falls from 0.66 to 0.12. First tokens, attention sinks, are left out of the prompt, and have no value.

    InvalidInput for a prompt of one token; PromptTooLong for one beyond the context.
    """
    token_ids = model.tokenize(prompt)
    if len(token_ids) < 2:
        raise InvalidInput(
            f"{prompt!r} is one token, an attention sink that says nothing of the text.",
            hint="Take a prompt of some words.",
        )
    limit = model.info.context_length
    if len(token_ids) > limit:
        raise PromptTooLong(
            f"{len(token_ids)} tokens exceed the context of {limit}.", hint="Shorten the prompt."
        )
    layers = range(len(states))
    (asked,) = model.capture([token_ids], layers=layers)
    mean, spread = _common(model)
    found = np.empty(states.shape[:2], dtype=np.float32)
    for layer in layers:  # one at a time: whole copies would take hundreds of MB
        of_trace, of_prompt = (
            _unit((one[layer] - mean[layer]) / spread[layer]) for one in (states, asked[:, 1:])
        )
        found[layer] = (of_trace @ of_prompt.T).max(axis=1)
    found[:, 0] = np.nan
    return found


_COMMON: WeakKeyDictionary[LanguageModel, tuple[FloatArray, FloatArray]] = WeakKeyDictionary()


def _common(model: LanguageModel) -> tuple[FloatArray, FloatArray]:
    """Mean and spread of each layer and dimension over a shipped text, float32 [L + 1, 1, D] each; once per model."""
    if model not in _COMMON:
        turns, questions = calibration_text()
        texts = [
            *turns[:: len(turns) // _COMMON_TEXTS],
            *questions[:: len(questions) // (_COMMON_TEXTS // 4)],
        ]
        batch = [model.tokenize(text)[:_COMMON_TOKENS] for text in texts]
        captured = model.capture(batch, layers=range(model.info.n_layers + 1))
        states = np.concatenate([one[:, 1:] for one in captured], axis=1)
        mean: FloatArray = states.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
        spread: FloatArray = states.std(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
        _COMMON[model] = mean, np.maximum(spread, 1e-6)
    return _COMMON[model]


def _unit(vectors: FloatArray) -> FloatArray:
    """Vectors [n, D] of length 1."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: FloatArray = vectors / np.maximum(lengths, 1e-12)
    return scaled
