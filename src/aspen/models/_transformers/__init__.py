"""Language models through Hugging Face transformers: the only place that imports torch or transformers.

Importing this package is cheap: torch is imported by `load` and `convert_gguf`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from aspen.errors import MissingDependency

if TYPE_CHECKING:
    from aspen.models._transformers.model import TransformersModel

_INSTALL = "pip install 'aspen-memory[transformers]'"
_OPTIONAL = frozenset({"torch", "transformers", "tokenizers", "safetensors", "huggingface_hub", "jinja2"})


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
    return _loading().load(  # type: ignore[no-any-return]
        name_or_path,
        device=device,
        dtype=dtype,
        threads=threads,
        cache_dir=cache_dir,
        name=name,
        weights_hash=weights_hash,
        quantisation=quantisation,
    )


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
