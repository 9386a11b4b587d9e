from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.front_door import NOTE_TOKENS, WHERE, Open, Telling, facts

from aspen import Aspen, Reply, SamplerSettings, Trace
from aspen.activation_db import decode_trace, encode_trace
from aspen.errors import NotFound
from aspen.repository import Repository
from aspen.testing.fake_model import FakeModel
from aspen.types import Message, Pass, Role

HOT = SamplerSettings(temperature=1.0)
ASKED = "How did I fix the flaky test in the billing service?"
AGAIN = "How did I fix the flaky test in the billing service again?"


def first(aspen: Aspen, *, max_tokens: int = 20, system: str | None = None) -> Reply:
    """A turn of another conversation, with memories in its prompt."""
    facts(aspen)
    return aspen.chat(
        ASKED,
        conversation="first",
        seed=3,
        sampler=HOT,
        max_tokens=max_tokens,
        note_tokens=NOTE_TOKENS,
        system=system,
    )


def gone_on(
    aspen: Aspen, message: str = AGAIN, *, conversation: str = "later", system: str | None = None
) -> Reply:
    return aspen.chat(
        message,
        conversation=conversation,
        strategy="seed_replay",
        seed=5,  # an empty reply, which others have, is no segment
        sampler=HOT,
        max_tokens=16,
        note_tokens=NOTE_TOKENS,
        system=system,
    )


def trace_of(aspen: Aspen, reply: Reply) -> Trace:
    assert reply.trace_id is not None
    return aspen.trace(reply.trace_id)


def why_not(reply: Reply) -> str:
    """Why the note was taken instead."""
    assert reply.injection is not None
    assert (reply.injection.strategy, reply.injection.asked) == ("note", "seed_replay")
    assert reply.injection.trace_ids == ()
    return reply.injection.reason


@pytest.mark.parametrize("max_tokens", [1, 3, 200])  # cut off, and ended by a stop token
def test_it_goes_on_from_the_state_and_replays_by_itself(aspen: Aspen, max_tokens: int) -> None:
    old = first(aspen, max_tokens=max_tokens)
    reply = gone_on(aspen)
    was, now = trace_of(aspen, old), trace_of(aspen, reply)
    assert was.finish_reason == ("stop" if max_tokens == 200 else "length")
    np.testing.assert_array_equal(now.token_ids[: len(was.token_ids)], was.token_ids)
    fed = len(was.token_ids) - 1
    assert now.state_digests[:, :fed].tolist() == was.state_digests.tolist()
    steps = fed - was.prompt_length
    assert now.passes[:-1] == (*was.passes, *[Pass(1)] * steps)
    assert sum(one.tokens for one in now.passes) == now.prompt_length
    report = aspen.replay(now.id)
    assert report.verified, report.explain()


def test_what_comes_behind_is_what_the_template_writes(aspen: Aspen) -> None:
    old = first(aspen, max_tokens=200)
    was, now = trace_of(aspen, old), trace_of(aspen, gone_on(aspen))
    assert now.prompt == was.prompt + was.reply + (
        f"<|im_end|>\n<|im_start|>user\n{AGAIN}<|im_end|>\n<|im_start|>assistant\n"
    )
    assert [segment.name for segment in now.segments] == [
        "sink",
        "replay",
        "template",
        "user",
        "template",
        "reply",
    ]


def test_the_whole_prompt_is_the_conversation_as_the_template_renders_it(aspen: Aspen) -> None:
    old = aspen.chat(ASKED, conversation="bare", seed=3, sampler=HOT, memory=False)
    assert old.finish_reason == "stop"
    now = trace_of(aspen, gone_on(aspen))
    turns = [Message(Role.USER, ASKED), Message(Role.ASSISTANT, old.text), Message(Role.USER, AGAIN)]
    rendered = FakeModel().apply_chat_template(turns)
    np.testing.assert_array_equal(now.token_ids[: now.prompt_length], rendered.token_ids)
    assert now.prompt == rendered.text


def test_a_replay_of_a_replay_is_verified_too(aspen: Aspen) -> None:
    old = first(aspen)
    second = gone_on(aspen)
    third = gone_on(aspen, f"{AGAIN} Please.", conversation="last")
    assert second.injection is not None
    assert third.injection is not None
    assert second.injection.trace_ids == (old.trace_id,)
    assert third.injection.trace_ids in ((second.trace_id,), (old.trace_id,))
    for reply in (old, second, third):
        assert reply.trace_id is not None
        assert aspen.replay(reply.trace_id).verified


def test_it_names_all_whose_text_stands_in_the_prompt(aspen: Aspen) -> None:
    old = first(aspen)
    reply = gone_on(aspen)
    assert reply.injection is not None
    assert old.injection is not None
    assert reply.injection.strategy == reply.injection.asked == "seed_replay"
    assert reply.injection.trace_ids == (old.trace_id,)
    assert set(reply.injection.memory_ids) == {*old.injection.memory_ids, *(m.id for m in old.memories)}
    assert len(old.injection.memory_ids) > 0
    assert reply.note is None
    assert reply.injection.figures["replayed_tokens"] == reply.injection.tokens > 0


def test_forgetting_what_stood_in_the_old_prompt_forgets_both_traces(aspen: Aspen) -> None:
    old = first(aspen)
    reply = gone_on(aspen)
    assert old.injection is not None
    assert aspen.forget(old.injection.memory_ids[0]) == 2
    for one in (old, reply):
        with pytest.raises(NotFound):
            trace_of(aspen, one)
    assert "comes from a trace" in why_not(gone_on(aspen, conversation="after"))


def test_this_conversation_stands_behind_the_state(aspen: Aspen) -> None:
    first(aspen)
    said = aspen.chat("Good morning to you.", conversation="later", memory=False, max_tokens=8)
    reply = gone_on(aspen)
    now = trace_of(aspen, reply)
    prompt = now.prompt
    assert prompt.index(ASKED) < prompt.index("Good morning") < prompt.index(said.text) < prompt.index(AGAIN)
    assert aspen.replay(now.id).verified
    assert aspen.forget(said.memories[0].id) >= 2


@pytest.mark.parametrize("kept", [True, False])
def test_a_prompt_with_kv_fragments_is_gone_on_from(
    aspen: Aspen, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are kept are put again; those that are not are made again from the text."""
    facts(aspen)
    old = aspen.chat(
        ASKED, conversation="first", strategy="kv", seed=3, max_tokens=20, note_tokens=NOTE_TOKENS
    )
    was = trace_of(aspen, old)
    assert any(one.fragment for one in was.passes)
    if not kept:
        monkeypatch.setattr(type(aspen.engine), "fragments", lambda self, places: {})
    reply = gone_on(aspen)
    assert reply.injection is not None
    assert reply.injection.trace_ids == (old.trace_id,), reply.injection.reason
    now = trace_of(aspen, reply)
    assert now.passes[: len(was.passes)] == was.passes
    assert aspen.replay(now.id).verified


def test_a_turn_that_is_not_remembered_is_verified_as_well(aspen: Aspen) -> None:
    old = first(aspen)
    reply = aspen.chat(AGAIN, strategy="seed_replay", note_tokens=NOTE_TOKENS, remember=False, max_tokens=4)
    assert reply.injection is not None
    assert reply.injection.trace_ids == (old.trace_id,)
    assert "verified" in reply.injection.reason
    assert reply.trace_id is None


# -- where it cannot be done, the note says why ----------------------------------------------------------------


def test_nothing_that_was_recalled_has_a_trace(aspen: Aspen) -> None:
    facts(aspen)
    reply = gone_on(aspen, WHERE)
    assert why_not(reply) == "nothing that was recalled comes from a trace"
    assert reply.note is not None


def test_no_tokens_are_left_to_memories(aspen: Aspen) -> None:
    first(aspen)
    reply = aspen.chat(AGAIN, strategy="seed_replay", note_tokens=0, max_tokens=4)
    assert why_not(reply) == "no tokens are left to memories"
    assert reply.note is None


def test_another_fingerprint_is_named(open_aspen: Open, tmp_path: object) -> None:
    location = f"{tmp_path}/store.db"
    with open_aspen(location) as aspen:
        first(aspen)
    other = FakeModel()
    other.__dict__["fingerprint"] = replace(other.fingerprint, threads=8)
    reply = gone_on(open_aspen(location, model=other))
    assert why_not(reply).endswith(
        "cannot be run again: fingerprint differs: threads was 1, is 8 (set ASPEN_THREADS=1 to replay it)"
    )


class Altered:
    """A repository whose traces were tampered with, or are forgotten when they are asked for."""

    def __init__(self, repository: Repository, alter: object) -> None:
        self._repository, self._alter = repository, alter

    def __getattr__(self, name: str) -> object:
        return getattr(self._repository, name)

    def trace(self, trace_id: str) -> bytes:
        if not callable(self._alter):
            raise NotFound("There is no trace.")
        return encode_trace(self._alter(decode_trace(self._repository.trace(trace_id))))


def altered(aspen: Aspen, alter: object) -> None:
    engine = aspen.engine
    aspen._engine = replace(engine, repository=Altered(engine.repository, alter))  # type: ignore[arg-type]


def test_a_token_that_differs_is_named_and_nothing_of_it_stays(aspen: Aspen) -> None:
    old = first(aspen)
    was = trace_of(aspen, old)
    at = was.prompt_length + 1

    def other_token(trace: Trace) -> Trace:
        ids = trace.token_ids.copy()
        ids[at] ^= 1
        return replace(trace, token_ids=ids)

    altered(aspen, other_token)
    reply = gone_on(aspen)
    assert f"tokens differ first at position {at}" in why_not(reply)
    now = trace_of(aspen, reply)
    assert now.passes == (Pass(now.prompt_length),)
    assert aspen.replay(now.id).verified


def test_an_activation_that_differs_is_named_by_layer_and_token(aspen: Aspen) -> None:
    first(aspen)

    def other_bit(trace: Trace) -> Trace:
        digests = trace.state_digests.copy()
        digests[2, 7] ^= 1
        return replace(trace, state_digests=digests, digest="0" * 64)

    altered(aspen, other_bit)
    reply = gone_on(aspen)
    assert "first at token 7" in why_not(reply)
    assert "layer 2" in why_not(reply)
    assert aspen.replay(trace_of(aspen, reply).id).verified


def test_a_trace_that_was_forgotten_meanwhile(aspen: Aspen) -> None:
    old = first(aspen)
    altered(aspen, None)
    assert why_not(gone_on(aspen)) == f"the trace {old.trace_id} was forgotten meanwhile"


def test_fragments_that_are_gone_and_come_out_otherwise_are_named(aspen: Aspen) -> None:
    first(aspen)

    def put_together(trace: Trace) -> Trace:
        return replace(trace, passes=(Pass(4, "f" * 64), Pass(trace.prompt_length - 4)))

    altered(aspen, put_together)
    reason = why_not(gone_on(aspen))
    assert "cannot be run again: The KV fragment ffffffffffff... that the trace" in reason
    assert "comes out otherwise" in reason


def test_what_was_corrected_since_is_not_gone_on_from(aspen: Aspen) -> None:
    old = first(aspen)
    assert old.injection is not None
    aspen.correct(old.injection.memory_ids[0], "She moved on to Porto.")
    assert "was corrected since" in why_not(gone_on(aspen))


def test_a_system_prompt_that_the_trace_does_not_have(aspen: Aspen) -> None:
    first(aspen, system="Answer like a pirate.")
    assert "does not have this system prompt" in why_not(gone_on(aspen, system="Answer in rhyme."))
    reply = gone_on(aspen, system="Answer like a pirate.", conversation="arr")
    assert reply.injection is not None
    assert reply.injection.strategy == "seed_replay"


def test_a_trace_that_is_too_long_for_the_context(open_aspen: Open, location: str) -> None:
    aspen = open_aspen(location, model=Telling("Pin the clock. " * 20, context_length=700))
    aspen.chat(ASKED, conversation="first", seed=3, max_tokens=330, note_tokens=0)
    reply = aspen.chat(AGAIN, conversation="later", strategy="seed_replay", max_tokens=300)
    assert "is too long to go on from" in why_not(reply)


def test_a_template_that_lets_nothing_follow_a_reply(open_aspen: Open, location: str) -> None:
    class Once(FakeModel):
        """Its template writes how long the reply was, behind it."""

        def apply_chat_template(self, messages: list[Message]) -> object:  # type: ignore[override]
            counted = [
                Message(Role.USER, f"{len(messages[i - 1].content)} {one.content}") if i == 2 else one
                for i, one in enumerate(messages)
            ]
            return super().apply_chat_template(counted)

    aspen = open_aspen(location, model=Once())
    aspen.chat(ASKED, conversation="first", seed=3, max_tokens=10, note_tokens=0)
    reply = aspen.chat(
        AGAIN, conversation="later", strategy="seed_replay", max_tokens=4, note_tokens=NOTE_TOKENS
    )
    assert "depend on the reply" in why_not(reply)
