"""A trace as bytes, at one of three levels, and back.

======  ===================================================  ===============
level   activations                                          bytes per token
======  ===================================================  ===============
pooled  per layer the prompt's and the reply's mean, fp16              1,800
int8    every layer and token, one float32 scale per vector           12,500
fp16    every layer and token, one float32 scale per vector           34,600
======  ===================================================  ===============

(Measured: SmolLM2-135M, 30 layers, width 576; 340 tokens of prompt, 60 of reply.) All levels keep the tokens,
the digests of the exact activations, the pooled vectors and the attention summary: most of level pooled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aspen.activation_db.quantise import absolute_maxima, to_float32, to_fp16, to_int8
from aspen.activation_db.trace_file import MAX_BYTES, TRACE_FILE
from aspen.errors import InvalidInput, TraceCorrupt
from aspen.models.feeding import check_passes
from aspen.models.fingerprint import from_dict, to_dict
from aspen.models.sampling import check_settings
from aspen.types import (
    AttentionSummary,
    FloatArray,
    Injection,
    Pass,
    PooledActivations,
    SamplerSettings,
    Segment,
    Trace,
    TraceLevel,
)
from aspen.validation import check_seed, check_time

_ORDER = (TraceLevel.POOLED, TraceLevel.INT8, TraceLevel.FP16)
_TEXTS = ("id", "prompt", "reply", "finish_reason", "digest")
_NAMES = ("conversation", "speaker")
_COUNTS = ("prompt_length", "max_tokens")


def encode_trace(trace: Trace, *, level: TraceLevel | None = None) -> bytes:
    """The trace as bytes, at its own level or a lower one.

    Raises InvalidInput where activations are NaN or infinite, where the trace does not hold what `level` asks
    for, and where its parts do not fit each other.
    """
    level = trace.level if level is None else level
    if _ORDER.index(level) > _ORDER.index(trace.level) or (
        level is not TraceLevel.POOLED and trace.hidden_states is None
    ):
        raise InvalidInput(
            f"A trace of level {trace.level.value} cannot be stored as {level.value}: it holds too little.",
            level=level.value,
        )
    arrays = _stored_arrays(trace, level=level)
    header = _header(trace, level=level)
    if problem := _misfit(header, arrays):
        raise InvalidInput(f"The trace cannot be stored: {problem}.", trace=trace.id)
    return TRACE_FILE.pack(header, arrays=arrays)


def decode_trace(data: bytes, *, max_bytes: int = MAX_BYTES) -> Trace:
    """The trace that `encode_trace` wrote. Activations come back as float32, None at level pooled.

    Raises TraceCorrupt where the bytes are cut, altered, no trace, or unpack to more than `max_bytes`;
    TraceVersionError where another version of the format wrote them.
    """
    header, arrays = TRACE_FILE.unpack(data, max_bytes=max_bytes)
    try:
        if TRACE_FILE.format_version(data) == 1:  # all prompts were one pass
            header |= {"passes": [[header["prompt_length"], None]], "injection": None}
        problem = _misfit(header, arrays)
        trace = _trace(header, arrays) if problem is None else None
    except (InvalidInput, LookupError, TypeError, ValueError) as error:
        raise TraceCorrupt(f"The trace's header is not that of a trace: {error!r}.") from error
    if trace is None:
        TRACE_FILE.corrupt(f"The trace's parts do not fit each other: {problem}.")
    return trace


def as_stored(values: FloatArray, *, level: TraceLevel) -> FloatArray:
    """What `decode_trace` gives back for float32 [N, T, D] stored at `level`; pooled vectors are fp16."""
    quantised, scales = _quantised(values, maxima=_finite_maxima(values), level=level)
    return to_float32(quantised, scales=scales)


def _quantised(
    values: FloatArray, *, maxima: FloatArray, level: TraceLevel
) -> tuple[NDArray[Any], FloatArray]:
    return to_int8(values, maxima=maxima) if level is TraceLevel.INT8 else to_fp16(values, maxima=maxima)


def _finite_maxima(values: FloatArray) -> FloatArray:
    """`absolute_maxima`; InvalidInput naming layer and token where a value of [L + 1, T, D] is not finite."""
    maxima = absolute_maxima(values)
    wrong = np.argwhere(~np.isfinite(maxima))
    if len(wrong):
        layer, token = wrong[0].tolist()
        raise InvalidInput(
            f"The activations of layer {layer}, token {token} are not finite.",
            hint="float16 overflows in some models: load the model with dtype float32 or bfloat16.",
            layer=layer,
            token=token,
        )
    return maxima


def _stored_arrays(trace: Trace, *, level: TraceLevel) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    if trace.hidden_states is not None:
        maxima = _finite_maxima(trace.hidden_states)  # at level pooled as well: a NaN is never kept quiet
        if level is not TraceLevel.POOLED:
            arrays["states"], arrays["states_scale"] = _quantised(
                trace.hidden_states, maxima=maxima, level=level
            )
    pooled = np.stack([trace.pooled.prompt, trace.pooled.reply], axis=1)  # [L + 1, 2, D]
    arrays["pooled"], arrays["pooled_scale"] = to_fp16(pooled, maxima=_finite_maxima(pooled))
    attention = trace.attention
    if not (np.isfinite(attention.mass).all() and np.isfinite(attention.top_mass).all()):
        raise InvalidInput("The attention summary has values that are not finite.", trace=trace.id)
    return arrays | {
        "token_ids": trace.token_ids.astype(np.int32),
        "state_digests": trace.state_digests.astype(np.uint32),
        "attention_mass": _mass_steps(attention.mass),
        "attention_top_mass": _mass_steps(attention.top_mass),
        "attention_top_positions": attention.top_positions.astype(_position_type(len(trace.token_ids))),
    }


def _header(trace: Trace, *, level: TraceLevel) -> dict[str, Any]:
    created_at = check_time(trace.created_at, what="created_at")
    if created_at is None:
        raise InvalidInput("A trace needs the time when it was created.")
    return {
        **{name: getattr(trace, name) for name in (*_TEXTS, *_NAMES, *_COUNTS)},
        "created_at": created_at.isoformat(),
        "segments": [[s.name, s.start, s.stop] for s in trace.segments],
        "seed": check_seed(trace.seed),
        "sampler": asdict(trace.sampler),
        "fingerprint": to_dict(trace.fingerprint),
        "level": level.value,
        "passes": [[one.tokens, one.fragment] for one in trace.passes],
        "injection": None if trace.injection is None else asdict(trace.injection),
        "attention_segments": list(trace.attention.segments),
    }


def _misfit(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str | None:
    """What is wrong with dtypes, shapes and lengths of a trace's parts, in words; None where all is well."""
    expected = _expected(header, arrays)
    if set(arrays) != set(expected):
        return f"expected the arrays {', '.join(sorted(expected))}, got {', '.join(sorted(arrays))}"
    for name, (dtype, shape) in expected.items():
        array = arrays[name]
        if array.dtype.name != dtype or array.shape != shape:
            return f"{name} is {array.dtype.name} {list(array.shape)}, expected {dtype} {list(shape)}"
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return f"{name} has values that are not finite"
    fed = len(arrays["token_ids"]) - 1
    if not 1 <= header["prompt_length"] <= fed:
        return f"the prompt has {header['prompt_length']} tokens of {fed}"
    if not all(0 <= start < stop <= fed for _, start, stop in header["segments"]):
        return f"segments reach beyond the {fed} tokens"
    return None


def _expected(
    header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Dtype and shape of every array, given the free dimensions; ValueError or LookupError without them."""
    (tokens,) = arrays["token_ids"].shape
    layers, _, width = arrays["pooled"].shape  # L + 1
    _, heads, queries, strongest = arrays["attention_top_mass"].shape
    fed, attention = tokens - 1, (layers - 1, heads, queries)
    expected: dict[str, tuple[str, tuple[int, ...]]] = {
        "token_ids": ("int32", (tokens,)),
        "state_digests": ("uint32", (layers, fed)),
        "pooled": ("float16", (layers, 2, width)),
        "pooled_scale": ("float32", (layers, 2)),
        "attention_mass": ("uint8", (*attention, len(header["attention_segments"]))),
        "attention_top_mass": ("uint8", (*attention, strongest)),
        "attention_top_positions": (_position_type(tokens), (*attention, strongest)),
    }
    level = TraceLevel(header["level"])
    if level is not TraceLevel.POOLED:
        expected["states"] = ("int8" if level is TraceLevel.INT8 else "float16", (layers, fed, width))
        expected["states_scale"] = ("float32", (layers, fed))
    return expected


def _mass_steps(mass: NDArray[np.float16]) -> NDArray[np.uint8]:
    """Attention mass in [0, 1] in steps of 1/255: a summary is looked at, not computed with."""
    return np.rint(np.clip(mass, 0, 1).astype(np.float32) * 255).astype(np.uint8)


def _mass_from_steps(steps: NDArray[np.uint8]) -> NDArray[np.float16]:
    return (steps / np.float32(255)).astype(np.float16)


def _position_type(tokens: int) -> str:
    # Half the bytes to compress, wherever positions fit.
    return "int16" if tokens <= 2**15 else "int32"


def _trace(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Trace:
    """The trace of a checked set of arrays. Raises KeyError, TypeError or ValueError on an odd header."""
    sampler = SamplerSettings(
        **{field.name: header["sampler"][field.name] for field in fields(SamplerSettings)}
    )
    check_settings(sampler)
    pooled = to_float32(arrays["pooled"], scales=arrays["pooled_scale"])
    states = arrays.get("states")
    return Trace(
        **{name: _typed(header, name, str) for name in _TEXTS},
        **{name: _typed(header, name, str, type(None)) for name in _NAMES},
        **{name: _typed(header, name, int) for name in _COUNTS},
        created_at=datetime.fromisoformat(header["created_at"]).astimezone(UTC),
        token_ids=arrays["token_ids"],
        segments=tuple(
            Segment(name=str(name), start=start, stop=stop) for name, start, stop in header["segments"]
        ),
        seed=check_seed(header["seed"]),
        sampler=sampler,
        fingerprint=from_dict(_typed(header, "fingerprint", dict)),
        level=TraceLevel(header["level"]),
        passes=_passes(header),
        injection=_injection(header["injection"]),
        state_digests=arrays["state_digests"],
        pooled=PooledActivations(
            prompt=np.ascontiguousarray(pooled[:, 0]), reply=np.ascontiguousarray(pooled[:, 1])
        ),
        attention=AttentionSummary(
            segments=tuple(str(name) for name in header["attention_segments"]),
            mass=_mass_from_steps(arrays["attention_mass"]),
            top_positions=arrays["attention_top_positions"].astype(np.int32),
            top_mass=_mass_from_steps(arrays["attention_top_mass"]),
        ),
        hidden_states=None if states is None else to_float32(states, scales=arrays["states_scale"]),
    )


def _passes(header: Mapping[str, Any]) -> tuple[Pass, ...]:
    declared = [{"tokens": tokens, "fragment": fragment} for tokens, fragment in header["passes"]]
    passes = tuple(
        Pass(_typed(one, "tokens", int), _typed(one, "fragment", str, type(None))) for one in declared
    )
    check_passes(passes, length=header["prompt_length"])
    return passes


def _injection(declared: Mapping[str, Any] | None) -> Injection | None:
    if declared is None:
        return None
    return Injection(
        strategy=_typed(declared, "strategy", str),
        asked=_typed(declared, "asked", str),
        reason=_typed(declared, "reason", str),
        memory_ids=tuple(str(id_) for id_ in declared["memory_ids"]),
        trace_ids=tuple(str(id_) for id_ in declared["trace_ids"]),
        tokens=_typed(declared, "tokens", int),
        figures={str(name): float(value) for name, value in declared["figures"].items()},
        # Traces that were written before it was kept do not have it.
        best=_typed({"best": None, **declared}, "best", str, type(None)),
    )


def _typed(values: Mapping[str, Any], name: str, *types: type) -> Any:
    value = values[name]
    if type(value) not in types:
        raise TypeError(f"{name} is a {type(value).__name__}")
    return value
