"""Finds the GGUF files on this machine: of Ollama, LM Studio, llama.cpp and Hugging Face, and of named folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aspen.config import ModelFolders
from aspen.errors import InvalidInput, MissingDependency, ModelNotFound
from aspen.models import bundled
from aspen.models.folders import gguf_files, is_file
from aspen.models.gguf_header import PART, read_header
from aspen.models.gguf_support import why_not
from aspen.models.ollama import list_ollama


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model that is there.

    name: what to type at --model. where: which program it belongs to, or "folder". size: bytes of all its files.
    context_length: tokens. why_not: why Aspen cannot run it, as the end of a sentence; empty where it can. What a file
    that cannot be read does not tell is None.
    """

    name: str
    path: Path | None
    where: str
    supported: bool
    why_not: str = ""
    architecture: str | None = None
    size: int | None = None
    quantisation: str | None = None
    context_length: int | None = None


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found, which folders were looked through and which were not there, and sentences about what could not
    be read.
    """

    models: tuple[FoundModel, ...]
    looked_in: tuple[Path, ...]
    not_there: tuple[Path, ...]
    problems: tuple[str, ...]


def find_models(folders: Sequence[Path] = (), *, places: ModelFolders | None = None) -> Discovery:
    """All models on this machine that lie in GGUF files: milliseconds for each, and nothing is loaded.

    A broken file is listed with its reason, and hides no others. Later parts of a model that is cut into several files
    are not listed beside the first.

    Parameters
    ----------
    folders:
        More folders to look through, or .gguf files. InvalidInput where there is none of that name.
    places:
        Where other programs keep theirs; where None, as the environment says.
    """
    known = places or ModelFolders.from_environment()
    for folder in folders:
        _check_there(folder)
    problems: list[str] = []
    models = [*_bundled(), *_of_ollama(known.ollama, problems=problems)]
    by_program = {
        "LM Studio": known.lm_studio,
        "llama.cpp": known.llama_cpp,
        "Hugging Face": known.hugging_face,
        "folder": tuple(folder.absolute() for folder in folders),
    }
    seen: set[Path] = set()
    for where, roots in by_program.items():
        for root in roots:
            models += _of_folder(root, where=where, seen=seen, problems=problems)
    every = [*known.ollama, *(root for roots in by_program.values() for root in roots)]
    there = [root for root in every if _is_there(root)]
    return Discovery(
        models=tuple(models),
        looked_in=tuple(there),
        not_there=tuple(root for root in every if root not in there),
        problems=tuple(dict.fromkeys(problems)),
    )


def _bundled() -> Iterator[FoundModel]:
    try:
        path = bundled.find_source()
    except MissingDependency:
        return
    yield _found(path, name="bundled", where="Aspen")


def _of_ollama(roots: Sequence[Path], *, problems: list[str]) -> Iterator[FoundModel]:
    for model in list_ollama(roots, problem=problems.append):
        if model.path is None:
            yield FoundModel(model.name, None, "Ollama", supported=False, why_not=model.problem)
        else:
            yield _found(model.path, name=model.name, where="Ollama")


def _of_folder(root: Path, *, where: str, seen: set[Path], problems: list[str]) -> Iterator[FoundModel]:
    """Files that were found already, in another folder, are left out, and later parts of a model."""
    files = (
        [root]
        if root.suffix.lower() == ".gguf" and is_file(root)
        else gguf_files(root, problem=problems.append)
    )
    for path in files:
        real = _real(path)
        if real not in seen and not _has_first_part(path):
            yield _found(path, name=str(path), where=where)
        seen.add(real)


def _found(path: Path, *, name: str, where: str) -> FoundModel:
    try:
        header = read_header(path)
        reason = why_not(header) or ""
        size = header.size + sum(_size(part) for part in header.parts if part != path)
    except ModelNotFound as error:
        reason = error.message.replace(str(path), "it", 1).rstrip(".")
        return FoundModel(name, path, where, supported=False, why_not=reason)
    return FoundModel(
        name=name,
        path=path,
        where=where,
        supported=not reason,
        why_not=reason,
        architecture=header.architecture or None,
        size=size,
        quantisation=header.quantisation,
        context_length=header.context_length,
    )


def _has_first_part(path: Path) -> bool:
    """Whether the file is a later part of a model whose first part lies beside it."""
    match = PART.fullmatch(path.name)
    first = path.with_name(f"{match['stem']}-00001-of-{match['count']}.gguf") if match else path
    return first != path and is_file(first)


def _size(path: Path) -> int:
    """Bytes of a file; 0 where it is not there."""
    return path.stat().st_size if is_file(path) else 0


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # links in a circle
        return path


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:  # within a folder that is not ours to read: looking through it says so
        return True
    except OSError:  # longer than a name can be
        return False


def _check_there(path: Path) -> None:
    if not _is_there(path):
        raise InvalidInput(
            f"There is no folder or file {path}.", hint="Name one that is there.", path=str(path)
        )
