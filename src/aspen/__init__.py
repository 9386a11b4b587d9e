"""Aspen: long-term memory for local LLM agents that remembers what the model thought."""

from aspen.aspen import Aspen
from aspen.config import Config
from aspen.errors import AspenError
from aspen.turns import Reply
from aspen.types import Hit, Memory, MemoryItem, Recall, SamplerSettings, Trace, TraceLevel

__version__ = "0.1.0"

__all__ = [
    "Aspen",
    "AspenError",
    "Config",
    "Hit",
    "Memory",
    "MemoryItem",
    "Recall",
    "Reply",
    "SamplerSettings",
    "Trace",
    "TraceLevel",
]
