"""KV fragments at rest: what comes back, in how many bytes, and what is refused."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import asdict, replace

import numpy as np
import pytest

from aspen.activation_db import FragmentLevel, FragmentOrigin, decode_fragment, encode_fragment
from aspen.activation_db.fragment_code import _FILE
from aspen.errors import FragmentCorrupt, FragmentError, FragmentMismatch, InvalidInput
from aspen.models import KVFragment

ORIGIN = FragmentOrigin(weights="a" * 64, tokenizer="b" * 64, dtype="float32", prefix="c" * 64)
SHAPE = (3, 2, 7, 64)  # an odd number of tokens: two steps of int4 share a byte


def made(*, seed: int = 0, tokens: int = SHAPE[2]) -> KVFragment:
    """Keys with channels that are large in every token, as models have them, values without."""
    random = np.random.default_rng(seed)
    shape = (*SHAPE[:2], tokens, SHAPE[3])
    keys, values = random.standard_normal((2, *shape), dtype=np.float32)
    keys[..., ::16] += 30
    return KVFragment(random.integers(0, 500, tokens).astype(np.int32), keys, values)


def coded(fragment: KVFragment, level: FragmentLevel) -> KVFragment:
    return decode_fragment(encode_fragment(fragment, origin=ORIGIN, level=level), origin=ORIGIN)


@pytest.mark.parametrize("level", FragmentLevel)
@pytest.mark.parametrize("tokens", [1, 7, 8])
def test_what_comes_back_lies_within_half_a_step(level: FragmentLevel, tokens: int) -> None:
    fragment = made(tokens=tokens)
    back = coded(fragment, level)
    np.testing.assert_array_equal(back.token_ids, fragment.token_ids)
    for name in ("keys", "values"):
        exact, found = getattr(fragment, name), getattr(back, name)
        assert found.dtype == np.float32
        assert found.shape == exact.shape
        if level is FragmentLevel.FP16:
            step = np.abs(exact) * 2.0**-10
        elif level is FragmentLevel.INT8:
            step = np.broadcast_to(np.abs(exact).max(axis=-1, keepdims=True) / 127, exact.shape)
        else:
            groups = exact if name == "keys" else exact.reshape(*exact.shape[:3], 2, 32)
            axis = 2 if name == "keys" else -1
            spread = groups.max(axis=axis, keepdims=True) - groups.min(axis=axis, keepdims=True)
            step = np.broadcast_to(spread / 15, groups.shape).reshape(exact.shape)
        rounding = 0.02 if level is FragmentLevel.INT4 else 1e-6  # fp16 holds where a group begins
        assert (np.abs(found - exact) <= step * 0.51 + rounding).all()


@pytest.mark.parametrize("level", FragmentLevel)
def test_equal_bytes_give_equal_fragments(level: FragmentLevel) -> None:
    data = [encode_fragment(made(), origin=ORIGIN, level=level) for _ in range(2)]
    assert data[0] == data[1]
    one, other = (decode_fragment(each, origin=ORIGIN) for each in data)
    assert one.digest == other.digest
    assert one.digest != made().digest
    again = encode_fragment(one, origin=ORIGIN, level=FragmentLevel.FP16)
    assert decode_fragment(again, origin=ORIGIN).keys.shape == SHAPE


def test_each_level_takes_about_half_of_the_one_before() -> None:
    fragment = made(tokens=64)
    sizes = [len(encode_fragment(fragment, origin=ORIGIN, level=level)) for level in FragmentLevel]
    for larger, smaller in itertools.pairwise(sizes):
        assert smaller < 0.7 * larger


def test_every_byte_is_sealed() -> None:
    data = encode_fragment(made(), origin=ORIGIN, level=FragmentLevel.INT8)
    places = np.linspace(0, len(data) - 1, 60).astype(int).tolist()
    for place in places:
        spoiled = bytearray(data)
        spoiled[place] ^= 1
        with pytest.raises(FragmentCorrupt, match="KV fragment"):
            decode_fragment(bytes(spoiled), origin=ORIGIN)
        with pytest.raises(FragmentCorrupt):
            decode_fragment(data[:place], origin=ORIGIN)
    for other in (b"", b"\x80\x04.", b"ASPNTRCE" + data[8:], data + b"x"):
        with pytest.raises(FragmentCorrupt) as caught:
            decode_fragment(other, origin=ORIGIN)
        assert "makes it again" in caught.value.hint


@pytest.mark.parametrize("field", list(asdict(ORIGIN)))
def test_a_fragment_of_another_origin_is_refused_by_name(field: str) -> None:
    data = encode_fragment(made(), origin=ORIGIN, level=FragmentLevel.INT8)
    ours = replace(ORIGIN, **{field: "d" * 64})
    with pytest.raises(FragmentMismatch, match=field):
        decode_fragment(data, origin=ours)


def test_parts_that_do_not_fit_are_refused_though_the_seal_holds() -> None:
    data = encode_fragment(made(), origin=ORIGIN, level=FragmentLevel.INT8)
    header, arrays = _FILE.unpack(data, max_bytes=2**20)
    nan = np.full_like(arrays["keys_scale"], np.nan)
    for spoiled_header, spoiled in (
        ({**header, "level": "int2"}, arrays),
        ({**header, "level": "int4"}, arrays),
        ({k: v for k, v in header.items() if k != "weights"}, arrays),
        (header, {**arrays, "token_ids": arrays["token_ids"][1:]}),
        (header, {**arrays, "keys_scale": arrays["keys_scale"][:1, :, :3]}),
        (header, {**arrays, "keys_scale": nan}),
        (header, {name: array for name, array in arrays.items() if name != "values"}),
    ):
        with pytest.raises(FragmentError):
            decode_fragment(_FILE.pack(spoiled_header, arrays=spoiled), origin=ORIGIN)


def test_another_version_of_the_format_is_no_fragment_to_us() -> None:
    data = encode_fragment(made(), origin=ORIGIN, level=FragmentLevel.INT8)
    content = data[:8] + (2).to_bytes(4, "little") + data[12:-32]
    with pytest.raises(FragmentCorrupt, match="version 2"):
        decode_fragment(content + hashlib.sha256(content).digest(), origin=ORIGIN)


def test_what_is_not_finite_is_not_stored() -> None:
    fragment = made()
    keys = fragment.keys.copy()
    keys[1, 1, 1, 1] = np.inf
    with pytest.raises(InvalidInput, match="keys"):
        encode_fragment(
            KVFragment(fragment.token_ids, keys, fragment.values), origin=ORIGIN, level=FragmentLevel.INT8
        )
