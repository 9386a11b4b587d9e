"""What runs a language model: one interface, and the runtimes behind it.

Importing this package imports no tensor library; `load_model` does, once a model is asked for.
"""

from __future__ import annotations

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
from aspen.models.loading import (
    LLAMA_CPP,
    RUNTIMES,
    TRANSFORMERS,
    gguf_path,
    load_model,
    local_path,
    runtime_of,
)
from aspen.models.memory import check_memory
from aspen.models.ollama import ollama_path
from aspen.models.sampling import Sampler
from aspen.models.trial import Trial, try_library, try_model

__all__ = [
    "LLAMA_CPP",
    "RUNTIMES",
    "TRANSFORMERS",
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
    "Trial",
    "Uncertainty",
    "check_memory",
    "feed",
    "find_models",
    "generate",
    "gguf_path",
    "json_grammar",
    "load_model",
    "local_path",
    "log_likelihoods",
    "ollama_path",
    "read_header",
    "runtime_of",
    "sample_reply",
    "try_library",
    "try_model",
    "uncertainty",
    "why_not",
]
