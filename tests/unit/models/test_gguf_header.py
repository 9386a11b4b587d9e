"""Headers of GGUF files: what they say, and that no file can hurt who reads it."""

from __future__ import annotations

import os
import struct
import time
import tracemalloc
from pathlib import Path

import gguf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.gguf_files import HEADS, LAYERS, TOKENS, WIDTH, by_hand, key, tensor, text, write_gguf

from aspen.errors import ModelNotFound
from aspen.models import gguf_header, gguf_reader
from aspen.models.bundled import find_source
from aspen.models.gguf_header import PassedOver, read_header
from aspen.models.gguf_support import why_not
from aspen.models.gguf_types import FILE_TYPES, TENSOR_TYPES
from aspen.models.memory import memory_needed

U8, U32, FLOAT, BOOL, TEXT, ARRAY, U64 = 0, 4, 6, 7, 8, 9, 10


def array(kind: int, length: int, data: bytes = b"") -> bytes:
    return struct.pack("<IQ", kind, length) + data


def test_a_whole_file(tmp_path: Path) -> None:
    header = read_header(write_gguf(tmp_path / "m.gguf"))
    assert (header.architecture, header.name, header.quantisation) == ("llama", "tiny", "Q4_K_M")
    assert (header.n_layers, header.width, header.heads, header.kv_heads) == (LAYERS, WIDTH, HEADS, 2)
    assert (header.context_length, header.vocabulary_size) == (512, TOKENS)
    assert (header.version, header.kind, header.split_count, header.missing) == (3, "model", 1, 0)
    assert header.chat_template == "{{ messages }}"
    assert header.metadata["tokenizer.ggml.tokens"] == PassedOver(TOKENS)
    assert header.metadata["tokenizer.ggml.scores"] == PassedOver(2 * TOKENS)
    assert header.parts == (header.path,)
    assert [one.shape for one in header.tensors] == [(WIDTH, TOKENS), (WIDTH,)]
    assert header.tensors[0].bytes == TOKENS * WIDTH * 2
    assert header.size == (tmp_path / "m.gguf").stat().st_size


def test_the_bundled_model_reads_as_the_gguf_package_reads_it() -> None:
    path = find_source()
    header, reader = read_header(path), gguf.GGUFReader(path)
    assert header.data_offset == reader.data_offset
    assert [(one.name, one.shape) for one in header.tensors] == [
        (one.name, tuple(int(size) for size in one.shape)) for one in reader.tensors
    ]
    assert [one.bytes for one in header.tensors] == [int(one.n_bytes) for one in reader.tensors]
    assert header.vocabulary_size == len(reader.fields["tokenizer.ggml.tokens"].data)
    assert header.chat_template == reader.fields["tokenizer.chat_template"].contents()
    assert (header.architecture, header.quantisation, header.missing) == ("llama", "Q4_1", 0)
    assert (header.context_length, header.n_layers, header.width) == (8192, 30, 576)


def test_the_tables_are_those_of_the_gguf_package() -> None:
    sizes = {int(kind): (kind.name, *gguf.GGML_QUANT_SIZES[kind]) for kind in gguf.GGML_QUANT_SIZES}
    del sizes[9]  # Q8_1 became smaller in ggml.h; no file has it
    assert sizes.items() <= TENSOR_TYPES.items()
    names = {int(kind): kind.name.removeprefix("ALL_").removeprefix("MOSTLY_") for kind in gguf.LlamaFileType}
    del names[gguf.LlamaFileType.GUESSED]
    assert names | {38: "MXFP4"} == {number: FILE_TYPES[number] for number in names}


def test_a_file_that_says_little(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(by_hand(version=2))
    header = read_header(path)
    assert (header.version, header.architecture, header.quantisation, header.name) == (
        2,
        "",
        "GGUF",
        "m.gguf",
    )
    assert (header.n_layers, header.heads, header.kv_heads, header.vocabulary_size) == (None, None, None, 0)
    assert (header.chat_template, header.tensors, header.missing) == (None, (), 0)


def test_values_of_each_type_and_of_the_wrong_one(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(
        by_hand(
            key("general.architecture", TEXT, text("x")),
            key("general.name", U32, struct.pack("<I", 7)),
            key("x.block_count", BOOL, b"\1"),
            key("x.context_length", U64, struct.pack("<Q", 2**40)),
            key("x.attention.head_count", ARRAY, array(U32, 3, struct.pack("<3I", 4, 8, 4))),
            key("x.scale", FLOAT, struct.pack("<f", 0.5)),
            key("general.file_type", U32, struct.pack("<I", 1024 + 2)),
            key("x.bad", TEXT, struct.pack("<Q", 2) + b"\xff\xfe"),
        )
    )
    header = read_header(path)
    assert (header.name, header.n_layers, header.context_length) == ("m.gguf", None, 2**40)
    assert (header.heads, header.per_layer("attention.head_count")) == (8, (4, 8, 4))
    assert (header.quantisation, header.metadata["x.scale"]) == ("Q4_0", 0.5)
    assert header.text("x.bad") == "\ufffd\ufffd"


def test_a_file_whose_tensors_are_cut_says_how_much_is_missing(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    whole = read_header(path)
    end = max(whole.data_offset + one.offset + (one.bytes or 0) for one in whole.tensors)
    os.truncate(path, end - 1000)
    assert read_header(path).missing == 1000
    os.truncate(path, whole.data_offset)
    assert read_header(path).missing == end - whole.data_offset


def test_tensors_of_a_type_that_is_not_known_are_not_measured(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(by_hand(tensors=[tensor(kind=999, shape=[2**20])], data=b"x"))
    assert read_header(path).missing == 0
    path.write_bytes(by_hand(tensors=[tensor(shape=[])], data=b"xy"))
    assert read_header(path).missing == 2


@pytest.mark.parametrize("part", range(0, 3000, 37))
def test_a_header_that_is_cut_anywhere(tmp_path: Path, part: int) -> None:
    path = write_gguf(tmp_path / "m.gguf")
    os.truncate(path, part)
    with pytest.raises(ModelNotFound) as caught:
        read_header(path)
    assert str(path) in caught.value.message


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty"),
        (b"GG", "does not begin with GGUF"),
        (b"PK\3\4" * 20, "does not begin with GGUF"),
        (b"FUGG" * 20, "big-endian"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (by_hand(version=1), "version 1 of the format, and Aspen reads 2 and 3"),
        (by_hand(version=4), "version 4"),
        (by_hand(version=0), "version 0"),
        (by_hand(n_keys=2**63), "9,223,372,036,854,775,808 keys"),
        (by_hand(n_tensors=2**63), "tensors, and 65,536 is the most"),
        (by_hand(n_keys=60_000), "is cut: it ends within its header"),
        (by_hand(key("a", TEXT, struct.pack("<Q", 2**62))), "is cut"),
        (by_hand(key("a", TEXT, struct.pack("<Q", 2**20 - 1))), "is cut"),
        (by_hand(key("a", ARRAY, array(U8, 2**62))), "is cut"),
        (by_hand(key("a", ARRAY, array(TEXT, 2**62))), "elements in 'a'"),
        (by_hand(key("a", ARRAY, array(TEXT, 2, struct.pack("<Q", 2**63) + b"\0" * 32))), "is cut"),
        (by_hand(key("a", ARRAY, array(ARRAY, 1))), "type 9, which there is not"),
        (by_hand(key("a", 77, b"1234")), "type 77"),
        (by_hand(key("", U8, b"1"), n_keys=1), "a key is empty"),
        (by_hand(key("a", U8, b"1"), key("a", U8, b"1")), "'a' stands there twice"),
        (by_hand(key("k" * 2000, U8, b"1")), "a key has 2,000 bytes"),
        (by_hand(key("general.alignment", U32, struct.pack("<I", 0))), "alignment is 0"),
        (by_hand(key("general.alignment", U32, struct.pack("<I", 48))), "not a power of 2"),
        (by_hand(key("general.alignment", TEXT, text("32"))), "not a power of 2"),
        (by_hand(tensors=[tensor(shape=[1] * 5)]), "5 dimensions"),
        (by_hand(tensors=[tensor(shape=[2**63, 2**63])]), "of shape"),
        (by_hand(tensors=[tensor(offset=2**63)]), "at byte 9,223,372,036,854,775,808"),
        (by_hand(tensors=[tensor(offset=7)]), "no multiple of 32"),
        (by_hand(tensors=[tensor(kind=12, shape=[100])]), "a block of Q4_K"),
        (by_hand(tensors=[tensor(), tensor(offset=128)]), "two tensors have one name"),
        (by_hand(tensors=[tensor("n" * 5000)]), "the name of a tensor has 5,000 bytes"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelNotFound, match=r"m\.gguf") as caught:
        read_header(path)
    assert says in caught.value.message
    assert caught.value.hint


def test_long_texts_and_arrays_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    long = text("x" * (gguf_header.MAX_TEXT + 1))
    path.write_bytes(
        by_hand(key("a", TEXT, long), key("b", ARRAY, array(U32, 513, bytes(4 * 513))), key("c", U8, b"\7"))
    )
    metadata = read_header(path).metadata
    assert metadata == {"a": PassedOver(gguf_header.MAX_TEXT + 1), "b": PassedOver(513), "c": 7}


def test_texts_that_add_up_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(by_hand(*(key(f"k{number}", TEXT, text("x" * 100)) for number in range(20))))
    monkeypatch.setattr(gguf_header, "MAX_KEPT", 1000)
    with pytest.raises(ModelNotFound, match="more than 1,000 characters"):
        read_header(path)
    words = array(TEXT, 30, text("") * 30)
    path.write_bytes(by_hand(*(key(f"k{number}", ARRAY, words) for number in range(20))))
    monkeypatch.setattr(gguf_header, "MAX_ELEMENTS", 500)
    with pytest.raises(ModelNotFound, match="more than 500 texts"):
        read_header(path)


def test_a_header_without_end_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(by_hand(key("a", ARRAY, array(U8, 2**36)), n_keys=1))
    os.truncate(path, 2**37)  # sparse: no disk is needed
    start = time.monotonic()
    with pytest.raises(ModelNotFound, match=f"goes on behind {gguf_reader.MAX_HEADER:,} bytes"):
        read_header(path)
    assert time.monotonic() - start < 1


def test_texts_that_reach_over_pieces_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    lengths = [0, 1, 131_071, 131_072, 3, 300_000, 131_063, 9]
    words = b"".join(text("x" * length) for length in lengths)
    path.write_bytes(by_hand(key("a", ARRAY, array(TEXT, len(lengths), words)), key("b", TEXT, text("end"))))
    assert read_header(path).metadata == {"a": PassedOver(len(lengths)), "b": "end"}


def test_what_is_no_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.gguf"
    os.mkfifo(pipe)
    for path, says in (
        (tmp_path, "is not a file"),
        (pipe, "is not a file"),
        (tmp_path / "none.gguf", "There is no file at"),
        (Path("a\0b"), "cannot be read"),
        (tmp_path / ("x" * 300), "cannot be read"),
    ):
        with pytest.raises(ModelNotFound, match=says):
            read_header(path)


def test_parts_of_a_model_are_named_as_llama_cpp_names_them(tmp_path: Path) -> None:
    split = {"split.no": 1, "split.count": 3}
    header = read_header(write_gguf(tmp_path / "m-00002-of-00003.gguf", keys=split))
    assert (header.split_number, header.split_count) == (1, 3)
    assert [part.name for part in header.parts] == [f"m-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    assert read_header(write_gguf(tmp_path / "other.gguf", keys=split)).parts == ()


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = write_gguf(tmp_path_factory.mktemp("gguf") / "m.gguf", keys={"general.tags": ["a", "b"]})
    return path.read_bytes()


@settings(max_examples=200, deadline=2000)
@given(
    changes=st.lists(
        st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=9) | st.just(b"\xff" * 8)), max_size=6
    ),
    cut=st.floats(0, 1) | st.just(1.0),
)
def test_whatever_the_bytes_it_is_read_or_refused_in_bounded_space(
    sample: bytes, tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[float, bytes]], cut: float
) -> None:
    data = bytearray(sample[: int(cut * len(sample))])
    for place, new in changes:
        at = int(place**3 * len(data))  # mostly in the header's first part
        data[at : at + len(new)] = new
    path = tmp_path_factory.getbasetemp() / "mutated.gguf"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        header = read_header(path)
        assert header.missing >= 0
        assert header.parts or header.split_count > 1
        for name in ("name", "quantisation", "heads", "kv_heads", "context_length", "chat_template", "kind"):
            getattr(header, name)
        assert why_not(header) is None or why_not(header)
        assert memory_needed(header, context=1000).total
    except ModelNotFound:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 2**23
