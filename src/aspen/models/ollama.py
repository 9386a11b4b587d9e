"""Models that Ollama has downloaded: their names, and the GGUF files behind them.

Under Ollama's folder, manifests/REGISTRY/NAMESPACE/MODEL/TAG lists the layers of a model, and blobs/ has the files. The
manifests came over the network: nothing in them leads outside blobs/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aspen.errors import ModelNotFound
from aspen.models.folders import Tell, entries

PREFIX = "ollama:"
"""What a name of Ollama begins with wherever Aspen takes the name of a model."""

MAX_MANIFESTS = 5000
"""Most manifests that are looked at."""

_REGISTRY, _NAMESPACE, _TAG = "registry.ollama.ai", "library", "latest"
_MODEL_LAYER = "application/vnd.ollama.image.model"
_ADAPTER_LAYER = "application/vnd.ollama.image.adapter"
_MAX_MANIFEST = 1 << 20  # bytes; they have about 1,000
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,254}")
_SHOWN = 10  # names in an error


@dataclass(frozen=True, slots=True)
class OllamaModel:
    """A model by the name that people type, such as "ollama:llama3.2:1b", with its GGUF file; or why it has none."""

    name: str
    path: Path | None
    problem: str = ""


def list_ollama(folders: Sequence[Path], *, problem: Tell = lambda text: None) -> list[OllamaModel]:
    """The models in Ollama's folders, in order of name; of a name in several folders the first.

    A manifest that cannot be used is listed with the reason. `problem` gets a sentence for each folder that cannot be
    read.
    """
    found: dict[str, OllamaModel] = {}
    for folder in folders:
        for parts in _manifests(folder / "manifests", problem=problem):
            name = _short(parts)
            if name not in found:
                found[name] = _model(folder, parts=parts, name=name)
    return sorted(found.values(), key=lambda model: model.name)


def ollama_path(name: str, *, folders: Sequence[Path]) -> Path:
    """The GGUF file of a model of Ollama: "llama3.2", "llama3.2:1b", "user/model:tag", "hf.co/user/model:tag".

    With "ollama:" before it or without. Raises ModelNotFound where Ollama has no such model, and says which it has; or
    where it has one without a GGUF file.
    """
    wanted = _parts(name.removeprefix(PREFIX))
    if wanted is None:
        raise ModelNotFound(
            f"{name!r} is no name of a model of Ollama.", hint="Write it as in ollama:llama3.2:1b.", name=name
        )
    for folder in folders:
        try:
            there = folder.joinpath("manifests", *wanted).is_file()
        except OSError as error:
            raise ModelNotFound(f"Ollama's folder {folder} cannot be read: {error}.", name=name) from error
        if there:
            model = _model(folder, parts=wanted, name=_short(wanted))
            if model.path is None:
                raise ModelNotFound(f"{model.name} cannot be used: {model.problem}.", name=name)
            return model.path
    raise _unknown(name, folders=folders)


def _unknown(name: str, *, folders: Sequence[Path]) -> ModelNotFound:
    problems: list[str] = []
    names = [model.name for model in list_ollama(folders, problem=problems.append)]
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        hint = f"It has {', '.join(names[:_SHOWN])}{more}."
    else:
        hint = f"Looked in {', '.join(map(str, folders)) or 'no folder'}; OLLAMA_MODELS names another."
    return ModelNotFound(
        f"Ollama has no model {name.removeprefix(PREFIX)!r} here.",
        hint=" ".join([*problems, hint]),
        name=name,
        models=names,
    )


def _parts(name: str) -> tuple[str, str, str, str] | None:
    """Registry, namespace, model and tag; None where a name has other parts, or one that is no name of a file."""
    *before, last = name.split("/")
    model, colon, tag = last.partition(":")
    if len(before) > 2:
        return None
    registry, namespace = [_REGISTRY, _NAMESPACE][: 2 - len(before)] + before
    parts = (registry, namespace, model, tag if colon else _TAG)
    return parts if all(map(_PART.fullmatch, parts)) else None


def _short(parts: tuple[str, str, str, str]) -> str:
    registry, namespace, model, tag = parts
    if registry != _REGISTRY:
        return f"{PREFIX}{registry}/{namespace}/{model}:{tag}"
    return f"{PREFIX}{model}:{tag}" if namespace == _NAMESPACE else f"{PREFIX}{namespace}/{model}:{tag}"


def _manifests(root: Path, *, problem: Tell) -> Iterator[tuple[str, str, str, str]]:
    left = MAX_MANIFESTS
    for registry in _folders(root, problem=problem):
        for namespace in _folders(registry, problem=problem):
            for model in _folders(namespace, problem=problem):
                for tag in entries(model, problem=problem):
                    if left == 0:
                        problem(f"{root} has more than {MAX_MANIFESTS:,} manifests; the rest is left out.")
                        return
                    left -= 1
                    parts = (registry.name, namespace.name, model.name, tag.name)
                    if all(map(_PART.fullmatch, parts)) and tag.is_file(follow_symlinks=False):
                        yield parts


def _folders(folder: Path, *, problem: Tell) -> list[Path]:
    found = entries(folder, problem=problem)
    return [Path(entry.path) for entry in found if entry.is_dir(follow_symlinks=False)]


class _Unusable(Exception):
    """Why there is no GGUF file behind a manifest."""


def _model(folder: Path, *, parts: tuple[str, str, str, str], name: str) -> OllamaModel:
    try:
        with folder.joinpath("manifests", *parts).open("rb") as file:
            text = file.read(_MAX_MANIFEST + 1)
        if len(text) > _MAX_MANIFEST:
            return OllamaModel(name, None, f"its manifest has more than {_MAX_MANIFEST:,} bytes")
        return OllamaModel(name, _blob(_digest(json.loads(text)), blobs=folder / "blobs"))
    except _Unusable as reason:
        return OllamaModel(name, None, str(reason))
    except OSError as error:
        return OllamaModel(name, None, f"its files cannot be read: {error.strerror}")
    except (ValueError, RecursionError):  # no JSON, no UTF-8, or nested without end
        return OllamaModel(name, None, "its manifest is damaged")


def _digest(manifest: Any) -> str:
    """Of the layer with the GGUF file."""
    layers = manifest.get("layers") if isinstance(manifest, dict) else None
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise _Unusable("its manifest is damaged")
    kinds = [layer.get("mediaType") for layer in layers]
    if _MODEL_LAYER not in kinds:
        raise _Unusable("it has no GGUF file here: it runs elsewhere, or is of another format")
    if _ADAPTER_LAYER in kinds:
        raise _Unusable("it has an adapter (LoRA) on top, which Aspen does not use")
    if kinds.count(_MODEL_LAYER) > 1:
        raise _Unusable("it is cut into several files")
    digest = layers[kinds.index(_MODEL_LAYER)].get("digest")
    if not isinstance(digest, str) or _DIGEST.fullmatch(digest) is None:
        raise _Unusable("its manifest is damaged")
    return digest


def _blob(digest: str, *, blobs: Path) -> Path:
    blob = blobs / digest.replace(":", "-")
    if not blob.is_file():
        raise _Unusable(f"its file {blob} is not there")
    if not blob.resolve().is_relative_to(blobs.resolve()):
        raise _Unusable(f"its file {blob} leads out of Ollama's folder")
    return blob
