"""Aspen's settings, and the only place that reads the environment."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from aspen.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Config:
    """Where things are and what runs the model.

    cache_dir: converted models and calibrations, all of which can be made again. store: the store that commands use
    when none is named, a path or the URL of a database. model: "bundled", a .gguf file, "ollama:NAME", a Hugging Face
    id or a folder. runtime: "llama.cpp" or "transformers", None for what suits the model. device and dtype None leave
    the choice to the runtime; threads None takes all cores. llama_library: another llama.cpp than that of the package
    xllamacpp. strategy: how memories are fed back in a
    chat. reinforce: whether memories that are used together in a chat grow stronger links. endpoint_key: sent to an
    endpoint that a command names, None for none. kv_check: the strategy kv checks one reply in so many against the
    text; 1 for every one, 0 for none.
    """

    cache_dir: Path
    store: Path | str
    model: str = "bundled"
    device: str | None = None
    dtype: str | None = None
    threads: int | None = None
    strategy: str = "note"
    reinforce: bool = True
    endpoint_key: str | None = field(default=None, repr=False)
    kv_check: int = 16
    runtime: str | None = None
    llama_library: Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Config:
        """Read ASPEN_CACHE, ASPEN_STORE, ASPEN_MODEL, ASPEN_RUNTIME, ASPEN_LLAMA_LIBRARY, ASPEN_DEVICE, ASPEN_DTYPE,
        ASPEN_THREADS, ASPEN_STRATEGY, ASPEN_REINFORCE, ASPEN_KV_CHECK and ASPEN_ENDPOINT_KEY.
        """
        found = os.environ if environment is None else environment
        threads = found.get("ASPEN_THREADS") or None
        if threads is not None and not (threads.isdecimal() and int(threads) > 0):
            raise InvalidInput(f"ASPEN_THREADS must be a positive integer, got {threads!r}.")
        reinforce = found.get("ASPEN_REINFORCE") or "1"
        if reinforce not in ("0", "1"):
            raise InvalidInput(f"ASPEN_REINFORCE must be 0 or 1, got {reinforce!r}.")
        kv_check = found.get("ASPEN_KV_CHECK") or "16"
        if not kv_check.isdecimal():
            raise InvalidInput(f"ASPEN_KV_CHECK must be an integer >= 0, got {kv_check!r}.")
        data_dir = Path(platformdirs.user_data_dir("aspen"))
        return cls(
            cache_dir=_path(found, "ASPEN_CACHE") or Path(platformdirs.user_cache_dir("aspen")),
            store=_store(found) or data_dir / "memory.db",
            model=found.get("ASPEN_MODEL") or "bundled",
            runtime=found.get("ASPEN_RUNTIME") or None,
            llama_library=_path(found, "ASPEN_LLAMA_LIBRARY"),
            device=found.get("ASPEN_DEVICE") or None,
            dtype=found.get("ASPEN_DTYPE") or None,
            threads=int(threads) if threads is not None else None,
            strategy=found.get("ASPEN_STRATEGY") or "note",
            reinforce=reinforce == "1",
            endpoint_key=found.get("ASPEN_ENDPOINT_KEY") or None,
            kv_check=int(kv_check),
        )


@dataclass(frozen=True, slots=True)
class ModelFolders:
    """Where other programs keep GGUF files; the folders need not be there."""

    ollama: tuple[Path, ...] = ()
    lm_studio: tuple[Path, ...] = ()
    llama_cpp: tuple[Path, ...] = ()
    hugging_face: tuple[Path, ...] = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> ModelFolders:
        """The folders that these programs use by default, or that OLLAMA_MODELS, LLAMA_CACHE, HF_HUB_CACHE, HF_HOME
        and XDG_CACHE_HOME name in their place.
        """
        found = os.environ if environment is None else environment
        try:
            home = Path.home()
        except RuntimeError:  # a user without one
            home = Path("/nonexistent")
        caches = _path(found, "XDG_CACHE_HOME") or home / ".cache"
        hub = (_path(found, "HF_HOME") or caches / "huggingface") / "hub"
        given = _path(found, "OLLAMA_MODELS")
        own = (home, Path("/usr/share/ollama"), Path("/var/lib/ollama"))  # the service has a user of its own
        llama = caches if sys.platform != "darwin" else home / "Library" / "Caches"
        return cls(
            ollama=(given,) if given else tuple(folder / ".ollama" / "models" for folder in own),
            lm_studio=(home / ".lmstudio" / "models", home / ".cache" / "lm-studio" / "models"),
            llama_cpp=(_path(found, "LLAMA_CACHE") or llama / "llama.cpp",),
            hugging_face=(_path(found, "HF_HUB_CACHE") or hub,),
        )


def is_url(location: str) -> bool:
    """Whether a location is a URL, not a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", location) is not None


def _store(found: Mapping[str, str]) -> Path | str | None:
    given = found.get("ASPEN_STORE")
    return given if given and is_url(given) else _path(found, "ASPEN_STORE")


def _path(found: Mapping[str, str], name: str) -> Path | None:
    """The path in a variable, "~" expanded; None where it is not set."""
    value = found.get(name)
    if not value:
        return None
    try:
        return Path(value).expanduser()
    except RuntimeError as error:  # a home folder of nobody
        raise InvalidInput(f"{name} {value!r} cannot be used as a path: {error}") from error
