"""Ways to feed memories back to the model, one file each, and the prompt they become part of."""

from collections.abc import Mapping

from aspen.memory_injector.framing import Note, framed, memory_line
from aspen.memory_injector.interface import Prepared, RecallFor, Situation, Strategy, StrategyName
from aspen.memory_injector.note import MemoryNote, write_note
from aspen.memory_injector.prompt import ComposedPrompt, compose_prompt
from aspen.memory_injector.text import WithoutMemory, prepare_text

STRATEGIES: Mapping[StrategyName, Strategy] = {
    StrategyName.NOTE: MemoryNote(),
}
"""Every strategy by its name."""

__all__ = [
    "STRATEGIES",
    "ComposedPrompt",
    "MemoryNote",
    "Note",
    "Prepared",
    "RecallFor",
    "Situation",
    "Strategy",
    "StrategyName",
    "WithoutMemory",
    "compose_prompt",
    "framed",
    "memory_line",
    "prepare_text",
    "write_note",
]
