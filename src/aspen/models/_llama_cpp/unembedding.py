"""From the residual stream to logits: the final norm and the unembedding, read from the file and checked in a pass.

llama.cpp has no call for it. What is read here makes the logit lens possible (nostalgebraist 2020, "interpreting GPT:
the logit lens"): what the model would say if a layer were its last one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from aspen.errors import ModelError
from aspen.models._llama_cpp.graph import strided
from aspen.models._llama_cpp.library import Library
from aspen.models._llama_cpp.session import Parts
from aspen.models.gguf_header import GGUFHeader, TensorInfo
from aspen.types import FloatArray

_CLOSE = 0.1
"""Difference from the model's own logits, in units of their spread, up to which the way found is the model's own: the
library rounds what it multiplies with quantised weights to eight bits."""
_ROWS = 4096  # of the unembedding that are unpacked at a time
_PROBE_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Unembedding:
    """A norm, with or without the mean taken out, then a product with each row of `head`, a scale and a soft cap."""

    header: GGUFHeader
    library: Library
    weight: FloatArray
    bias: FloatArray | None
    epsilon: float
    centred: bool
    head: TensorInfo
    head_bias: FloatArray | None
    scale: float
    softcap: float | None

    def __call__(self, states: FloatArray) -> FloatArray:
        """Logits float32 [n, V] of residual streams float32 [n, D]."""
        centred = states - states.mean(axis=1, keepdims=True) if self.centred else states
        normed = (
            centred / np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + self.epsilon) * self.weight
        )
        if self.bias is not None:
            normed = normed + self.bias
        logits = np.concatenate(
            [normed @ rows.T for rows in _rows(self.head, header=self.header, library=self.library)], axis=1
        )
        if self.head_bias is not None:
            logits += self.head_bias
        logits *= np.float32(self.scale)
        if self.softcap is not None:
            logits = np.float32(self.softcap) * np.tanh(logits / np.float32(self.softcap))
        return logits.astype(np.float32, copy=False)


def find_unembedding(header: GGUFHeader, *, parts: Parts) -> Unembedding:
    """How the model makes logits of its last layer, by what its file holds, if it gives the model's own for a few
    tokens; ModelError where it does not.
    """
    stored = {tensor.name: tensor for tensor in header.tensors}
    head = stored.get("output.weight") or stored.get("token_embd.weight")
    norm = stored.get("output_norm.weight")
    if head is None or norm is None or len(head.shape) != 2:
        raise _refused(header)
    states, own = _probe(parts)
    read = partial(_vector, header=header, library=parts.library)
    logit_scale = _number(header, "logit_scale")
    softcap = _number(header, "final_logit_softcapping")
    root = _number(header, "attention.layer_norm_rms_epsilon")
    epsilon = root or _number(header, "attention.layer_norm_epsilon") or 1e-5
    for scale in (1.0, *((logit_scale, 1 / logit_scale) if logit_scale else ())):
        found = Unembedding(
            header=header,
            library=parts.library,
            weight=read(norm),
            bias=read(stored["output_norm.bias"]) if "output_norm.bias" in stored else None,
            epsilon=epsilon,
            centred=not root,
            head=head,
            head_bias=read(stored["output.bias"]) if "output.bias" in stored else None,
            scale=scale,
            softcap=softcap or None,
        )
        logits = found(states)
        if logits.shape == own.shape and bool((np.abs(logits - own) <= _CLOSE * own.std()).all()):
            return found
    raise _refused(header)


def _probe(parts: Parts) -> tuple[FloatArray, FloatArray]:
    """The last layer of a few tokens and the logits that the model makes of it."""
    ids = np.arange(_PROBE_TOKENS, dtype=np.int32) % parts.info.vocab_size
    places = parts.places_for(_PROBE_TOKENS)
    seen: list[FloatArray] = []
    with parts.pool.lent(_PROBE_TOKENS, watched=True) as context, parts.lock:
        take = {places.residual[-1]: lambda tensor: seen.append(strided(tensor, library=parts.library))}
        context.run(ids, start=0, outputs=_PROBE_TOKENS, take=take, names=places.names)
        own = np.stack([context.logits(row) for row in range(_PROBE_TOKENS)])
    return seen[0].reshape(_PROBE_TOKENS, -1), own


def _vector(tensor: TensorInfo, *, header: GGUFHeader, library: Library) -> FloatArray:
    return np.concatenate(list(_rows(tensor, header=header, library=library))).reshape(-1)


def _rows(tensor: TensorInfo, *, header: GGUFHeader, library: Library) -> Iterator[FloatArray]:
    """The rows of a tensor in the file, unpacked by the library, float32 [up to _ROWS, width] at a time."""
    width = tensor.shape[0]
    count = int(np.prod(tensor.shape[1:], dtype=np.int64))
    if tensor.bytes is None:
        raise _refused(header)
    row_bytes = tensor.bytes // count
    to_float = library.ggml_get_type_traits(tensor.type).contents.to_float
    with header.path.open("rb") as file:
        file.seek(header.data_offset + tensor.offset)
        for start in range(0, count, _ROWS):
            rows = min(_ROWS, count - start)
            raw = file.read(rows * row_bytes)
            if len(raw) != rows * row_bytes:
                raise ModelError(f"{header.path} ends inside of {tensor.name}.", hint="Download it again.")
            if not to_float:  # float32 lies there as it is
                yield np.frombuffer(raw, dtype=np.float32).reshape(rows, width)
                continue
            unpacked = np.empty((rows, width), dtype=np.float32)
            to_float(raw, unpacked.ctypes.data_as(ctypes.POINTER(ctypes.c_float)), unpacked.size)
            yield unpacked


def _number(header: GGUFHeader, key: str) -> float:
    value = header.metadata.get(f"{header.architecture}.{key}")
    return float(value) if isinstance(value, int | float) else 0.0


def _refused(header: GGUFHeader) -> ModelError:
    return ModelError(
        f"How {header.architecture} turns its last layer into logits could not be found in {header.path}.",
        hint="The logits of its own passes are there all the same.",
    )
