"""Looks at versions: of Python, of packages, of the llama.cpp that runs GGUF models."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from aspen.config import Config
from aspen.doctor.findings import Finding, Status, broken
from aspen.doctor.store import why_not_writable
from aspen.errors import AspenError
from aspen.models import LLAMA_CPP, TRANSFORMERS, try_library

_INSTALL_TRANSFORMERS = "pip install 'aspen-memory[transformers]'"


def examine_environment(config: Config, *, runtime: str | None) -> Iterator[Finding]:
    """`runtime` is the one that the model in use needs: what only the other one needs may be missing."""
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info < (3, 14):
        yield Finding("python", Status.OK, version)
    else:
        yield Finding(
            "python", Status.PROBLEM, f"{version}; Aspen needs 3.11 to 3.13", "make setup PYTHON=python3.13"
        )
    for package in ("numpy", "apsw"):
        yield _package(package, fix=f"pip install {package}")
    yield _llama_cpp(config.llama_library, needed=runtime == LLAMA_CPP)
    yield from _cache(config.cache_dir)
    for package in ("torch", "transformers"):
        if runtime == TRANSFORMERS:
            yield _package(package, fix=_INSTALL_TRANSFORMERS)
        else:
            what = _version(package) or "not installed; only needed for models that transformers runs"
            yield Finding(package, Status.OK, what)


def _cache(folder: Path) -> Iterator[Finding]:
    """A warning where nothing can be kept there."""
    if (reason := why_not_writable(folder)) is not None:
        yield Finding(
            "cache",
            Status.WARNING,
            f"{reason}: hashes, calibrations and an unpacked model cannot be kept",
            "make it writable for you, or name another folder: ASPEN_CACHE=FOLDER",
        )


def _package(name: str, *, fix: str) -> Finding:
    version = _version(name)
    if version is None:
        return Finding(name, Status.PROBLEM, "not installed", fix)
    return Finding(name, Status.OK, version)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _llama_cpp(library: Path | None, *, needed: bool) -> Finding:
    """That of the package xllamacpp, or the one that the person points to."""
    name, version = "llama.cpp", _version("xllamacpp")
    if library is None and version is None and not needed:
        return Finding(name, Status.OK, "not installed; only needed for models that llama.cpp runs")
    try:
        own_version = _opened(library)
    except AspenError as error:
        if needed:
            return broken(name, error)
        return Finding(name, Status.WARNING, error.message, error.hint)
    source = f"xllamacpp {version}" if library is None else str(library)
    return Finding(name, Status.OK, f"{source}, version {own_version}")


@lru_cache(maxsize=4)
def _opened(library: Path | None) -> str:
    """The version that the library gives of itself: opened in another process, once for all examinations."""
    return try_library(library)[0]
