"""The whole examination, in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from aspen.aspen import Aspen
from aspen.config import Config, is_url
from aspen.doctor.environment import examine_environment
from aspen.doctor.findings import Finding, Status, broken
from aspen.doctor.model import examine_loaded, examine_model_files, examine_trial
from aspen.doctor.store import examine_disk, examine_files, examine_place, examine_store
from aspen.errors import AspenError
from aspen.models import LLAMA_CPP, LanguageModel, runtime_of
from aspen.repository import Repository, open_repository
from aspen.repository._opening import IN_MEMORY


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
        the newest 20: seconds, and longer if the model is not unpacked yet. One that llama.cpp runs, and may crash in,
        is tried in a process of its own before.
    model:
        A loaded model to take with `deep` in place of `config.model`.
    notify:
        Called with a sentence when something takes long.
    """
    runtime = _runtime(config)
    files = list(examine_model_files(config))
    findings = [*examine_environment(config, runtime=runtime), *files]
    with ExitStack() as stack:
        repository = None
        if not isinstance(store, str | Path):
            repository = store
        elif not is_url(str(store)) and (nothing := _nothing_at(store)) is not None:
            findings.append(examine_place(Path(store), nothing))
        else:
            try:
                repository = stack.enter_context(open_repository(store))
            except AspenError as error:
                findings.append(broken("store", error))
        if repository is not None:
            findings += examine_store(repository, deep=deep, config=config)
            findings += examine_files(Path(repository.location))
        findings += examine_disk(config.cache_dir, "disk of the cache")
        loads = deep and (model is not None or _is_sound(files))
        if loads and model is None and runtime == LLAMA_CPP:
            findings.append(examine_trial(config))
            loads = _is_sound(findings[-1:])
        if loads:
            opened = repository or stack.enter_context(open_repository(IN_MEMORY))
            findings += examine_loaded(Aspen.open(opened, model=model, config=config, notify=notify))
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


def _is_sound(findings: Sequence[Finding]) -> bool:
    return all(finding.status is not Status.PROBLEM for finding in findings)


def _runtime(config: Config) -> str | None:
    """What runs the model; None where nothing does, which the look at its files tells."""
    try:
        return runtime_of(config.model, runtime=config.runtime)
    except AspenError:
        return None
