"""Where the shared object of llama.cpp is, and opening it."""

from __future__ import annotations

import ctypes
import importlib.util
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from aspen.errors import MissingDependency, ModelError
from aspen.models.fingerprint import file_sha256

TESTED = "xllamacpp 2026.10.11549 (llama.cpp 0.6.0-dev)"
INSTALL = "pip install xllamacpp==2026.10.11549"


def library_versions(path: Path) -> dict[str, str]:
    """What a replay has to find again of the shared object at `path`: the version of the wheel that it is of, else its
    SHA-256.
    """
    try:
        if path == in_wheel():
            return {"xllamacpp": version("xllamacpp")}
    except (MissingDependency, PackageNotFoundError):
        pass
    return {"libllama": file_sha256(path)}


def in_wheel() -> Path:
    """The shared object of the installed wheel. MissingDependency where there is none."""
    spec = importlib.util.find_spec("xllamacpp")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for found in sorted(Path(folder).glob("xllamacpp*.so")) + sorted(Path(folder).glob("xllamacpp*.pyd")):
            return found.resolve()
    raise MissingDependency(
        "Running a GGUF model needs llama.cpp, which the package xllamacpp brings and which is not installed.",
        hint=f"Install it with: {INSTALL}",
        package="xllamacpp",
    )


def open_shared_object(path: Path) -> ctypes.CDLL:
    """Open what lies at `path`. ModelError where it is no library, or one that it needs is missing."""
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # else a failed assertion starts a debugger
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        if "libgomp" not in str(error) or not _open_gomp_of_torch():
            raise _cannot_open(path, error) from error
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise _cannot_open(path, error) from error


def _open_gomp_of_torch() -> bool:
    """Open the OpenMP library that torch brings, if torch is installed: a slim system has none of its own."""
    spec = importlib.util.find_spec("torch")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for found in sorted(Path(folder, "lib").glob("libgomp*.so*")):
            ctypes.CDLL(str(found), mode=ctypes.RTLD_GLOBAL)
            return True
    return False


def _cannot_open(path: Path, error: OSError) -> ModelError:
    if "libgomp" in str(error):
        return ModelError(
            "llama.cpp needs libgomp, the OpenMP library of GCC, which this system does not have.",
            hint="Install it with: apt-get install libgomp1 (Fedora: dnf install libgomp).",
        )
    hint = f"Install it again with: {INSTALL}"
    if not _is_in_wheel(path):
        hint = (
            "Name a libllama that is there with ASPEN_LLAMA_LIBRARY, or unset it to take that of xllamacpp."
        )
    return ModelError(f"llama.cpp cannot be loaded from {path}: {error}.", hint=hint)


def _is_in_wheel(path: Path) -> bool:
    try:
        return path == in_wheel()
    except MissingDependency:
        return False
