"""KV fragments at rest: fewer bits, one sealed file each, and what a model must share with the one that made it.

A fragment is a cache: the text of its memory makes it again. Decoding is deterministic: equal bytes give equal arrays.

- fp16: half precision, one power of two per token and head;
- int8: symmetric, one scale per token and head;
- int4: asymmetric, keys per channel over all tokens, values per token in groups of channels (KIVI, Liu et al. 2024):
  a few channels of the keys are large in every token, the values have no such channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from aspen.activation_db.container import Container
from aspen.activation_db.quantise import absolute_maxima, to_float32, to_fp16, to_int8
from aspen.errors import FragmentCorrupt, FragmentMismatch, InvalidInput
from aspen.models import KVFragment
from aspen.types import Fingerprint, FloatArray

MAX_BYTES = 2**30
"""Largest body that is unpacked, in bytes: at int8, some 90,000 tokens of a model like the bundled one."""
_GROUP = 32
"""Channels of a value that share a scale at level int4, or all where the head is no multiple of it wide."""
_STEPS = np.float32(15)
_LARGEST_FP16 = np.float32(60_000)
_SMALLEST_STEP = np.float32(2.0**-14)
"""The smallest normal number of fp16."""

_FILE = Container(
    noun="KV fragment",
    magic=b"ASPNKVFR",
    version=1,
    readable=(1,),
    damaged=FragmentCorrupt,
    foreign=FragmentCorrupt,
    remedy="It is a cache: the text of its memory makes it again.",
    upgrade="It is a cache: the text of its memory makes it again.",
)


class FragmentLevel(StrEnum):
    """How exactly a fragment is kept."""

    FP16 = "fp16"
    INT8 = "int8"
    INT4 = "int4"


@dataclass(frozen=True, slots=True)
class FragmentOrigin:
    """What keys and values depend on beside their own tokens. Hashes are SHA-256 in hex.

    `prefix` is that of the token ids before them. Threads and library versions change last bits only.
    """

    weights: str
    tokenizer: str
    dtype: str
    prefix: str

    @classmethod
    def of(cls, fingerprint: Fingerprint, *, prefix: str) -> Self:
        """That of fragments made by a model, behind a prefix with this digest."""
        return cls(fingerprint.weights, fingerprint.tokenizer, fingerprint.dtype, prefix)


def encode_fragment(fragment: KVFragment, *, origin: FragmentOrigin, level: FragmentLevel) -> bytes:
    """The fragment as bytes. InvalidInput where keys or values are NaN or infinite."""
    arrays: dict[str, NDArray[Any]] = {"token_ids": fragment.token_ids.astype(np.int32)}
    for name in ("keys", "values"):
        array: FloatArray = getattr(fragment, name)
        if not np.isfinite(array).all():
            raise InvalidInput(
                f"The {name} of a KV fragment are not finite.",
                hint="float16 overflows in some models: load the model with dtype float32 or bfloat16.",
            )
        stored = _to_int4(array, name) if level is FragmentLevel.INT4 else _scaled(array, level)
        arrays |= {f"{name}_{part}" if part else name: values for part, values in stored.items()}
    return _FILE.pack({**asdict(origin), "level": level.value}, arrays=arrays)


def decode_fragment(data: bytes, *, origin: FragmentOrigin) -> KVFragment:
    """The fragment that `encode_fragment` wrote, float32.

    Raises FragmentCorrupt where the bytes are cut, altered or no fragment of this version of the format,
    FragmentMismatch where they are of another origin.
    """
    header, arrays = _FILE.unpack(data, max_bytes=MAX_BYTES)
    for field, ours in asdict(origin).items():
        if header.get(field) != ours:
            raise FragmentMismatch(
                f"The KV fragment's {field} is {str(header.get(field))[:12]}, expected {ours[:12]}.",
                hint="The text of its memory makes it again.",
                field=field,
            )
    try:
        level = FragmentLevel(header["level"])
        read = _from_int4 if level is FragmentLevel.INT4 else _unscaled
        fragment = KVFragment(arrays["token_ids"], read(arrays, "keys"), read(arrays, "values"))
    except (InvalidInput, LookupError, TypeError, ValueError) as error:
        raise FragmentCorrupt("The KV fragment's parts do not fit each other.", hint=_FILE.remedy) from error
    if not (np.isfinite(fragment.keys).all() and np.isfinite(fragment.values).all()):
        _FILE.corrupt("The KV fragment has values that are not finite.")
    return fragment


def _scaled(array: FloatArray, level: FragmentLevel) -> dict[str, NDArray[Any]]:
    """float32 [L, H_kv, n, head_dim] as int8 or float16, and float32 scales [L, H_kv, n]."""
    flat = array.reshape(-1, *array.shape[2:])
    maxima = absolute_maxima(flat)
    quantised, scales = (
        to_int8(flat, maxima=maxima) if level is FragmentLevel.INT8 else to_fp16(flat, maxima=maxima)
    )
    return {"": quantised.reshape(array.shape), "scale": scales.reshape(array.shape[:3])}


def _unscaled(arrays: Mapping[str, NDArray[Any]], name: str) -> FloatArray:
    return to_float32(arrays[name], scales=arrays[f"{name}_scale"])


def _grouped(array: FloatArray, name: str) -> FloatArray:
    """The array so that what shares a scale lies in its last axis: a channel of the keys, a group of a value."""
    if name == "keys":
        return array.swapaxes(-1, -2)
    width = array.shape[-1]
    return array.reshape(*array.shape[:-1], -1, _GROUP if width % _GROUP == 0 else width)


def _to_int4(array: FloatArray, name: str) -> dict[str, NDArray[Any]]:
    """Two steps of 0..15 in a byte, with the lowest value and the size of a step of each group."""
    groups = _grouped(array, name)
    lowest, highest = groups.min(axis=-1), groups.max(axis=-1)
    # Half the bytes, where fp16 can hold them; what is rounded then is taken into account by the steps.
    dtype = np.float16 if np.abs(array).max() < _LARGEST_FP16 else np.float32
    low = lowest.astype(dtype)
    step = np.maximum((highest - low) / _STEPS, _SMALLEST_STEP).astype(dtype)
    places = (groups - low[..., None].astype(np.float32)) / step[..., None].astype(np.float32)
    steps = np.clip(np.rint(places), 0, _STEPS).astype(np.uint8)
    if steps.shape[-1] % 2:
        steps = np.concatenate([steps, np.zeros_like(steps[..., :1])], axis=-1)
    return {"": steps[..., ::2] | steps[..., 1::2] << 4, "low": low, "step": step}


def _from_int4(arrays: Mapping[str, NDArray[Any]], name: str) -> FloatArray:
    packed, low, step = arrays[name], arrays[f"{name}_low"], arrays[f"{name}_step"]
    steps = np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:-1], -1)
    tokens = len(arrays["token_ids"])
    if name == "keys":
        steps = steps[..., :tokens]
    values: FloatArray = steps.astype(np.float32)
    values *= step[..., None].astype(np.float32)
    values += low[..., None].astype(np.float32)
    if name == "keys":
        return np.ascontiguousarray(values.swapaxes(-1, -2))
    return values.reshape(*values.shape[:3], -1)
