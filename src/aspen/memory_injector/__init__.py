"""Ways to feed memories back to the model, one file each, and the prompt they become part of."""

from collections.abc import Mapping

from aspen.memory_injector.framing import Note
from aspen.memory_injector.interface import Prepared, RecallFor, Situation, Strategy, StrategyName
from aspen.memory_injector.note import MemoryNote, write_note
from aspen.memory_injector.prompt import ComposedPrompt, compose_prompt
from aspen.memory_injector.reflection import Reflection
from aspen.memory_injector.scaffold import Scaffold
from aspen.memory_injector.text import WithoutMemory
from aspen.memory_injector.two_pass import TwoPass

STRATEGIES: Mapping[StrategyName, Strategy] = {
    StrategyName.NOTE: MemoryNote(),
    StrategyName.SCAFFOLD: Scaffold(),
    StrategyName.TWO_PASS: TwoPass(),
    StrategyName.REFLECTION: Reflection(),
}
"""Every strategy by its name."""

__all__ = [
    "STRATEGIES",
    "ComposedPrompt",
    "MemoryNote",
    "Note",
    "Prepared",
    "RecallFor",
    "Reflection",
    "Scaffold",
    "Situation",
    "Strategy",
    "StrategyName",
    "TwoPass",
    "WithoutMemory",
    "compose_prompt",
    "write_note",
]
