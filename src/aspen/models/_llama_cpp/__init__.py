"""Language models through llama.cpp: GGUF files, without torch and without a compiler.

Importing this package is cheap: the library is opened by `load`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aspen.models._llama_cpp.model import LlamaCppModel


def load(
    path: Path,
    *,
    threads: int | None = None,
    cache_dir: Path | None = None,
    library: Path | None = None,
    name: str | None = None,
) -> LlamaCppModel:
    """See `aspen.models._llama_cpp.loading.load`."""
    from aspen.models._llama_cpp import loading  # noqa: PLC0415 - for whoever runs another runtime

    return loading.load(path, threads=threads, cache_dir=cache_dir, library=library, name=name)
