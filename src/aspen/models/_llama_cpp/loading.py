"""Loading a GGUF file with llama.cpp; every way in which that fails, said clearly."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

from aspen.errors import InvalidInput, ModelNotFound
from aspen.models._llama_cpp.context import Weights
from aspen.models._llama_cpp.library import ROPE_NORM, Library, open_library
from aspen.models._llama_cpp.model import Facts, LlamaCppModel
from aspen.models._llama_cpp.text import load_codec
from aspen.models.fingerprint import weights_sha256
from aspen.models.interface import ModelInfo
