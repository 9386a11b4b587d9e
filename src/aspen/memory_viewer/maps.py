"""Maps of traces: a number for each layer and token, so that one sees where in the model something happened.

======================  =======================================================================  =============
measure                 what each cell says                                                      unit
======================  =======================================================================  =============
norm                    how long the residual stream is                                          length
change                  how much the block before changed it                                     share
surprise                how little the layer expected the token, by the logit lens               bits
resonance               how like the state is to those of a prompt, what all share taken off     cosine
divergence              how far two runs are apart at a shared token                             share
======================  =======================================================================  =============

The formulas, with their sources, are in `measures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from aspen.aspen import Aspen
from aspen.errors import InvalidInput
from aspen.memory_viewer.measures import changes, norms, resonances, surprises
from aspen.memory_viewer.rerunning import ran, states_of
from aspen.models import LanguageModel
from aspen.seed_manager import Difference, explain_fingerprint, shared_tokens
from aspen.types import FloatArray, Segment, TokenIds, Trace
from aspen.validation import check_text

MEASURES = ("norm", "change", "surprise", "resonance")
"""What `trace_map` measures."""
UNITS = {
    "norm": "length of the residual stream",
    "change": "share of the length before",
    "surprise": "bits",
    "resonance": "cosine",
    "divergence": "share of the length before the change",
}


@dataclass(frozen=True, slots=True, eq=False)
class TraceMap:
    """One measure of one inference.

    layers: of each row, 0 is the embedding and k the residual stream after block k; tokens: what each column adds to
    the text; values: float32 [layers, tokens], NaN where there is none: tokens of KV fragments never ran, the first
    token has no surprise and no resonance. segments: named runs of the columns. prompt: what resonance is held
    against.
    """

    title: str
    measure: str
    unit: str
    layers: tuple[int, ...]
    tokens: tuple[str, ...]
    values: FloatArray = field(repr=False)
    segments: tuple[Segment, ...] = ()
    prompt: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MapComparison:
    """Two maps of one measure, and what the second has more than the first where both have the same token.

    `difference` has a column for each shared token; `first_places` and `second_places`, int32 [S], are the columns of
    the two maps that it comes from.
    """

    first: TraceMap
    second: TraceMap
    difference: TraceMap
    first_places: TokenIds
    second_places: TokenIds


def trace_map(aspen: Aspen, trace_id: str, *, measure: str = "norm", prompt: str | None = None) -> TraceMap:
    """A map of a stored trace. A trace that keeps no activations of its tokens is fed again and verified.

    NotFound where there is no such trace; InvalidInput for a measure that there is not, and where "resonance" has no
    `prompt` or another measure has one; TraceError where what comes out again is not what was recorded, and where the
    model of a trace is needed and is another one.
    """
    _check(measure, prompt)
    trace = aspen.trace(trace_id)
    return _map(aspen, _inference_of(aspen, trace), measure=measure, prompt=prompt)


def compare_traces(
    aspen: Aspen, first_id: str, second_id: str, *, measure: str = "norm", prompt: str | None = None
) -> MapComparison:
    """Maps of two traces side by side. Raises as `trace_map`; InvalidInput where they are of different models."""
    _check(measure, prompt)
    traces = [aspen.trace(id_) for id_ in (first_id, second_id)]
    if len({trace.fingerprint.model_id for trace in traces}) > 1:
        raise InvalidInput(
            f"The traces {first_id} and {second_id} were recorded with different models.",
            hint="Only activations of one model can be held against each other.",
        )
    first, second = (_inference_of(aspen, trace) for trace in traces)
    return _compared(aspen, first, second, measure=measure, prompt=prompt)


def compare_runs(
    aspen: Aspen, difference: Difference, *, measure: str = "norm", prompt: str | None = None
) -> MapComparison:
    """Maps of a recorded inference and of the one with an edit, as `Aspen.what_if` found them."""
    _check(measure, prompt)
    before, after = (
        _Inference(f"{difference.trace_id}, {name}", run.token_ids, run.prompt_length, run.states, ())
        for name, run in (
            ("as recorded", difference.before),
            (", ".join(difference.changed), difference.after),
        )
    )
    return _compared(aspen, before, after, measure=measure, prompt=prompt)


def divergence_map(difference: Difference) -> TraceMap:
    """How far an edit drove the residual streams of shared tokens apart: see `seed_manager.Divergence`."""
    found = difference.divergence
    return TraceMap(
        title=f"{difference.trace_id}: {', '.join(difference.changed)}",
        measure="divergence",
        unit=UNITS["divergence"],
        layers=tuple(range(len(found.distances))),
        tokens=found.texts,
        values=found.distances,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Inference:
    """What a map is made of: all tokens, the last of which was not fed, and the states [L + 1, T, D] of those fed."""

    title: str
    token_ids: TokenIds
    prompt_length: int
    states: FloatArray
    segments: tuple[Segment, ...]
    trace: Trace | None = None

    @property
    def fed(self) -> TokenIds:
        """int32 [T]"""
        return self.token_ids[: self.states.shape[1]]


def _check(measure: str, prompt: str | None) -> None:
    if measure not in MEASURES:
        raise InvalidInput(f"There is no measure {measure!r}.", hint=f"One of {', '.join(MEASURES)}.")
    if measure == "resonance" and prompt is None:
        raise InvalidInput(
            "The measure 'resonance' needs `prompt`, which it is held against, and there is none.",
            hint="Give a prompt of some words, or take another measure.",
            parameter="prompt",
        )
    if measure == "resonance":
        check_text(prompt, what="prompt")
    elif prompt is not None:
        raise InvalidInput(
            f"The measure {measure!r} has no prompt.", hint="A prompt is what resonance is held against."
        )


def _inference_of(aspen: Aspen, trace: Trace) -> _Inference:
    states = states_of(aspen, trace)
    title = trace.id if trace.conversation is None else f"{trace.id}, {trace.conversation}"
    return _Inference(title, trace.token_ids, trace.prompt_length, states, trace.segments, trace)


def _map(aspen: Aspen, inference: _Inference, *, measure: str, prompt: str | None) -> TraceMap:
    model, states = aspen.model, inference.states
    layers: Sequence[int] = range(len(states))
    if measure == "norm":
        values = norms(states)
    elif measure == "change":
        layers, values = layers[1:], changes(states)
    elif measure == "surprise":
        _require_its_model(model, inference)
        layers, values = surprises(model, states, inference.fed)
    else:
        _require_its_model(model, inference)
        values = resonances(model, states, prompt or "")
    did = np.asarray(states.any(axis=(0, 2))) if inference.trace is None else ran(inference.trace)
    did_not = np.flatnonzero(~did)
    values[:, did_not] = np.nan
    if measure == "surprise":
        behind = did_not[did_not < len(did) - 1] + 1
        values[:, behind] = np.nan  # nothing was computed that could expect them
    return TraceMap(
        title=inference.title,
        measure=measure,
        unit=UNITS[measure],
        layers=tuple(layers),
        tokens=_texts(model, inference.fed),
        values=values,
        segments=inference.segments,
        prompt=prompt,
    )


def _require_its_model(model: LanguageModel, inference: _Inference) -> None:
    trace = inference.trace
    if trace is not None and trace.fingerprint.model_id != model.fingerprint.model_id:
        raise InvalidInput(
            f"The trace {trace.id} was recorded with another model: {explain_fingerprint(model, trace)}.",
            hint="Norm and change need no model; for the others open the store with the one that recorded it.",
        )


def _compared(
    aspen: Aspen, first: _Inference, second: _Inference, *, measure: str, prompt: str | None
) -> MapComparison:
    one, other = (_map(aspen, each, measure=measure, prompt=prompt) for each in (first, second))
    here, there = shared_tokens(
        first.fed, second.fed, prompt_lengths=(first.prompt_length, second.prompt_length)
    )
    difference = TraceMap(
        title=f"{second.title} less {first.title}",
        measure=measure,
        unit=f"{UNITS[measure]}, more in the second",
        layers=one.layers,
        tokens=tuple(one.tokens[place] for place in here.tolist()),
        values=other.values[:, there] - one.values[:, here],
        prompt=prompt,
    )
    return MapComparison(one, other, difference, here, there)


def _texts(model: LanguageModel, token_ids: TokenIds) -> tuple[str, ...]:
    """What each token adds to the text."""
    return tuple(
        model.detokenize(token_ids[place : place + 1], skip_special=False) for place in range(len(token_ids))
    )
