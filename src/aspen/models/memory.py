"""What a model needs of this machine's memory, and what there is: asked before a model is loaded, not after."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from aspen.errors import ModelError
from aspen.models.folders import is_file
from aspen.models.gguf_header import GGUFHeader
from aspen.wording import size_in_words

REST = 128 * 2**20
"""Bytes for what is alike for all models: buffers of a pass, the vocabulary, the program itself."""
SMALLEST_CONTEXT = 512
"""Tokens of the smallest context that is made."""

_HALF, _SINGLE = 2, 4  # bytes of a float16, of a float32
_LOGITS = 128  # rows that llama.cpp reserves: of each token of a pass, where they come about and where they are read
_UNLIMITED = 1 << 60  # cgroup v1 writes "no limit" as the largest multiple of a page


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """What a model needs, in bytes: `weights` are mapped from the file, `cache` holds the keys and values of a whole
    context, `rest` is everything else.
    """

    weights: int
    cache: int
    rest: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.cache + self.rest


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """The most bytes that this process can have, and what sets the limit."""

    total: int
    source: str


def memory_needed(header: GGUFHeader, *, context: int) -> MemoryNeed:
    """What the model of a file needs for a context of `context` tokens.

    Keys and values in float16, all layers over the whole context. All files count where the model is cut into several;
    those that are not there count as nothing.
    """
    others = (part for part in header.parts if part != header.path and is_file(part))
    return MemoryNeed(
        weights=header.size + sum(part.stat().st_size for part in others),
        cache=context * cache_bytes(header),
        rest=REST + _LOGITS * header.vocabulary_size * _SINGLE,
    )


def cache_bytes(header: GGUFHeader) -> int:
    """Bytes of the keys and values of one token in float16; 0 where the file does not say what that takes."""
    layers, width, heads = header.n_layers, header.width, header.heads
    if not (layers and width and heads):
        return 0
    (keys,) = header.per_layer("attention.key_length")[:1] or (width // heads,)
    (values,) = header.per_layer("attention.value_length")[:1] or (width // heads,)
    each = header.per_layer("attention.head_count_kv") or (heads,)
    return _HALF * (keys + values) * (sum(each) if len(each) == layers else layers * max(each))


def check_memory(
    header: GGUFHeader, *, context: int = SMALLEST_CONTEXT, limit: MemoryLimit | None = None
) -> None:
    """Raise ModelError where a model with a context of `context` tokens is larger than the memory of this machine.

    `limit` is this machine's where None. Nothing is refused where the machine does not tell what it has.
    """
    have = limit or memory_limit()
    need = memory_needed(header, context=context)
    if have is None or need.total <= have.total:
        return
    fits = (have.total - need.weights - need.rest) // max(1, cache_bytes(header))
    hint = (
        f"A context of {fits:,} tokens would fit."
        if fits >= SMALLEST_CONTEXT
        else "Take a smaller model, or the same one with fewer bits a weight."
    )
    raise ModelError(
        f"{header.path} needs about {size_in_words(need.total)} ({size_in_words(need.weights)} of weights and "
        f"{size_in_words(need.cache)} for {context:,} tokens), and there are {size_in_words(have.total)} "
        f"({have.source}).",
        hint=hint,
        path=str(header.path),
        needed=need.total,
        available=have.total,
        context=context,
    )


def memory_limit(*, root: Path = Path("/"), sysconf: Callable[[str], int] = os.sysconf) -> MemoryLimit | None:
    """The memory of this machine, or of the container or service that this process runs in, if that is less.

    None where nothing tells. `root` is where /proc and /sys lie; `sysconf` is asked where there is no /proc, as on
    macOS.
    """
    physical = _physical(root, sysconf=sysconf)
    found = [] if physical is None else [MemoryLimit(physical, "the memory of this machine")]
    found += [MemoryLimit(size, "the limit of its control group") for size in _cgroup_limits(root)]
    return min(found, key=lambda limit: limit.total, default=None)


def _physical(root: Path, *, sysconf: Callable[[str], int]) -> int | None:
    for line in _lines(root / "proc/meminfo"):
        name, _, rest = line.partition(":")
        amount = rest.split()
        if name == "MemTotal" and amount and amount[0].isdecimal():
            return int(amount[0]) * 1024
    try:
        size = sysconf("SC_PAGE_SIZE") * sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):  # a system that does not know one of the names
        return None
    return size if size > 0 else None


def _cgroup_limits(root: Path) -> Iterator[int]:
    """The limits of the control group of this process and of those around it, in versions 1 and 2."""
    mounted = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            yield from _limits_up(mounted, path=path, name="memory.max")
        elif "memory" in controllers.split(","):
            yield from _limits_up(mounted / "memory", path=path, name="memory.limit_in_bytes")


def _limits_up(mounted: Path, *, path: str, name: str) -> Iterator[int]:
    # Inside a container the path is often that of the host, which is not there: the folder above it counts then.
    inner = Path(path.strip().lstrip("/"))
    folders = [inner, *inner.parents] if ".." not in inner.parts else [Path()]
    for folder in folders:
        for line in _lines(mounted / folder / name):
            if line.strip().isdecimal() and int(line) < _UNLIMITED:
                yield int(line)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux, no such controller, or not for us to read
        return []
