"""The activations of a trace that does not keep them: its tokens are fed again, and held against its digests.

What came out is kept for the last few traces, until memories are forgotten.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from aspen.activation_logger import Recording, record
from aspen.activation_logger.digest import first_difference
from aspen.aspen import Aspen
from aspen.errors import TraceError
from aspen.models import feed
from aspen.seed_manager import explain_fingerprint
from aspen.types import FloatArray, Trace

KEPT = 3
"""Traces whose activations are kept: two are compared, and one was looked at before. Some 150 KB a token each."""


def recording_of(aspen: Aspen, trace: Trace) -> Recording:
    """The inference of `trace`, fed again token by token as it was fed, and found to be the same bit for bit.

    TraceError where other activations come out, which names the first token and layer; NotFound where KV fragments that
    it used are gone.
    """
    kept = _kept_of(aspen)
    recording = kept.get(trace.id)
    if recording is None:
        recording = _fed_again(aspen, trace)
        kept.put(trace.id, recording)
    return recording


def states_of(aspen: Aspen, trace: Trace) -> FloatArray:
    """Every layer and fed token of a trace, float32 [L + 1, T, D]: as it keeps them, else as `recording_of`."""
    if trace.hidden_states is not None:
        return trace.hidden_states
    return recording_of(aspen, trace).hidden_states


def ran(trace: Trace) -> NDArray[np.bool_]:
    """Which of the fed tokens ran through the model, bool [T]: those of KV fragments did not."""
    did = np.ones(len(trace.token_ids) - 1, dtype=np.bool_)
    start = 0
    for one in trace.passes:
        did[start : start + one.tokens] = one.fragment is None
        start += one.tokens
    return did


def _fed_again(aspen: Aspen, trace: Trace) -> Recording:
    model = aspen.model
    if model.fingerprint.model_id != trace.fingerprint.model_id:
        raise TraceError(
            f"The trace {trace.id} keeps no activations of its tokens, and was recorded with another model: "
            f"{explain_fingerprint(model, trace)}.",
            hint="Open the store with the model that recorded it.",
            trace=trace.id,
        )
    fragments = aspen.fragments(trace)
    with record(model) as recording:
        session = model.start_session()
        feed(session, trace.token_ids[: trace.prompt_length], passes=trace.passes, fragments=fragments)
        for token in trace.token_ids[trace.prompt_length : -1].tolist():
            session.decode(token)
    place = first_difference(trace.state_digests, recording.state_digests)
    if place is not None or recording.digest != trace.digest:
        raise _differs(aspen, trace, place)
    return recording


def _differs(aspen: Aspen, trace: Trace, place: tuple[int, int] | None) -> TraceError:
    why = explain_fingerprint(aspen.model, trace)
    hint = (
        f"A replay of it (`aspen replay {trace.id}`) says more." if not why else f"{why[0].upper()}{why[1:]}."
    )
    if place is None:
        return TraceError(
            f"The trace {trace.id}, fed again, gives other activations than it recorded.",
            hint=hint,
            trace=trace.id,
        )
    layer, token = place
    text = aspen.model.detokenize(trace.token_ids[token : token + 1], skip_special=False)
    return TraceError(
        f"The trace {trace.id}, fed again, gives other activations than it recorded, first at token {token} "
        f"({text!r}), layer {layer}.",
        hint=hint,
        trace=trace.id,
        token=token,
        layer=layer,
    )


class _Kept:
    """The recordings of the last traces that were looked at, the latest last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recordings: OrderedDict[str, Recording] = OrderedDict()

    def get(self, trace_id: str) -> Recording | None:
        with self._lock:
            if trace_id in self._recordings:
                self._recordings.move_to_end(trace_id)
            return self._recordings.get(trace_id)

    def put(self, trace_id: str, recording: Recording) -> None:
        with self._lock:
            self._recordings[trace_id] = recording
            while len(self._recordings) > KEPT:
                self._recordings.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._recordings.clear()


_KEPT: WeakKeyDictionary[Aspen, _Kept] = WeakKeyDictionary()
_GUARD = threading.Lock()


def _kept_of(aspen: Aspen) -> _Kept:
    with _GUARD:
        if aspen not in _KEPT:
            _KEPT[aspen] = kept = _Kept()
            aspen.at_forgetting(kept.clear)
        return _KEPT[aspen]
