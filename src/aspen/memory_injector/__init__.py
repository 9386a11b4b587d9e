"""Ways to feed memories back to the model, one file each, and the prompt they become part of."""

from collections.abc import Mapping

from aspen.memory_injector.auto import Auto
from aspen.memory_injector.fragments import FragmentMaker, fragments_of
from aspen.memory_injector.framing import Note, framed, memory_line
from aspen.memory_injector.interface import (
    FragmentShelf,
    Prepared,
    ReadsRecording,
    RecallFor,
    Situation,
    Strategy,
    StrategyName,
    TraceMemories,
)
from aspen.memory_injector.kv import CachedNote
from aspen.memory_injector.note import MemoryNote, write_note
from aspen.memory_injector.prompt import ComposedPrompt, compose_prompt
from aspen.memory_injector.reflection import Reflection
from aspen.memory_injector.scaffold import Scaffold
from aspen.memory_injector.seed_replay import SeedReplay
from aspen.memory_injector.summary import PatternSummary
from aspen.memory_injector.text import WithoutMemory, prepare_text
from aspen.memory_injector.two_pass import TwoPass

_BY_NAME: dict[StrategyName, Strategy] = {
    StrategyName.NOTE: MemoryNote(),
    StrategyName.SCAFFOLD: Scaffold(),
    StrategyName.TWO_PASS: TwoPass(),
    StrategyName.REFLECTION: Reflection(),
    StrategyName.SEED_REPLAY: SeedReplay(),
    StrategyName.SUMMARY: PatternSummary(),
    StrategyName.KV: CachedNote(),
}
STRATEGIES: Mapping[StrategyName, Strategy] = {
    **_BY_NAME,
    StrategyName.AUTO: Auto({name.value: strategy for name, strategy in _BY_NAME.items()}),
}
"""Every strategy by its name."""

__all__ = [
    "STRATEGIES",
    "Auto",
    "CachedNote",
    "ComposedPrompt",
    "FragmentMaker",
    "FragmentShelf",
    "MemoryNote",
    "Note",
    "PatternSummary",
    "Prepared",
    "ReadsRecording",
    "RecallFor",
    "Reflection",
    "Scaffold",
    "SeedReplay",
    "Situation",
    "Strategy",
    "StrategyName",
    "TraceMemories",
    "TwoPass",
    "WithoutMemory",
    "compose_prompt",
    "fragments_of",
    "framed",
    "memory_line",
    "prepare_text",
    "write_note",
]
