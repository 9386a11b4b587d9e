"""Language models through Hugging Face transformers: the only place that imports torch or transformers.

Importing this package is cheap: torch is imported by `load` and `convert_gguf`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from aspen.config import ModelFolders
from aspen.errors import MissingDependency, ModelNotFound

if TYPE_CHECKING:
    from aspen.models._transformers.model import TransformersModel

_INSTALL = "pip install 'aspen-memory[transformers]'"
_OPTIONAL = frozenset({"torch", "transformers", "tokenizers", "safetensors", "huggingface_hub", "jinja2"})
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_LISTED = "A list tells what is on this machine (`aspen models`)"


def load(
    name_or_path: str,
    *,
    device: str | None = None,
    dtype: str | None = None,
    threads: int | None = None,
    cache_dir: Path | None = None,
    name: str | None = None,
    weights_hash: Callable[[], str] | None = None,
    quantisation: str | None = None,
) -> TransformersModel:
    """Load a decoder-only causal language model from a folder, a .gguf file, or the Hugging Face hub.

    Parameters
    ----------
    device:
        "cpu", "cuda", "cuda:1" or "mps"; by default the first of cuda, mps and cpu that is there.
    dtype:
        "float32", "bfloat16" or "float16"; by default float32 on the CPU, else the model's own.
    threads:
        CPU threads of torch, for the whole process; by default left as they are.
    cache_dir:
        Where hashes of weight files are kept; without it they are computed anew each time they are asked for.
    name, weights_hash, quantisation:
        What `info` and `fingerprint` say, where the folder itself does not tell (an unpacked GGUF).
    """
    path = local_path(name_or_path)
    return _loading().load(  # type: ignore[no-any-return]
        name_or_path,
        path=path,
        device=device,
        dtype=dtype,
        threads=threads,
        cache_dir=cache_dir,
        name=name,
        weights_hash=weights_hash,
        quantisation=quantisation,
    )


def local_path(name_or_path: str) -> Path | None:
    """The folder or .gguf file that a name means, None where it means a model of the hub.

    Needs neither torch, whose import takes seconds, nor the network: a name that is mistyped is told at once. Raises
    ModelNotFound where it can be neither.
    """
    try:
        path = Path(name_or_path).expanduser()
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, RuntimeError) as error:  # too long, not ours to read, the home folder of nobody
        raise ModelNotFound(
            f"There can be no model at {name_or_path!r}: {error}.", hint="Check the path."
        ) from error
    if is_file and path.suffix != ".gguf":
        raise ModelNotFound(
            f"{path} is a file, but not a .gguf one.", hint="Name the folder that holds the model."
        )
    if is_folder and not (path / "config.json").is_file():
        raise ModelNotFound(
            f"The folder {path} holds no config.json, so it is not a transformers model.",
            hint="Name the folder that save_pretrained() wrote, or a .gguf file.",
        )
    if is_folder or is_file:
        return path
    looks_local = path.is_absolute() or name_or_path.startswith((".", "~")) or path.suffix == ".gguf"
    if looks_local or not _HUB_ID.fullmatch(name_or_path):
        raise ModelNotFound(
            f"There is no model at {path}.",
            hint=f'Check the path, or take the bundled model: "bundled". {_LISTED}.',
        )
    # The hub had models without an owner once, such as gpt2. It knows them by an owner as well by now, so that a name
    # of one word is rather a typing error, which is not worth asking the network for.
    if "/" not in name_or_path and not _downloaded(name_or_path):
        raise ModelNotFound(
            f"There is no model {name_or_path!r}: no folder or file has this name, and no model in the cache of the "
            "Hugging Face hub.",
            hint=f"{_LISTED}. A model of the hub is named in full, owner/name, as in openai-community/gpt2.",
        )
    return None


def _downloaded(name: str) -> bool:
    """Whether a model of the hub without an owner is in the cache of this machine."""
    caches = ModelFolders.from_environment().hugging_face
    return any(any(cache.glob(f"models--{name}/snapshots/*/config.json")) for cache in caches)


def check_installed() -> None:
    """Raise MissingDependency, with what to install, where models cannot be run with transformers. Imports torch."""
    _loading()


def convert_gguf(source: Path, target: Path) -> str:
    """Dequantise a GGUF file to float32 safetensors in the folder `target`; returns its quantisation."""
    return _loading().convert_gguf(source, target)  # type: ignore[no-any-return]


def _loading() -> ModuleType:
    # OpenMP's threads spin while they wait for each other. Measured on two cores, decoding: 20 tokens/s spinning and
    # 19 not, on an idle machine; 8 and 19 beside one other busy process. Read by the library when torch loads it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        from aspen.models._transformers import loading  # noqa: PLC0415 - imports torch
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _OPTIONAL:
            raise
        raise MissingDependency(
            f"Running a model with transformers needs the package {missing}, which is not installed.",
            hint=f"Install it with: {_INSTALL}",
            package=missing,
        ) from error
    return loading
