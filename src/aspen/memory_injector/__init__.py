"""Ways to feed memories back to the model, one file each, and the prompt they become part of."""

from aspen.memory_injector.note import Note, write_note
from aspen.memory_injector.prompt import ComposedPrompt, compose_prompt

__all__ = ["ComposedPrompt", "Note", "compose_prompt", "write_note"]
