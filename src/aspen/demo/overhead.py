"""What recording costs, measured on the spot."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from aspen.activation_logger import record
from aspen.models import LanguageModel, generate
from aspen.types import Message, Role, SamplerSettings

_PROMPT = "Tell me a long story about a lighthouse."
_TOKENS = 24
_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens per second of decoding with recording on and off: the best of a few rounds, taken in turns."""

    on: float
    off: float


def measure_recording(model: LanguageModel) -> Speed:
    """Generate the same short text with and without recording, in turns, and take the better of each."""
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(_ROUNDS):
        for recorded in (False, True):
            seconds[recorded].append(_seconds_per_token(model, recorded=recorded))
    return Speed(on=1 / min(seconds[True]), off=1 / min(seconds[False]))


def _seconds_per_token(model: LanguageModel, *, recorded: bool) -> float:
    prompt = model.apply_chat_template([Message(Role.USER, _PROMPT)])
    context: AbstractContextManager[object] = record(model) if recorded else nullcontext()
    with context:
        generation = generate(
            model,
            session=model.start_session(),
            prompt_ids=prompt.token_ids,
            settings=SamplerSettings(temperature=0.0),
            seed=0,
            max_tokens=_TOKENS,
        )
    return generation.decode_seconds / max(len(generation.token_ids) - 1, 1)
