"""What a model needs, and what the machine has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.gguf_files import HEADS, LAYERS, WIDTH, write_gguf

from aspen.errors import ModelError
from aspen.models._llama_cpp.context import PASS_TOKENS
from aspen.models.gguf_header import read_header
from aspen.models.memory import (
    REST,
    MemoryLimit,
    cache_bytes,
    check_memory,
    memory_limit,
    memory_needed,
)
from aspen.wording import size_in_words

GB = 10**9


def machine(root: Path, *, cgroup: str = "", files: Mapping[str, str] | None = None) -> Path:
    """A folder with the files of /proc, and those of the control groups."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text("MemFree:  12 kB\nMemTotal:    16000000 kB\nSwapTotal: 0 kB\n")
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, content in (files or {}).items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def unknown(name: str) -> int:
    raise ValueError(name)


def test_the_memory_of_the_machine(tmp_path: Path) -> None:
    limit = memory_limit(root=machine(tmp_path))
    assert limit == MemoryLimit(16_384_000_000, "the memory of this machine")


def test_this_machine_tells_what_it_has() -> None:
    limit = memory_limit()
    assert limit is not None
    assert 2**28 < limit.total < 2**50


@pytest.mark.parametrize(
    ("cgroup", "files"),
    [
        ("0::/\n", {"memory.max": "4000000000\n"}),
        ("0::/user.slice/a\n", {"user.slice/memory.max": "4000000000", "user.slice/a/memory.max": "max"}),
        ("0::/not/here\n", {"memory.max": "4000000000"}),
        ("0::/../..\n", {"memory.max": "4000000000"}),
        ("5:cpu:/x\n4:memory:/docker/abc\n0::/\n", {"memory/memory.limit_in_bytes": "4000000000\n"}),
        (
            "4:cpu,memory:/a\n",
            {
                "memory/memory.limit_in_bytes": "9223372036854771712",
                "memory/a/memory.limit_in_bytes": "4000000000",
            },
        ),
    ],
)
def test_the_limit_of_a_control_group_of_either_version(
    tmp_path: Path, cgroup: str, files: dict[str, str]
) -> None:
    limit = memory_limit(root=machine(tmp_path, cgroup=cgroup, files=files))
    assert limit == MemoryLimit(4 * GB, "the limit of its control group")


@pytest.mark.parametrize("content", ["max\n", "9223372036854771712\n", "", "nonsense", "-1"])
def test_no_limit_or_none_that_can_be_read(tmp_path: Path, content: str) -> None:
    limit = memory_limit(root=machine(tmp_path, cgroup="0::/\n", files={"memory.max": content}))
    assert limit is not None
    assert limit.total == 16_384_000_000


def test_a_limit_above_the_memory_does_not_count(tmp_path: Path) -> None:
    limit = memory_limit(root=machine(tmp_path, cgroup="0::/\n", files={"memory.max": str(64 * GB)}))
    assert limit is not None
    assert limit.source == "the memory of this machine"


def test_without_proc_the_system_is_asked(tmp_path: Path) -> None:
    answers = {"SC_PAGE_SIZE": 16_384, "SC_PHYS_PAGES": 1_000_000}
    assert memory_limit(root=tmp_path, sysconf=answers.__getitem__) == MemoryLimit(
        16_384_000_000, "the memory of this machine"
    )
    assert memory_limit(root=tmp_path, sysconf=unknown) is None
    assert memory_limit(root=tmp_path, sysconf=lambda name: -1 if "PHYS" in name else 4096) is None


def test_a_context_needs_keys_and_values_of_all_layers(tmp_path: Path) -> None:
    header = read_header(write_gguf(tmp_path / "a.gguf"))
    assert cache_bytes(header) == 2 * LAYERS * 2 * 2 * WIDTH // HEADS
    need = memory_needed(header, context=100)
    logits = 2 * PASS_TOKENS * 4 * header.vocabulary_size
    assert (need.weights, need.cache, need.rest) == (header.size, 100 * cache_bytes(header), REST + logits)
    assert logits > 0
    assert need.total == need.weights + need.cache + need.rest
    keys = {"{arch}.attention.key_length": 8, "{arch}.attention.value_length": 24}
    assert cache_bytes(read_header(write_gguf(tmp_path / "b.gguf", keys=keys))) == 2 * LAYERS * 2 * (8 + 24)
    each = {"{arch}.attention.head_count_kv": [1, 3]}
    assert cache_bytes(read_header(write_gguf(tmp_path / "c.gguf", keys=each))) == 2 * 4 * 2 * WIDTH // HEADS
    without = ["{arch}.attention.head_count_kv"]
    header = read_header(write_gguf(tmp_path / "d.gguf", without=without))
    assert cache_bytes(header) == 2 * LAYERS * HEADS * 2 * WIDTH // HEADS
    header = read_header(write_gguf(tmp_path / "e.gguf", without=["{arch}.block_count"]))
    assert cache_bytes(header) == 0


def test_all_files_of_a_model_count(tmp_path: Path) -> None:
    first = write_gguf(tmp_path / "m-00001-of-00003.gguf", keys={"split.count": 3})
    (tmp_path / "m-00002-of-00003.gguf").write_bytes(bytes(1000))
    header = read_header(first)
    assert memory_needed(header, context=0).weights == header.size + 1000


def test_a_model_that_fits_passes_and_one_that_does_not_is_told_with_both_figures(tmp_path: Path) -> None:
    header = read_header(write_gguf(tmp_path / "m.gguf"))
    check_memory(header, context=100)
    room = memory_needed(header, context=1000)
    check_memory(header, context=1000, limit=MemoryLimit(room.total, "here"))
    with pytest.raises(ModelError) as caught:
        check_memory(header, context=2000, limit=MemoryLimit(room.total, "here"))
    assert size_in_words(room.total) in caught.value.message
    assert "2,000 tokens" in caught.value.message
    assert caught.value.hint == "A context of 1,000 tokens would fit."
    assert caught.value.details["available"] == room.total
    with pytest.raises(ModelError) as caught:
        check_memory(header, context=2000, limit=MemoryLimit(10**6, "here"))
    assert caught.value.hint.startswith("Take a smaller model")
