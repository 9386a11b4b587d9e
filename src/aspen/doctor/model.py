"""Looks at the model: its files, a trial in a process of its own, its keys beside those of the store."""

from __future__ import annotations

import time
from collections.abc import Iterator

from aspen.aspen import Aspen
from aspen.config import Config
from aspen.doctor.findings import Finding, Status, broken, export_anew
from aspen.engine.closeness import Verdict
from aspen.engine.mismatch import mismatch_of
from aspen.errors import AspenError, ModelError
from aspen.front_door.commands import command
from aspen.models import (
    LLAMA_CPP,
    bundled,
    check_memory,
    gguf_path,
    local_path,
    read_header,
    runtime_of,
    try_model,
    why_not,
)
from aspen.wording import counted, size_in_words


def examine_model_files(config: Config) -> Iterator[Finding]:
    """What can be said without loading it."""
    try:
        runtime = runtime_of(config.model, runtime=config.runtime)
        if runtime == LLAMA_CPP or config.model == "bundled":
            yield _file(config.model)
        else:
            local_path(config.model)  # raises where there can be no such model
            yield Finding("model", Status.OK, f"{config.model} (`aspen doctor --deep` loads it)")
    except AspenError as error:
        yield broken("model", error)
        return
    if runtime == LLAMA_CPP or config.model != "bundled":
        return
    folder = config.cache_dir / "bundled" / bundled.NAME
    if (folder / "manifest.json").is_file():
        yield Finding("unpacked model", Status.OK, str(folder))
    else:
        yield Finding(
            "unpacked model",
            Status.WARNING,
            f"not yet in {folder}: the first use unpacks it (once, about a minute and 550 MB)",
            command("doctor --deep", config=config),
        )


def _file(model: str) -> Finding:
    """What the header of a GGUF file says. Raises AspenError where it is broken or too large."""
    path = gguf_path(model)
    header = read_header(path)
    if (reason := why_not(header)) is not None:
        raise ModelError(f"Aspen cannot run {path}: {reason}.", hint="aspen models")
    check_memory(header)
    if model == "bundled":
        return Finding("model", Status.OK, f"{bundled.NAME}, bundled ({size_in_words(header.size)})")
    kind = f"{header.architecture}, {header.quantisation}, {size_in_words(header.size)}"
    return Finding("model", Status.OK, f"{path}: {kind} (`aspen doctor --deep` runs it)")


def examine_trial(config: Config) -> Finding:
    """The model of `config` loaded and run in a process of its own, which it may crash."""
    try:
        trial = try_model(
            config.model,
            cache_dir=config.cache_dir,
            runtime=config.runtime,
            device=config.device,
            dtype=config.dtype,
            threads=config.threads,
            llama_library=config.llama_library,
        )
    except AspenError as error:
        return broken("model runs", error)
    what = (
        f"{trial.name} in a process of its own: loaded in {trial.seconds:.1f} s, "
        f"{trial.tokens_per_second:.0f} tokens/s, a partial pass, a recording"
    )
    if trial.chat_template:
        return Finding("model runs", Status.OK, what)
    what += "; it brings no chat template, so it remembers and recalls, and cannot chat"
    return Finding("model runs", Status.WARNING, what, "take an instruction-tuned one to chat: aspen models")


def examine_loaded(aspen: Aspen) -> Iterator[Finding]:
    """The model loaded in this process, and what it makes of the store's memories."""
    started = time.perf_counter()
    try:
        engine = aspen.engine
        fingerprint = engine.model.fingerprint
        stored = aspen.repository.stamp()
    except AspenError as error:
        yield broken("model loads", error)
        return
    info = engine.model.info
    yield Finding(
        "model loads",
        Status.OK,
        f"{info.name}: {info.n_layers} layers, width {info.width}, {fingerprint.dtype} on {fingerprint.device}, "
        f"{counted(fingerprint.threads, 'thread', 'threads')}, in {time.perf_counter() - started:.1f} s",
    )
    if stored is None:
        return
    location = aspen.repository.location
    rekey = command("rekey", store=location, config=aspen.config)
    if stored.identity == engine.stamp.identity:
        yield Finding("model and store", Status.OK, "the store's keys are this model's")
    else:
        yield Finding(
            "model and store",
            Status.PROBLEM,
            mismatch_of(stored, engine.stamp, location=location, rekey=rekey).message,
            rekey,
        )
    yield from _closeness(aspen, own=stored.identity == engine.stamp.identity)


def _closeness(aspen: Aspen, *, own: bool) -> Iterator[Finding]:
    """Keys of some memories made anew beside those stored; `own`: they are said to be this model's."""
    try:
        closeness = aspen.closeness()
    except AspenError as error:
        yield broken("closeness of keys", error)
        return
    if closeness is None or (own and not closeness.layers):
        return
    fix = ""
    if own and closeness.verdict is not Verdict.CLOSE:
        # Re-keying leaves keys of this stamp as they are. Another device or dtype rounds otherwise, but not so much.
        status, fix = Status.PROBLEM, export_anew(aspen.repository.location)
    else:
        status = Status.OK if closeness.verdict is Verdict.CLOSE else Status.WARNING
    yield Finding("closeness of keys", status, closeness.sentence(), fix)
