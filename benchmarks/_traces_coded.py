"""What codings of traces cost and keep."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from benchmarks._codings import Coding, Half, Integers, cosine, like

from aspen.activation_db import calibration_text
from aspen.activation_db.transform_code import TransformCode
from aspen.models import LanguageModel
from aspen.types import FloatArray

_FITTED_ON = 60
"""Turns of the calibration text."""
_TOKENS = 128
SIZES = (48, 96, 115)
"""Bytes of a layer and token, of low-rank traces; the last comes to a 20th."""


def measure_traces(
    model: LanguageModel, texts: Sequence[str], *, sizes: Sequence[int] = SIZES
) -> dict[str, dict[str, float]]:
    """Bytes a token, mean cosine and relative error of the hidden states of all layers, without the first token.

    `sizes`: bytes of each layer and token of the transform codes, which are fitted on other texts.
    """
    layers = range(model.info.n_layers + 1)
    known = np.concatenate(_states(model, calibration_text()[0][:_FITTED_ON]), axis=1)
    apart = _states(model, texts)
    exact, width = np.concatenate(apart, axis=1), model.info.width
    codings: dict[str, list[TransformCode]] = {
        "float32": [like(Coding, width)] * len(layers),
        "float16": [like(Half, width)] * len(layers),
        "int8": [like(Integers, width, bits=8)] * len(layers),
        "int4": [like(Integers, width, bits=4)] * len(layers),
        "1 bit": [like(Integers, width, bits=1)] * len(layers),
    }
    for size in sizes:
        codings[f"transform code, {size} bytes a layer"] = [
            TransformCode.fit(one.mean(axis=0, dtype=np.float64), np.cov(one.T), size=size) for one in known
        ]
    report = {}
    for name, codes in codings.items():
        bodies = [code.encode(one) for code, one in zip(codes, exact, strict=True)]
        back = [code.decode(body) for code, body in zip(codes, bodies, strict=True)]
        report[name] = _fidelity(np.stack(back), exact, bodies)
    report["int4 of the differences between layers"] = _differences(exact)
    report["pooled, float16"] = _pooled(apart)
    return report


def _states(model: LanguageModel, texts: Sequence[str]) -> list[FloatArray]:
    """Hidden states of each text [L + 1, T - 1, D], without the first token."""
    ids = [model.tokenize(text)[:_TOKENS] for text in texts]
    return [one[:, 1:] for one in model.capture(ids, layers=range(model.info.n_layers + 1))]


def _differences(exact: FloatArray) -> dict[str, float]:
    """Each layer less the one before as it came back: little changes from layer to layer."""
    coding = like(Integers, exact.shape[2], bits=4)
    back, bodies = [], []
    before: FloatArray = np.zeros_like(exact[0])
    for one in exact:
        body = coding.encode(one - before)
        before = before + coding.decode(body)
        bodies.append(body)
        back.append(before)
    return _fidelity(np.stack(back), exact, bodies)


def _pooled(apart: Sequence[FloatArray]) -> dict[str, float]:
    """One mean for each text and layer, in the place of all its tokens."""
    coding = like(Half, apart[0].shape[2])
    bodies = [coding.encode(one.mean(axis=1)) for one in apart]
    back = [
        np.broadcast_to(coding.decode(body)[:, None], one.shape)
        for body, one in zip(bodies, apart, strict=True)
    ]
    return _fidelity(np.concatenate(back, axis=1), np.concatenate(apart, axis=1), bodies)


def _fidelity(back: FloatArray, exact: FloatArray, bodies: Iterable[Any]) -> dict[str, float]:
    n_tokens = exact.shape[1]
    together = b"".join(body.tobytes() for body in bodies)
    error = np.linalg.norm(back - exact, axis=2) / np.linalg.norm(exact, axis=2)
    return {
        "bytes": round(len(together) / n_tokens),
        "bytes_zlib": round(len(zlib.compress(together, 6)) / n_tokens),
        "ratio": round(exact.nbytes / len(together), 1),
        "cosine": cosine(back, exact),
        "relative_error": round(float(error.mean()), 4),
    }
