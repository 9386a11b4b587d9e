"""Traces of FakeModel, for tests."""

from __future__ import annotations

from aspen.activation_logger import Recording, build_trace, name_spans, record
from aspen.models.generation import Generation, generate
from aspen.models.interface import LanguageModel
from aspen.testing.fake_model import FakeModel
from aspen.types import Message, Role, SamplerSettings, Trace, TraceLevel

SAMPLER = SamplerSettings(temperature=0.9, top_p=0.95)
MESSAGES = (Message(Role.SYSTEM, "You are kind."), Message(Role.USER, "Where does Mara live?"))


def recorded(
    model: LanguageModel, *, seed: int = 5, max_tokens: int = 24, messages: tuple[Message, ...] = MESSAGES
) -> tuple[Recording, Generation]:
    with record(model) as recording:
        generation = generate(
            model,
            session=model.start_session(),
            prompt_ids=model.apply_chat_template(messages).token_ids,
            settings=SAMPLER,
            seed=seed,
            max_tokens=max_tokens,
        )
    return recording, generation


def traced(
    model: LanguageModel | None = None,
    *,
    seed: int = 5,
    max_tokens: int = 24,
    level: TraceLevel = TraceLevel.FP16,
) -> Trace:
    model = model or FakeModel()
    recording, generation = recorded(model, seed=seed, max_tokens=max_tokens)
    chat = model.apply_chat_template(MESSAGES)
    return build_trace(
        recording,
        generation=generation,
        prompt=chat.text,
        segments=name_spans(chat.spans),
        seed=seed,
        sampler=SAMPLER,
        max_tokens=max_tokens,
        fingerprint=model.fingerprint,
        level=level,
        conversation="c1",
        speaker="assistant",
    )
