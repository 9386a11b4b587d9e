"""Loading a GGUF file with llama.cpp; every way in which that fails, said clearly."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from aspen.errors import InvalidInput, ModelNotFound
from aspen.models._llama_cpp.c_api import ROPE_NEOX, ROPE_NORM, ProgressCallback
from aspen.models._llama_cpp.context import Weights
from aspen.models._llama_cpp.library import Library, open_library
from aspen.models._llama_cpp.model import Facts, LlamaCppModel
from aspen.models._llama_cpp.signals import DeferredSignals
from aspen.models._llama_cpp.text import LlamaTokenizer
from aspen.models.fingerprint import weights_sha256
from aspen.models.gguf_header import GGUFHeader, read_header
from aspen.models.gguf_support import why_not
from aspen.models.interface import ModelInfo
from aspen.models.memory import check_memory
from aspen.models.text import TextCodec

_REASON = "error loading model: "  # what llama.cpp begins it with


def load(
    path: Path,
    *,
    threads: int | None = None,
    cache_dir: Path | None = None,
    library: Path | None = None,
    name: str | None = None,
) -> LlamaCppModel:
    """Load a GGUF file.

    Parameters
    ----------
    threads:
        Of a pass; by default one for each core that this process may use.
    cache_dir:
        Where the hash of the file is kept; without it it is computed anew each time it is asked for.
    library:
        The llama.cpp to use; that of the package xllamacpp where None.
    name:
        What `info` says, where the file is not to be asked.

    Raises ModelNotFound where there is no such file or it is broken or no model that Aspen runs, ModelError where it is
    too large for this machine or cannot be read, MissingDependency without llama.cpp.
    """
    if threads is not None and threads < 1:
        raise InvalidInput(f"threads must be at least 1, not {threads}.")
    header = read_header(path)
    if (reason := why_not(header)) is not None:
        cut = reason.endswith("missing at its end")  # it, or another part of the model
        raise ModelNotFound(
            f"Aspen cannot run {path}: {reason}.",
            hint="Download it again."
            if cut
            else "Take another one; a list tells which of this machine can be run (`aspen models`).",
            architecture=header.architecture,
        )
    check_memory(header)
    opened = open_library(library)
    opened.check_process()
    weights = Weights(opened, _load_weights(opened, path))
    text = LlamaTokenizer(opened, weights.pointer)
    codec = TextCodec(text)
    info = _describe(
        weights, header=header, name=name, stop_ids=text.end_of_generation_ids() | codec.end_of_turn_ids()
    )
    return LlamaCppModel(
        weights,
        info=info,
        facts=_facts(weights, header=header),
        header=header,
        text=codec,
        threads=threads or _cores(),
        weights_hash=lambda: weights_sha256(header.parts or (path,), cache_dir=cache_dir),
    )


def _load_weights(library: Library, path: Path) -> int:
    """A `llama_model *`. Ctrl-C ends the loading as soon as the next tensor is read."""
    params = library.llama_model_default_params()
    params.n_gpu_layers = 0
    with DeferredSignals() as signals, library.listening() as said:
        callback = ProgressCallback(
            lambda progress, _: not signals.interrupted
        )  # kept by this name until all is read
        params.progress_callback = ctypes.cast(callback, ctypes.c_void_p).value
        pointer = library.llama_model_load_from_file(os.fsencode(path), params)
    if not pointer:
        # The reason comes before lines that say but that loading failed.
        reasons = [line.partition(_REASON)[2] for line in said if _REASON in line] or said[-1:]
        told = f": {reasons[0]}" if reasons else ""
        raise ModelNotFound(
            f"{path} could not be loaded by llama.cpp{told}.",
            hint="Download or convert it again, or look at what is found in it (`aspen models`).",
        )
    return int(pointer)


def _describe(
    weights: Weights, *, header: GGUFHeader, name: str | None, stop_ids: frozenset[int]
) -> ModelInfo:
    library, model = weights.library, weights.pointer
    return ModelInfo(
        name=name or header.name,
        architecture=header.architecture,
        n_layers=library.llama_model_n_layer(model),
        width=library.llama_model_n_embd(model),
        n_heads=library.llama_model_n_head(model),
        n_kv_heads=library.llama_model_n_head_kv(model),
        vocab_size=library.llama_vocab_n_tokens(library.llama_model_get_vocab(model)),
        context_length=_context_length(weights, header=header),
        stop_ids=stop_ids,
    )


def _context_length(weights: Weights, *, header: GGUFHeader) -> int:
    """Tokens that the model was made for. With LongRoPE those of its short form: a longer context has other numbers."""
    length = int(weights.library.llama_model_n_ctx_train(weights.pointer))
    if _scaling(header) == "longrope":
        original = header.integer(f"{header.architecture}.rope.scaling.original_context_length")
        return min(length, original or length)
    return length


def _facts(weights: Weights, *, header: GGUFHeader) -> Facts:
    library, model = weights.library, weights.pointer
    rope = library.llama_model_rope_type(model)
    window = library.llama_model_n_swa(model) or None
    immovable = None
    if window is not None:
        immovable = "some of its blocks see a window of the tokens (sliding_attention)"
    elif rope not in (ROPE_NORM, ROPE_NEOX):
        immovable = "it has no rotary embedding, or one of several axes (M-RoPE)"
    elif _scaling(header) == "longrope":
        immovable = "its rotary embedding (type longrope) depends on the length of the sequence"
    return Facts(
        rotated=header.integer(f"{header.architecture}.rope.dimension_count"),
        interleaved=rope == ROPE_NORM,
        window=window,
        immovable=immovable,
        quantisation=header.quantisation,
    )


def _scaling(header: GGUFHeader) -> str:
    return header.text(f"{header.architecture}.rope.scaling.type") or ""


def _cores() -> int:
    """Cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1
