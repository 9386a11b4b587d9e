"""Ways to feed memories back to the model, one file each, and the prompt they become part of."""

from collections.abc import Mapping

from aspen.memory_injector.fragments import FragmentMaker, fragments_of
from aspen.memory_injector.framing import Note
from aspen.memory_injector.interface import (
    FragmentShelf,
    Prepared,
    RecallFor,
    Situation,
    Strategy,
    StrategyName,
)
from aspen.memory_injector.kv import CachedNote
from aspen.memory_injector.note import MemoryNote, write_note
from aspen.memory_injector.prompt import ComposedPrompt, compose_prompt
from aspen.memory_injector.text import WithoutMemory

STRATEGIES: Mapping[StrategyName, Strategy] = {
    StrategyName.NOTE: MemoryNote(),
    StrategyName.KV: CachedNote(),
}
"""Every strategy by its name."""

__all__ = [
    "STRATEGIES",
    "CachedNote",
    "ComposedPrompt",
    "FragmentMaker",
    "FragmentShelf",
    "MemoryNote",
    "Note",
    "Prepared",
    "RecallFor",
    "Situation",
    "Strategy",
    "StrategyName",
    "WithoutMemory",
    "compose_prompt",
    "fragments_of",
    "write_note",
]
