"""What runs a language model: one interface, and the runtimes behind it.

Importing this package imports no tensor library; `load_model` does, once a model is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aspen.models import _transformers
from aspen.models.bundled import prepare_bundled
from aspen.models.discovery import Discovery, FoundModel, find_models
from aspen.models.feeding import feed
from aspen.models.generation import Generation, generate, sample_reply
from aspen.models.gguf_header import GGUFHeader, read_header
from aspen.models.gguf_support import why_not
from aspen.models.grammar import JsonGrammar, json_grammar
from aspen.models.heads import Captured, HeadAttention, HeadRef, Rotary
from aspen.models.interface import (
    AttentionInputs,
    ChatPrompt,
    LanguageModel,
    ModelInfo,
    RawRecording,
    Session,
)
from aspen.models.kv import KVFragment
from aspen.models.likelihood import Uncertainty, log_likelihoods, uncertainty
from aspen.models.memory import check_memory, in_words
from aspen.models.ollama import ollama_path
from aspen.models.sampling import Sampler

__all__ = [
    "AttentionInputs",
    "Captured",
    "ChatPrompt",
    "Discovery",
    "FoundModel",
    "GGUFHeader",
    "Generation",
    "HeadAttention",
    "HeadRef",
    "JsonGrammar",
    "KVFragment",
    "LanguageModel",
    "ModelInfo",
    "RawRecording",
    "Rotary",
    "Sampler",
    "Session",
    "Uncertainty",
    "check_memory",
    "feed",
    "find_models",
    "generate",
    "in_words",
    "json_grammar",
    "load_model",
    "log_likelihoods",
    "ollama_path",
    "read_header",
    "sample_reply",
    "uncertainty",
    "why_not",
]


def load_model(
    spec: str,
    *,
    cache_dir: Path,
    device: str | None = None,
    dtype: str | None = None,
    threads: int | None = None,
    progress: Callable[[str], None] | None = None,
) -> LanguageModel:
    """Load the model that `spec` names: "bundled", a folder, a .gguf file, or a Hugging Face hub id.

    Parameters
    ----------
    cache_dir:
        Where the bundled model is unpacked, and hashes of weights are kept.
    device, dtype, threads:
        See `aspen.models._transformers.load`.
    progress:
        Gets a sentence at each slow step of unpacking the bundled model.
    """
    if spec != "bundled":
        return _transformers.load(spec, device=device, dtype=dtype, threads=threads, cache_dir=cache_dir)
    bundled = prepare_bundled(cache_dir, convert=_transformers.convert_gguf, progress=progress)
    return _transformers.load(
        str(bundled.folder),
        device=device,
        dtype=dtype,
        threads=threads,
        cache_dir=cache_dir,
        name=bundled.name,
        weights_hash=lambda: bundled.source_sha256,
        quantisation=bundled.quantisation,
    )
