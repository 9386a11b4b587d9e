"""From memories to words that help the model: by a fixed pattern, or rewritten by a model and held to their source."""

from aspen.memory_rephraser.model import SUPPORT, Judge, Rephrased, rephrase
from aspen.memory_rephraser.template import as_data, as_name, memory_line, shortened, speaker_of

__all__ = [
    "SUPPORT",
    "Judge",
    "Rephrased",
    "as_data",
    "as_name",
    "memory_line",
    "rephrase",
    "shortened",
    "speaker_of",
]
