"""Whatever happens to the bytes of a trace, it is refused, and nothing else goes wrong."""

import hashlib
import json
import pickle
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fake_traces import traced

from aspen.activation_db.codec import decode_trace, encode_trace
from aspen.activation_db.trace_file import MAX_BYTES, TRACE_FILE
from aspen.errors import TraceCorrupt, TraceVersionError
from aspen.types import Injection, Pass, TraceLevel

DATA = encode_trace(traced(), level=TraceLevel.INT8)
PREFIX = struct.Struct("<8sIIQ")


def sealed(content: bytes) -> bytes:
    return content + hashlib.sha256(content).digest()


def assembled(header: Any, frame: bytes, *, version: int = 2) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return sealed(PREFIX.pack(b"ASPNTRCE", version, len(text), len(frame)) + text + frame)


def parts(data: bytes = DATA) -> tuple[dict[str, Any], bytes]:
    _, _, header_length, body_length = PREFIX.unpack_from(data)
    start = PREFIX.size + header_length
    return json.loads(data[PREFIX.size : start]), data[start : start + body_length]


@settings(max_examples=300, deadline=None)
@given(bit=st.integers(0, 8 * len(DATA) - 1))
def test_any_flipped_bit_is_refused(bit: int) -> None:
    data = bytearray(DATA)
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(TraceCorrupt):
        decode_trace(bytes(data))


def test_any_flipped_bit_of_the_first_and_last_bytes_is_refused() -> None:
    for place in (*range(PREFIX.size + 8), *range(len(DATA) - 40, len(DATA))):
        for bit in range(8):
            data = bytearray(DATA)
            data[place] ^= 1 << bit
            with pytest.raises(TraceCorrupt):
                decode_trace(bytes(data))


@settings(max_examples=200, deadline=None)
@given(length=st.integers(0, len(DATA) - 1))
def test_any_cut_is_refused(length: int) -> None:
    with pytest.raises(TraceCorrupt):
        decode_trace(DATA[:length])


@settings(max_examples=200, deadline=None)
@given(junk=st.binary(max_size=200), lead=st.booleans())
def test_anything_else_is_refused(junk: bytes, lead: bool) -> None:
    with pytest.raises(TraceCorrupt):
        decode_trace(b"ASPNTRCE" + junk if lead else junk)


def test_bytes_added_are_refused() -> None:
    for data in (DATA + b"\0", sealed(DATA), DATA + DATA):
        with pytest.raises(TraceCorrupt):
            decode_trace(data)


def test_another_version_is_named() -> None:
    with pytest.raises(TraceVersionError, match="version 3, this Aspen reads versions up to 2") as caught:
        decode_trace(assembled(*parts(), version=3))
    assert caught.value.details == {"version": 3, "readable": 2}


def test_the_first_format_is_still_read() -> None:
    header, frame = parts()
    old = {name: value for name, value in header.items() if name not in ("passes", "injection")}
    trace = decode_trace(assembled(old, frame, version=1))
    assert (trace.passes, trace.injection) == ((Pass(trace.prompt_length),), None)
    assert encode_trace(trace) == DATA


def test_an_injection_that_does_not_name_its_best_memory_is_still_read() -> None:
    injection = Injection("note", "note", memory_ids=("m_1", "m_2"), best="m_2")
    data = encode_trace(replace(traced(), injection=injection))
    assert decode_trace(data).injection == injection
    header, frame = parts(data)
    del header["injection"]["best"]
    assert decode_trace(assembled(header, frame)).injection == replace(injection, best=None)
    header["injection"]["best"] = 2
    with pytest.raises(TraceCorrupt):
        decode_trace(assembled(header, frame))


def test_a_pickle_is_not_run() -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
            return (pytest.fail, ("a pickle was run",))

    header, _ = parts()
    for data in (pickle.dumps(Trap()), assembled(header, pickle.dumps(Trap()))):
        with pytest.raises(TraceCorrupt):
            decode_trace(data)


def test_a_bomb_is_not_unpacked() -> None:
    huge = 64 * 2**20
    frame = zstandard.ZstdCompressor().compress(bytes(huge))
    header, body = parts()
    # Declared small: the frame's own size is not believed.
    with pytest.raises(TraceCorrupt, match="does not unpack to"):
        decode_trace(assembled(header, frame))
    # Declared large, without giving that much.
    header["arrays"]["more"] = ["int8", [5 * 2**30]]
    header["body_bytes"] += 5 * 2**30
    with pytest.raises(TraceCorrupt, match="limit"):
        decode_trace(assembled(header, body))
    # Large in truth, and beyond what the caller allows.
    with pytest.raises(TraceCorrupt, match="limit is 1,000"):
        decode_trace(DATA, max_bytes=1000)
    # A frame that does not say how large it is.
    streamed = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(100))
    with pytest.raises(TraceCorrupt):
        decode_trace(assembled(parts()[0], streamed))


Spoil = Callable[[dict[str, Any]], Any]
HEADERS: list[Spoil] = [
    lambda h: [],
    lambda h: b"\xff\xfe",
    lambda h: b"[" * 200_000,
    lambda h: b'{"a":' + b"9" * 5000 + b"}",
    lambda h: {},
    *[lambda h, key=key: {k: v for k, v in h.items() if k != key} for key in parts()[0]],
    *[
        lambda h, key=key: {**h, key: None}
        for key in parts()[0]
        if key not in ("conversation", "speaker", "injection")
    ],
    *[lambda h, key=key: {**h, key: [[3]]} for key in parts()[0]],
    lambda h: {**h, "seed": -1},
    lambda h: {**h, "seed": True},
    lambda h: {**h, "level": "fp16"},
    lambda h: {**h, "level": "most"},
    lambda h: {**h, "prompt_length": 0},
    lambda h: {**h, "prompt_length": 1.5},
    lambda h: {**h, "created_at": "yesterday"},
    lambda h: {**h, "sampler": {**h["sampler"], "top_p": 7}},
    lambda h: {**h, "sampler": {**h["sampler"], "temperature": float("inf")}},
    lambda h: {**h, "segments": [["user", 0, 10**6]]},
    lambda h: {**h, "segments": [["user", 0, "x"]]},
    lambda h: {**h, "segments": [["user", 0]]},
    lambda h: {**h, "attention_segments": ["one"]},
    lambda h: {**h, "fingerprint": {**h["fingerprint"], "threads": "one"}},
    lambda h: {**h, "passes": [[0, None], [h["prompt_length"], None]]},
    lambda h: {**h, "passes": [[h["prompt_length"], "feed"]]},
    lambda h: {**h, "passes": [[h["prompt_length"] + 1, None]]},
    lambda h: {**h, "injection": {"strategy": "note"}},
    lambda h: {**h, "arrays": {**h["arrays"], "states": ["object", [1]]}},
    lambda h: {**h, "arrays": {**h["arrays"], "states": ["int8", [-1]]}},
    lambda h: {**h, "arrays": {**h["arrays"], "more": ["int8", [1]]}},
]


@pytest.mark.parametrize("spoil", HEADERS)
def test_a_sealed_file_with_an_odd_header_is_refused(spoil: Spoil) -> None:
    header, frame = parts()
    with pytest.raises(TraceCorrupt):
        decode_trace(assembled(spoil(header), frame))


def test_a_sealed_file_with_odd_arrays_is_refused() -> None:
    header, arrays = TRACE_FILE.unpack(DATA, max_bytes=MAX_BYTES)
    assert TRACE_FILE.pack(header, arrays=arrays) == DATA
    nan = np.full_like(arrays["states_scale"], np.nan)
    odd: list[dict[str, Any]] = [
        {**arrays, "states_scale": nan},
        {**arrays, "states": arrays["states"][1:]},
        {**arrays, "attention_top_mass": np.zeros((), dtype=np.uint8)},
        {**arrays, "token_ids": arrays["token_ids"][:, None]},
        {name: array for name, array in arrays.items() if name != "pooled"},
        {**arrays, "unknown": arrays["token_ids"]},
        {},
    ]
    for spoiled in odd:
        with pytest.raises(TraceCorrupt):
            decode_trace(TRACE_FILE.pack(header, arrays=spoiled))


def test_errors_say_what_to_do() -> None:
    with pytest.raises(TraceCorrupt) as caught:
        decode_trace(DATA[:-1])
    assert "SHA-256" in caught.value.message
    assert caught.value.hint
