import pytest
from tests.builders import FACTS
from tests.front_door import NOTE_TOKENS, WHERE, Open, Telling, count, facts

from aspen import Aspen, SamplerSettings, TraceLevel
from aspen.errors import InvalidInput, NoChatTemplate, NotFound, PromptTooLong
from aspen.memory_injector.framing import CLOSING, OPENING
from aspen.seed_manager import Verdict
from aspen.testing.fake_model import FakeModel
from aspen.types import Provenance


def test_a_turn_becomes_two_memories_with_its_trace_and_the_edges_between(aspen: Aspen) -> None:
    earlier = aspen.remember("Hello.", conversation="c")
    reply = aspen.chat("How are you?", conversation="c", seed=7, max_tokens=20)
    said, answered = reply.memories
    assert (said.text, said.speaker, said.provenance) == ("How are you?", "user", Provenance.SAID)
    assert (answered.text, answered.speaker) == (reply.text, "assistant")
    assert answered.provenance is Provenance.GENERATED
    assert said.conversation == answered.conversation == "c"
    assert said.trace_id == answered.trace_id == reply.trace_id
    assert said.said_at is not None
    assert answered.said_at is not None
    assert said.said_at <= answered.said_at
    edges = aspen.repository.out_edges([earlier.seq, said.seq], fan=10)
    assert edges.targets.tolist() == [said.seq, answered.seq]
    assert set(edges.types) == {"next"}
    assert count(aspen) == 3


def test_a_reply_tells_what_went_into_it(open_aspen: Open, location: str) -> None:
    model = Telling("She moved to Lisbon.")
    aspen = open_aspen(location, model=model)
    facts(aspen)
    pieces: list[str] = []
    reply = aspen.chat(WHERE, conversation="c", seed=7, note_tokens=NOTE_TOKENS, on_text=pieces.append)
    assert reply.text == "".join(pieces) == "She moved to Lisbon."
    assert (reply.seed, reply.conversation, reply.finish_reason) == (7, "c", "stop")
    assert reply.reply_tokens == len(reply.text) + 1  # and the stop token
    assert reply.dropped_history == 0
    assert reply.prefill_seconds > 0
    assert reply.decode_seconds > 0
    assert reply.recall is not None
    assert reply.recall.hits[0].memory.text == FACTS[0]
    assert reply.note is not None
    assert reply.recall.hits[0].memory.id in reply.note.memory_ids
    assert 0 < reply.note.tokens <= NOTE_TOKENS
    (prompt,) = model.prompts
    assert reply.note.text in prompt
    assert prompt.index(OPENING) < prompt.index(FACTS[0]) < prompt.index(CLOSING) < prompt.index(WHERE)


def test_the_trace_keeps_what_happened(aspen: Aspen) -> None:
    facts(aspen)
    sampler = SamplerSettings(temperature=0.9, top_p=0.95)
    reply = aspen.chat(
        WHERE, seed=7, sampler=sampler, max_tokens=12, note_tokens=NOTE_TOKENS, level=TraceLevel.FP16
    )
    assert reply.trace_id is not None
    trace = aspen.trace(reply.trace_id)
    assert (trace.seed, trace.sampler, trace.max_tokens) == (7, sampler, 12)
    assert (trace.reply, trace.finish_reason) == (reply.text, reply.finish_reason)
    assert (trace.conversation, trace.speaker) == ("default", "assistant")
    assert len(trace.token_ids) == reply.prompt_tokens + reply.reply_tokens
    assert {segment.name for segment in trace.segments} >= {"note", "user", "reply"}
    assert trace.hidden_states is not None
    assert trace.hidden_states.shape == (4, len(trace.token_ids) - 1, 32)
    (info,) = aspen.repository.traces()
    assert (info.id, info.seed, info.level) == (reply.trace_id, 7, "fp16")
    with pytest.raises(NotFound):
        aspen.trace("t_unknown")


@pytest.mark.parametrize("level", TraceLevel)
def test_a_turn_replays_bit_for_bit(aspen: Aspen, level: TraceLevel) -> None:
    facts(aspen)
    aspen.chat("Hello.", seed=1, max_tokens=10)
    reply = aspen.chat(
        WHERE, level=level, max_tokens=16, sampler=SamplerSettings(temperature=1.0), note_tokens=NOTE_TOKENS
    )
    assert reply.trace_id is not None
    report = aspen.replay(reply.trace_id)
    assert report.verdict is Verdict.VERIFIED, report.explain()
    assert (report.seed, report.reply) == (reply.seed, reply.text)


def test_the_same_seed_says_the_same_and_without_one_each_turn_draws_its_own(aspen: Aspen) -> None:
    sampler = SamplerSettings(temperature=1.5, top_p=1.0)

    def ask(seed: int | None) -> tuple[int, str]:
        reply = aspen.chat("Tell me.", seed=seed, sampler=sampler, memory=False, remember=False)
        return reply.seed, reply.text

    assert ask(5) == ask(5)
    assert len({ask(None)[0] for _ in range(3)}) == 3
    assert ask(5)[1] != ask(6)[1]


def test_the_conversation_so_far_stands_in_the_prompt_and_not_in_the_note(
    open_aspen: Open, location: str
) -> None:
    model = Telling("Noted.")
    aspen = open_aspen(location, model=model)
    facts(aspen)
    aspen.chat("My sister moved to Porto now.", conversation="c", note_tokens=NOTE_TOKENS)
    aspen.chat("Nothing of this.", conversation="other", note_tokens=NOTE_TOKENS)
    reply = aspen.chat(WHERE, conversation="c", note_tokens=NOTE_TOKENS)
    prompt = model.prompts[-1]
    assert prompt.count("My sister moved to Porto now.") == 1
    assert prompt.index("Porto") > prompt.index(CLOSING)
    assert prompt.index("Porto") < prompt.index("Noted.") < prompt.index(WHERE)
    assert "Nothing of this." not in prompt
    assert reply.note is not None


def test_what_the_model_said_itself_comes_back_in_no_note(open_aspen: Open, location: str) -> None:
    model = Telling("Your sister Mara moved to Atlantis.")
    aspen = open_aspen(location, model=model)
    facts(aspen)
    aspen.chat(WHERE, conversation="before", note_tokens=NOTE_TOKENS)
    reply = aspen.chat(WHERE, conversation="now", note_tokens=NOTE_TOKENS)
    assert "Atlantis" not in model.prompts[-1]
    assert reply.recall is not None
    assert all(hit.memory.provenance is not Provenance.GENERATED for hit in reply.recall.hits)


def test_without_memory_nothing_is_recalled_and_without_remember_nothing_is_stored(
    open_aspen: Open, location: str
) -> None:
    model = Telling()
    aspen = open_aspen(location, model=model)
    facts(aspen)
    revision = aspen.repository.revision()
    alone = aspen.chat(WHERE, memory=False, remember=False, note_tokens=NOTE_TOKENS)
    assert (alone.recall, alone.note, alone.trace_id, alone.memories) == (None, None, None, ())
    assert OPENING not in model.prompts[0]
    reminded = aspen.chat(WHERE, remember=False, note_tokens=NOTE_TOKENS)
    assert reminded.note is not None
    assert (reminded.trace_id, reminded.memories) == (None, ())
    assert (aspen.repository.revision(), count(aspen)) == (revision, len(FACTS))
    stored = aspen.chat(WHERE, memory=False)
    assert (stored.note, len(stored.memories)) == (None, 2)


def test_no_room_for_a_note_is_no_note(aspen: Aspen) -> None:
    facts(aspen)
    reply = aspen.chat(WHERE, note_tokens=0, remember=False)
    assert reply.note is None
    assert reply.recall is not None


def test_history_that_does_not_fit_is_left_out_and_told(open_aspen: Open) -> None:
    model = Telling("Yes.", context_length=300)
    aspen = open_aspen(":memory:", model=model)
    dropped = [aspen.chat(f"{n} " * 20, memory=False, max_tokens=8).dropped_history for n in range(6)]
    assert dropped == [0, 0, 0, 0, 2, 4]
    assert model.prompts[-1].count("<|im_start|>user") == 4
    assert "5 5 5" in model.prompts[-1]
    assert "0 0 0" not in model.prompts[-1]


def test_a_message_that_does_not_fit_stores_nothing(open_aspen: Open) -> None:
    aspen = open_aspen(":memory:", model=FakeModel(context_length=512))
    with pytest.raises(PromptTooLong):
        aspen.chat("word " * 200)
    assert count(aspen) == 0


@pytest.mark.parametrize(
    "bad",
    [
        {"message": ""},
        {"message": "a\0"},
        {"conversation": ""},
        {"conversation": "a\nb"},
        {"seed": -1},
        {"seed": 1.5},
        {"max_tokens": 0},
        {"note_tokens": -1},
        {"system": ""},
        {"sampler": SamplerSettings(temperature=-1)},
    ],
)
def test_a_bad_argument_is_refused_and_nothing_is_stored(aspen: Aspen, bad: dict[str, object]) -> None:
    arguments: dict[str, object] = {"message": "Hello.", **bad}
    with pytest.raises(InvalidInput):
        aspen.chat(**arguments)  # type: ignore[arg-type]
    assert count(aspen) == 0
    assert aspen.repository.traces() == []


@pytest.mark.parametrize("silence", ["", " \n"])
def test_an_answer_without_a_word_is_no_memory(open_aspen: Open, location: str, silence: str) -> None:
    aspen = open_aspen(location, model=Telling(silence))
    reply = aspen.chat("Hello?")
    assert [memory.text for memory in reply.memories] == ["Hello?"]
    assert reply.trace_id is not None
    assert aspen.replay(reply.trace_id).verified


def test_control_characters_in_an_answer_are_shown_but_not_stored(open_aspen: Open, location: str) -> None:
    aspen = open_aspen(location, model=Telling("Bell\x07 rings."))
    reply = aspen.chat("Hello?")
    assert reply.text == "Bell\x07 rings."
    assert reply.memories[1].text == "Bell rings."


def test_a_model_without_a_chat_template_can_remember_and_recall_but_not_chat(open_aspen: Open) -> None:
    aspen = open_aspen(":memory:", model=FakeModel(chat_template=False))
    facts(aspen)
    assert aspen.recall(WHERE).hits
    with pytest.raises(NoChatTemplate):
        aspen.chat(WHERE)
    assert count(aspen) == len(FACTS)


def test_the_only_memory_there_is_reaches_the_note(open_aspen: Open) -> None:
    aspen = open_aspen(":memory:")
    aspen.remember(FACTS[0])
    assert aspen.chat(WHERE, note_tokens=NOTE_TOKENS).note is not None


def test_asking_again_elsewhere_still_notes_the_fact_and_not_the_question(open_aspen: Open) -> None:
    aspen = open_aspen(":memory:")
    facts(aspen)
    for conversation in ("c1", "c2", "c3"):
        note = aspen.chat(WHERE, conversation=conversation, note_tokens=NOTE_TOKENS, max_tokens=8).note
        assert note is not None
        assert FACTS[0] in note.text


def test_a_note_gives_way_to_the_message(open_aspen: Open) -> None:
    aspen = open_aspen(":memory:", model=FakeModel(context_length=700))
    aspen.remember("The weather station runs on a small computer. " * 4)
    message = "Which computer does the weather station run on? " * 7
    reply = aspen.chat(message, note_tokens=600, max_tokens=300)
    assert reply.note is None
    assert reply.recall is not None
    assert reply.memories
