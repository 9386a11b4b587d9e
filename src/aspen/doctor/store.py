"""Looks at a store: what it holds, whether it is sound, the disk that it lies on."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from aspen.activation_db import MAX_KEY_TOKENS, KeyVersion, StoreFit, decode_trace, known_calibration
from aspen.config import Config
from aspen.doctor.findings import Finding, Status, broken, export_anew, quoted
from aspen.errors import AspenError, NotFound
from aspen.front_door.commands import command
from aspen.repository import Repository, StoreStats, TraceInfo
from aspen.repository._incoming import MAX_LIMIT
from aspen.resonance_search.held import key_space_name
from aspen.wording import counted, size_in_words

_MEGABYTE = 1_000_000
_LOW_DISK = 1_000 * _MEGABYTE  # bytes; unpacking the bundled model needs 1.2 GB once
_FULL_DISK = 50 * _MEGABYTE
_LARGE_LOG = 64 * _MEGABYTE
_NEWEST_TRACES = 20
_MEMORIES_WEIGHED = 200
_RECALL_COST = "0.5 points of recall@10 on LoCoMo with SmolLM2-135M (docs/benchmarks/compression.md)"


def examine_store(repository: Repository, *, deep: bool, config: Config) -> Iterator[Finding]:
    """What it holds, whether it is sound, whether its keys and the newest traces, or all with `deep`, can be read."""
    where = repository.location
    if repository.writable:
        yield Finding("store", Status.OK, f"{where} opens, and is of this version")
    else:
        fix = f"chmod u+w {quoted(where)} {quoted(str(Path(where).parent))}"
        yield Finding("store", Status.WARNING, f"{where} opens for reading only", fix)
    try:
        damage = repository.check()
        stats = repository.stats()
        yield from _soundness(damage, where)
        yield _sizes(stats)
        yield from _keys(repository, stats)
        yield from _compression(repository, config=config)
        yield from _traces(repository, limit=MAX_LIMIT if deep else _NEWEST_TRACES)
    except AspenError as error:
        yield broken("store contents", error)


def _soundness(damage: list[str], where: str) -> Iterator[Finding]:
    if not damage:
        yield Finding("soundness", Status.OK, "no damage, no orphans")
    for sentence in damage:
        yield Finding("soundness", Status.PROBLEM, sentence, export_anew(where))


def _sizes(stats: StoreStats) -> Finding:
    parts = ", ".join(f"{name} {size_in_words(size)}" for name, size in stats.bytes.items() if name != "file")
    each = f"; {size_in_words(stats.bytes['file'] // stats.memories)} per memory" if stats.memories else ""
    return Finding(
        "size",
        Status.OK,
        ", ".join(
            (
                counted(stats.memories, "memory", "memories"),
                counted(stats.traces, "trace", "traces"),
                counted(stats.conversations, "conversation", "conversations"),
                f"{size_in_words(stats.bytes['file'])} ({parts}){each}",
            )
        ),
    )


def _keys(repository: Repository, stats: StoreStats) -> Iterator[Finding]:
    stamp = repository.stamp()
    if stamp is None:
        yield Finding("keys", Status.OK, "none yet")
        return
    yield Finding(
        "keys", Status.OK, f"version {stamp.key_version}, made by {stamp.model_name} ({stamp.model_id})"
    )
    body = repository.statistics(key_space_name(stamp))
    if body is None:
        yield Finding("key space", Status.OK, "that of the calibration; recall fits one from 20 memories on")
        return
    fit = StoreFit.from_bytes(body)
    if fit is None:
        yield Finding("key space", Status.WARNING, "cannot be read; the next recall fits it anew")
        return
    due = "; the next recall fits it anew" if fit.is_due(stats.memories) else ""
    yield Finding("key space", Status.OK, f"fitted on {fit.memories:,} of {stats.memories:,} memories{due}")


def _compression(repository: Repository, *, config: Config) -> Iterator[Finding]:
    """How much smaller keys and head keys are than as float32, by the bytes of the newest memories."""
    stamp, memories = repository.stamp(), repository.list(limit=_MEMORIES_WEIGHED)
    if stamp is None or not memories:
        return
    calibration = known_calibration(stamp.model_id, key_version=stamp.key_version, cache_dir=config.cache_dir)
    if calibration is None:
        yield Finding(
            "compression",
            Status.WARNING,
            f"the calibration that decodes the keys is not in {config.cache_dir}; the next recall makes one",
            command("doctor --deep", store=repository.location, config=config),
        )
        return
    version = KeyVersion.parse(stamp.key_version)
    if version is None or calibration.key_version(version.recipe, runtime=version.runtime) != version:
        yield Finding(
            "compression",
            Status.PROBLEM,
            "the keys were coded by another calibration of this model than there is now",
            command("rekey", store=repository.location, config=config),
        )
        return
    bodies = repository.head_keys([memory.seq for memory in memories])
    tokens = sum(min(memory.token_count, MAX_KEY_TOKENS) for memory in memories if memory.seq in bodies)
    values = len(memories) * calibration.turns.mean.size
    if calibration.heads is not None:
        values += tokens * calibration.heads.n_key_heads * calibration.heads.head_dim
    key, of_heads = calibration.key_code.size, sum(map(len, bodies.values()))
    stored = len(memories) * key + of_heads
    each_token = f", {of_heads / tokens:.0f} a token" if tokens else ""
    yield Finding(
        "compression",
        Status.OK,
        f"keys are {4 * values / stored:.0f}x smaller than float32 ({key} bytes a memory{each_token}), "
        f"which costs {_RECALL_COST}",
    )


def _traces(repository: Repository, *, limit: int) -> Iterator[Finding]:
    """Decode the newest `limit` traces: each says by its seal whether it is whole."""
    infos = repository.traces(limit=limit)
    damaged = []
    for info in infos:
        try:
            decode_trace(repository.trace(info.id))
        except NotFound:  # forgotten meanwhile
            continue
        except AspenError as error:
            damaged.append(info)
            memory = _memory_of(repository, info)
            fix = f"aspen forget {memory} --store {quoted(repository.location)}" if memory else ""
            yield Finding("trace", Status.PROBLEM, f"{info.id}: {error.message}", fix)
    if not damaged:
        yield Finding("traces", Status.OK, f"the newest {len(infos):,} can be read" if infos else "none yet")


def _memory_of(repository: Repository, info: TraceInfo) -> str | None:
    """The id of the newest memory that refers to a trace."""
    before = None
    while page := repository.list(conversation=info.conversation, before=before, limit=MAX_LIMIT):
        found = next((memory.id for memory in page if memory.trace_id == info.id), None)
        if found is not None:
            return found
        before = page[-1].seq
    return None


def examine_files(store: Path) -> Iterator[Finding]:
    """The disk, the write-ahead log and the permissions of a store in a file."""
    if not store.exists():  # a store in memory
        return
    yield from examine_disk(store.parent, "disk of the store")
    log = store.with_name(f"{store.name}-wal")
    size = log.stat().st_size if log.exists() else 0
    if size > _LARGE_LOG:
        fix = f"close the programs that hold the store: lsof {quoted(str(log))}"
        yield Finding(
            "write-ahead log",
            Status.WARNING,
            f"{size_in_words(size)}: something keeps it from being moved",
            fix,
        )
    else:
        yield Finding("write-ahead log", Status.OK, size_in_words(size))
    mode, folder = store.stat().st_mode & 0o777, store.parent.stat().st_mode & 0o777
    if os.name == "posix" and mode & 0o077 and folder & 0o011:
        fix = f"chmod 600 {quoted(str(store))}"
        yield Finding(
            "permissions", Status.WARNING, f"{mode:03o}: others on this machine may open the store", fix
        )
    else:
        yield Finding("permissions", Status.OK, f"{mode:03o}")


def examine_place(store: Path, nothing: str) -> Finding:
    """Whether a store can be made at a path; `nothing` says that there is none yet."""
    if (reason := why_not_writable(store.expanduser().parent)) is None:
        return Finding("store", Status.OK, nothing)
    return Finding(
        "store",
        Status.PROBLEM,
        f"none yet at {store}, and none can be made there: {reason}",
        "make it writable for you, or name another place: --store PATH, or ASPEN_STORE",
    )


def why_not_writable(folder: Path) -> str | None:
    """Why no file can be made in `folder`, or in what there is of its path; None where one can.

    It is tried, with a file that is gone at once: permissions do not tell of a disk that is mounted for reading only,
    of /proc, or of what root may.
    """
    existing = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), folder)
    try:
        with tempfile.TemporaryFile(dir=existing):
            return None
    except OSError as error:
        return f"no file can be made in {existing} ({error.strerror or error})"


def examine_disk(folder: Path, name: str) -> Iterator[Finding]:
    """What is free where `folder` lies, or will."""
    existing = next((path for path in (folder, *folder.parents) if path.is_dir()), None)
    if existing is None:
        return
    free = shutil.disk_usage(existing).free
    fix = f"df -h {quoted(str(existing))}"
    if free < _FULL_DISK:
        yield Finding(name, Status.PROBLEM, f"{size_in_words(free)} free", f"make room: {fix}")
    elif free < _LOW_DISK:
        yield Finding(name, Status.WARNING, f"{size_in_words(free)} free", f"make room: {fix}")
    else:
        yield Finding(name, Status.OK, f"{size_in_words(free)} free")
