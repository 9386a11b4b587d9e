"""Tries what can crash the interpreter in a process of its own: loading and running a model, opening a library.

What comes back is JSON. Of a process that dies, its signal and the last lines that it wrote are told.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from aspen.errors import AspenError, ModelError, NoChatTemplate
from aspen.models.fingerprint import from_dict, to_dict
from aspen.models.interface import LanguageModel, Session
from aspen.models.loading import load_model
from aspen.types import Fingerprint, FloatArray, Message, Role

_TEXT = "My sister Mara moved to Lisbon, and the tram stops in front of her house."
_DECODED, _RECORDED = 16, 4  # tokens
_TOLD = 3
"""Lines of a process that died that are told: a failed assertion has one, an exception of C++ two."""
_LONGEST_LINE = 300  # characters
_END = 4_000  # bytes that the lines are looked for in
_LARGEST_ANSWER = 1 << 20  # bytes
_PROGRAM = "from aspen.models.trial import answer; answer()"


@dataclass(frozen=True, slots=True)
class Trial:
    """What a model did: it was loaded in `seconds`, ran a partial pass and a recording, and decoded
    `tokens_per_second`. chat_template: whether it has one that takes a message.
    """

    name: str
    architecture: str
    n_layers: int
    width: int
    context_length: int
    fingerprint: Fingerprint
    seconds: float
    tokens_per_second: float
    chat_template: bool


def try_model(
    spec: str,
    *,
    cache_dir: Path,
    runtime: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    threads: int | None = None,
    llama_library: Path | None = None,
    time_limit: float = 600.0,
) -> Trial:
    """Load a model in another process, and run it: see `load_model` for what the arguments mean.

    `time_limit` is in seconds. Raises ModelError with the words of any error there, where the numbers that come out are
    none, where the process dies and where it takes too long. The hash of the weights is kept in `cache_dir`.
    """
    found = _ask(
        {
            "spec": spec,
            "cache_dir": str(cache_dir),
            "runtime": runtime,
            "device": device,
            "dtype": dtype,
            "threads": threads,
            "llama_library": None if llama_library is None else str(llama_library),
        },
        what=f"Loading {spec}",
        time_limit=time_limit,
    )
    return Trial(**{**found, "fingerprint": from_dict(found["fingerprint"])})


def try_library(path: Path | None = None, *, time_limit: float = 60.0) -> tuple[str, Path]:
    """The version that llama.cpp gives of itself, opened in another process, and its file: the one at `path`, or that
    of the package xllamacpp.

    `time_limit` is in seconds. Raises ModelError as `try_model` does.
    """
    found = _ask(
        {"library": None if path is None else str(path)}, what="Opening llama.cpp", time_limit=time_limit
    )
    return found["version"], Path(found["path"])


def _ask(request: Mapping[str, Any], *, what: str, time_limit: float) -> dict[str, Any]:
    """What `answer` gives in a fresh interpreter; `what` begins the sentences about one that gives nothing."""
    with tempfile.TemporaryFile() as written:
        try:
            done = subprocess.run(  # noqa: S603 - this interpreter
                # -P: a file of this folder is not taken for a module
                [sys.executable, "-P", "-c", _PROGRAM],
                input=json.dumps(request).encode(),
                stdout=subprocess.PIPE,
                stderr=written,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                timeout=time_limit,
                start_new_session=True,  # Ctrl-C comes here, and ends it
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ModelError(
                f"{what} took longer than {time_limit:g} s.",
                hint="A large file is read once to hash it. If it happens again, the file may be damaged.",
            ) from error
        except OSError as error:
            raise ModelError(f"{what} needs a process of its own, which does not start: {error}.") from error
        last = _last_lines(written)
    try:
        given = json.loads(done.stdout[:_LARGEST_ANSWER]) if done.returncode == 0 else None
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise ModelError(
            f"{what} ended the process that did it ({_end(done.returncode)}){last}.",
            hint="The file may be damaged, or of a kind that llama.cpp cannot run: download it again, or take another.",
            code=done.returncode,
        )
    if "message" in given:
        raise ModelError(str(given["message"]), hint=str(given.get("hint", "")))
    return given


def _end(code: int) -> str:
    """How a process ended: the name of its signal."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def _last_lines(written: IO[bytes]) -> str:
    """What a process said last, as the rest of a sentence; nothing of what drives a terminal."""
    size = written.seek(0, os.SEEK_END)
    written.seek(max(0, size - _END))
    text = written.read().decode(errors="replace")
    lines = ["".join(filter(str.isprintable, line)).strip()[:_LONGEST_LINE] for line in text.splitlines()]
    said = [line for line in lines if line][-_TOLD:]
    return f": {' / '.join(said).rstrip('.')}" if said else ""


# -- in the other process ----------------------------------------------------------------------------------


def answer() -> None:
    """Do what standard input asks for, and write what comes of it to standard output, as JSON."""
    out = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints
    _leave_no_core()
    request = json.load(sys.stdin)
    try:
        found = _open(request["library"]) if "library" in request else _run(**request)
    except AspenError as error:
        found = {"message": error.message, "hint": error.hint}
    with os.fdopen(out, "w", encoding="utf-8") as file:
        json.dump(found, file)


def _leave_no_core() -> None:
    """A crash that is told needs no copy of gigabytes of memory."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # noqa: PLC0415 - not on Windows

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _open(path: str | None) -> dict[str, Any]:
    from aspen.models._llama_cpp.library import open_library  # noqa: PLC0415 - ctypes, here alone

    opened = open_library(None if path is None else Path(path))
    return {"version": opened.version, "path": str(opened.path)}


def _run(*, spec: str, cache_dir: str, llama_library: str | None, **options: Any) -> dict[str, Any]:
    started = time.perf_counter()
    model = load_model(
        spec,
        cache_dir=Path(cache_dir),
        llama_library=None if llama_library is None else Path(llama_library),
        **options,
    )
    loaded = time.perf_counter()
    ids = model.tokenize(_TEXT)[: max(1, model.info.context_length - _DECODED)]
    _check(model.capture([ids], layers=[0, model.info.n_layers // 2])[0], "a partial pass")
    session = model.start_session()
    logits = session.prefill(ids)
    began = time.perf_counter()
    logits = _decode(session, logits, count=_DECODED)
    decoding = time.perf_counter() - began
    _check(logits, "decoding")
    with model.recording() as recording:
        recorded = model.start_session()
        _decode(recorded, recorded.prefill(ids), count=_RECORDED)
    _check(recording.hidden_states(), "a recording")
    info = model.info
    return {
        "name": info.name,
        "architecture": info.architecture,
        "n_layers": info.n_layers,
        "width": info.width,
        "context_length": info.context_length,
        "fingerprint": to_dict(model.fingerprint),
        "seconds": loaded - started,
        "tokens_per_second": _DECODED / decoding,
        "chat_template": _takes_a_message(model),
    }


def _decode(session: Session, logits: FloatArray, *, count: int) -> FloatArray:
    """The logits after the `count` tokens that are likeliest one after the other."""
    for _ in range(count):
        logits = session.decode(int(logits.argmax()))
    return logits


def _check(numbers: FloatArray, what: str) -> None:
    if not np.isfinite(numbers).all():
        raise ModelError(
            f"The model computes no numbers (NaN or infinity) in {what}: its weights are damaged.",
            hint="Download it again.",
        )


def _takes_a_message(model: LanguageModel) -> bool:
    try:
        return bool(len(model.apply_chat_template([Message(Role.USER, _TEXT)]).token_ids))
    except NoChatTemplate:
        return False
