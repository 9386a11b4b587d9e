"""Looks at everything Aspen stands on, and says what is wrong and which command puts it right."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

from aspen.activation_db import MAX_KEY_TOKENS, KeyVersion, StoreFit, decode_trace, known_calibration
from aspen.aspen import Aspen
from aspen.config import Config, is_url
from aspen.engine.closeness import Verdict
from aspen.errors import AspenError, NotFound
from aspen.models import LanguageModel, bundled
from aspen.repository import Repository, StoreStats, TraceInfo, open_repository
from aspen.repository._incoming import MAX_LIMIT
from aspen.repository._opening import IN_MEMORY
from aspen.resonance_search.held import key_space_name

_INSTALL_RUNTIME = "pip install 'aspen-memory[transformers]'"
_MEGABYTE = 1_000_000
_LOW_DISK = 1_000 * _MEGABYTE  # bytes; unpacking the bundled model needs 1.2 GB once
_FULL_DISK = 50 * _MEGABYTE
_LARGE_LOG = 64 * _MEGABYTE
_NEWEST_TRACES = 20
_MEMORIES_WEIGHED = 200
_RECALL_COST = "0.5 points of recall@10 on LoCoMo with SmolLM2-135M (docs/benchmarks/compression.md)"


class Status(StrEnum):
    """How a part does."""

    OK = "ok"
    WARNING = "warning"  # it works, and could do better or soon will not
    PROBLEM = "problem"  # it does not work


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `fix` is what to do, a command wherever there is one; empty where all is well."""

    name: str
    status: Status
    what: str
    fix: str = ""


def examine(
    store: str | Path | Repository,
    *,
    config: Config,
    deep: bool = False,
    model: LanguageModel | None = None,
    notify: Callable[[str], None] = lambda message: None,
) -> list[Finding]:
    """Look at versions, model and store; nothing is created, and nothing raises because it is broken.

    Parameters
    ----------
    store:
        Path of a store, which need not exist, or an open one.
    deep:
        Load the model, hold keys that it makes of some memories against the store's, and decode all traces, not only
        the newest 20: seconds, and longer if the model is not unpacked yet.
    model:
        A loaded model to take with `deep` in place of `config.model`.
    notify:
        Called with a sentence when something takes long.
    """
    findings = [*_environment(), *_model_files(config)]
    with ExitStack() as stack:
        repository = None
        if not isinstance(store, str | Path):
            repository = store
        elif not is_url(str(store)) and (nothing := _nothing_at(store)) is not None:
            findings.append(Finding("store", Status.OK, nothing))
        else:
            try:
                repository = stack.enter_context(open_repository(store))
            except AspenError as error:
                findings.append(_broken("store", error))
        if repository is not None:
            findings += _store(repository, deep=deep, cache_dir=config.cache_dir)
            findings += _files(Path(repository.location))
        findings += _disk(config.cache_dir, "disk of the cache")
        if deep:
            opened = repository or stack.enter_context(open_repository(IN_MEMORY))
            findings += _loaded(Aspen.open(opened, model=model, config=config, notify=notify))
    return findings


def _nothing_at(store: str | Path) -> str | None:
    """A sentence where no store is there yet; an empty file is none, and opening would make one of it."""
    try:
        if Path(store).expanduser().stat().st_size > 0:
            return None
    except FileNotFoundError:
        return f"none yet at {store}; remembering makes it"
    except (OSError, RuntimeError, ValueError):  # opening it says what is wrong
        return None
    return f"none yet: {store} is empty; remembering makes a store of it"


def _broken(name: str, error: AspenError) -> Finding:
    return Finding(name, Status.PROBLEM, error.message, error.hint)


# -- versions and model ------------------------------------------------------------------------------------


def _environment() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info < (3, 14):
        yield Finding("python", Status.OK, version)
    else:
        yield Finding(
            "python", Status.PROBLEM, f"{version}; Aspen needs 3.11 to 3.13", "make setup PYTHON=python3.13"
        )
    for package, purpose in {
        "numpy": "pip install numpy",
        "apsw": "pip install apsw",
        "torch": _INSTALL_RUNTIME,
        "transformers": _INSTALL_RUNTIME,
    }.items():
        try:
            yield Finding(package, Status.OK, metadata.version(package))
        except metadata.PackageNotFoundError:
            yield Finding(package, Status.PROBLEM, "not installed", purpose)


def _model_files(config: Config) -> Iterator[Finding]:
    if config.model != "bundled":
        yield Finding("model", Status.OK, f"{config.model} (`aspen doctor --deep` loads it)")
        return
    try:
        source = bundled.find_source()
    except AspenError as error:
        yield _broken("model", error)
        return
    yield Finding("model", Status.OK, f"{bundled.NAME}, bundled ({_size(source.stat().st_size)})")
    folder = config.cache_dir / "bundled" / bundled.NAME
    if (folder / "manifest.json").is_file():
        yield Finding("unpacked model", Status.OK, str(folder))
    else:
        yield Finding(
            "unpacked model",
            Status.WARNING,
            f"not yet in {folder}: the first use unpacks it (once, about a minute and 550 MB)",
            "aspen doctor --deep",
        )


def _loaded(aspen: Aspen) -> Iterator[Finding]:
    started = time.perf_counter()
    try:
        engine = aspen.engine
        fingerprint = engine.model.fingerprint
        stored = aspen.repository.stamp()
    except AspenError as error:
        yield _broken("model loads", error)
        return
    info = engine.model.info
    yield Finding(
        "model loads",
        Status.OK,
        f"{info.name}: {info.n_layers} layers, width {info.width}, {fingerprint.dtype} on {fingerprint.device}, "
        f"{fingerprint.threads} threads, in {time.perf_counter() - started:.1f} s",
    )
    if stored is None:
        return
    if stored.identity == engine.stamp.identity:
        yield Finding("model and store", Status.OK, "the store's keys are this model's")
    else:
        yield Finding(
            "model and store",
            Status.PROBLEM,
            f"the keys are those of {stored.model_name} ({stored.model_id}, {stored.key_version}), the model is "
            f"{engine.stamp.model_name} ({engine.stamp.model_id}, {engine.stamp.key_version})",
            f"aspen rekey --store {_quoted(aspen.repository.location)}",
        )
    yield from _closeness(aspen, own=stored.identity == engine.stamp.identity)


def _closeness(aspen: Aspen, *, own: bool) -> Iterator[Finding]:
    """Keys of some memories made anew beside those stored; `own`: they are said to be this model's."""
    try:
        closeness = aspen.closeness()
    except AspenError as error:
        yield _broken("closeness of keys", error)
        return
    if closeness is None or (own and not closeness.layers):
        return
    fix = ""
    if own and closeness.verdict is not Verdict.CLOSE:
        # Re-keying leaves keys of this stamp as they are. Another device or dtype rounds otherwise, but not so much.
        status, fix = Status.PROBLEM, _anew(aspen.repository.location)
    else:
        status = Status.OK if closeness.verdict is Verdict.CLOSE else Status.WARNING
    yield Finding("closeness of keys", status, closeness.sentence(), fix)


# -- the store ---------------------------------------------------------------------------------------------


def _store(repository: Repository, *, deep: bool, cache_dir: Path) -> Iterator[Finding]:
    where = repository.location
    if repository.writable:
        yield Finding("store", Status.OK, f"{where} opens, and is of this version")
    else:
        fix = f"chmod u+w {_quoted(where)} {_quoted(str(Path(where).parent))}"
        yield Finding("store", Status.WARNING, f"{where} opens for reading only", fix)
    try:
        damage = repository.check()
        stats = repository.stats()
        yield from _soundness(damage, where)
        yield _sizes(stats)
        yield from _keys(repository, stats)
        yield from _compression(repository, cache_dir=cache_dir)
        yield from _traces(repository, limit=MAX_LIMIT if deep else _NEWEST_TRACES)
    except AspenError as error:
        yield _broken("store contents", error)


def _soundness(damage: list[str], where: str) -> Iterator[Finding]:
    if not damage:
        yield Finding("soundness", Status.OK, "no damage, no orphans")
    for sentence in damage:
        yield Finding("soundness", Status.PROBLEM, sentence, _anew(where))


def _anew(where: str) -> str:
    """The command that makes a new store of what can be read of one."""
    export = f"aspen export --output rescued.jsonl --store {_quoted(where)}"
    return f"{export} && aspen import rescued.jsonl --store new.db"


def _sizes(stats: StoreStats) -> Finding:
    parts = ", ".join(f"{name} {_size(size)}" for name, size in stats.bytes.items() if name != "file")
    each = f"; {_size(stats.bytes['file'] // stats.memories)} per memory" if stats.memories else ""
    return Finding(
        "size",
        Status.OK,
        f"{stats.memories:,} memories, {stats.traces:,} traces, {stats.conversations:,} conversations, "
        f"{_size(stats.bytes['file'])} ({parts}){each}",
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


def _compression(repository: Repository, *, cache_dir: Path) -> Iterator[Finding]:
    """How much smaller keys and head keys are than as float32, by the bytes of the newest memories."""
    stamp, memories = repository.stamp(), repository.list(limit=_MEMORIES_WEIGHED)
    if stamp is None or not memories:
        return
    calibration = known_calibration(stamp.model_id, key_version=stamp.key_version, cache_dir=cache_dir)
    if calibration is None:
        yield Finding(
            "compression",
            Status.WARNING,
            f"the calibration that decodes the keys is not in {cache_dir}; the next recall makes one",
            "aspen doctor --deep",
        )
        return
    version = KeyVersion.parse(stamp.key_version)
    if version is None or calibration.key_version(version.recipe, runtime=version.runtime) != version:
        yield Finding(
            "compression",
            Status.PROBLEM,
            "the keys were coded by another calibration of this model than there is now",
            f"aspen rekey --store {_quoted(repository.location)}",
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
            fix = f"aspen forget {memory} --store {_quoted(repository.location)}" if memory else ""
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


def _files(store: Path) -> Iterator[Finding]:
    if not store.exists():  # a store in memory
        return
    yield from _disk(store.parent, "disk of the store")
    log = store.with_name(f"{store.name}-wal")
    size = log.stat().st_size if log.exists() else 0
    if size > _LARGE_LOG:
        fix = f"close the programs that hold the store: lsof {_quoted(str(log))}"
        yield Finding(
            "write-ahead log", Status.WARNING, f"{_size(size)}: something keeps it from being moved", fix
        )
    else:
        yield Finding("write-ahead log", Status.OK, _size(size))
    mode, folder = store.stat().st_mode & 0o777, store.parent.stat().st_mode & 0o777
    if os.name == "posix" and mode & 0o077 and folder & 0o011:
        fix = f"chmod 600 {_quoted(str(store))}"
        yield Finding(
            "permissions", Status.WARNING, f"{mode:03o}: others on this machine may open the store", fix
        )
    else:
        yield Finding("permissions", Status.OK, f"{mode:03o}")


def _disk(folder: Path, name: str) -> Iterator[Finding]:
    existing = next((path for path in (folder, *folder.parents) if path.is_dir()), None)
    if existing is None:
        return
    free = shutil.disk_usage(existing).free
    fix = f"df -h {_quoted(str(existing))}"
    if free < _FULL_DISK:
        yield Finding(name, Status.PROBLEM, f"{_size(free)} free", f"make room: {fix}")
    elif free < _LOW_DISK:
        yield Finding(name, Status.WARNING, f"{_size(free)} free", f"make room: {fix}")
    else:
        yield Finding(name, Status.OK, f"{_size(free)} free")


def _quoted(path: str) -> str:
    return shlex.quote(path)


def _size(size: int) -> str:
    """Bytes for people, in powers of 1,000."""
    amount = float(size)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
