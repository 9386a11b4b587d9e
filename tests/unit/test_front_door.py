from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.builders import FACTS, NOON

from aspen import Aspen, Config, Memory, MemoryItem, SamplerSettings, TraceLevel
from aspen.errors import (
    InvalidInput,
    ModelMismatch,
    NoChatTemplate,
    NotFound,
    PromptTooLong,
    StoreError,
)
from aspen.memory_injector.note import CLOSING, OPENING
from aspen.models import LanguageModel
from aspen.repository import InMemoryRepository, open_repository
from aspen.seed_manager import Verdict
from aspen.testing.fake_model import FakeModel
from aspen.types import Provenance

WHERE = "Where did my sister move to?"
NOTE_TOKENS = 900  # FakeModel has a token per byte

Open = Callable[..., Aspen]


@pytest.fixture(params=["memory", "file"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return ":memory:" if request.param == "memory" else str(tmp_path / "store.db")


@pytest.fixture
def open_aspen(config: Config) -> Iterator[Open]:
    opened: list[Aspen] = []

    def open_aspen(location: str | Path, *, model: FakeModel | None = None) -> Aspen:
        opened.append(Aspen.open(location, model=model or FakeModel(), config=config))
        return opened[-1]

    yield open_aspen
    for aspen in opened:
        aspen.close()


@pytest.fixture
def aspen(open_aspen: Open, location: str) -> Aspen:
    return open_aspen(location)


def facts(aspen: Aspen) -> list[Memory]:
    return aspen.remember_many(
        [MemoryItem(fact, speaker="Ann", said_at=NOON, conversation="facts") for fact in FACTS]
    )


def count(aspen: Aspen) -> int:
    return aspen.repository.stats().memories


class Telling(FakeModel):
    """Says what it is told to, and keeps the prompts it saw."""

    def __init__(self, reply: str = "Very well.", *, context_length: int = 4096) -> None:
        self.prompts: list[str] = []
        super().__init__(say=self._answer, context_length=context_length)
        self.reply = reply

    def _answer(self, prompt: str) -> str:
        if prompt not in self.prompts:
            self.prompts.append(prompt)
        return self.reply


# Remembering


def test_a_memory_is_what_was_said_and_by_whom(aspen: Aspen) -> None:
    before = datetime.now(UTC)
    memory = aspen.remember(FACTS[0], speaker="Ann", said_at=NOON, conversation="c", source="chat.jsonl:1")
    assert (memory.text, memory.speaker, memory.said_at) == (FACTS[0], "Ann", NOON)
    assert (memory.conversation, memory.source) == ("c", "chat.jsonl:1")
    assert (memory.provenance, memory.trace_id) == (Provenance.SAID, None)
    assert memory.token_count == len(f"Ann: {FACTS[0]}")
    assert before <= memory.created_at <= datetime.now(UTC)
    assert aspen.repository.get([memory.id]) == [memory]


def test_remembering_the_same_again_changes_nothing_and_runs_nothing(open_aspen: Open, location: str) -> None:
    model = FakeModel()
    aspen = open_aspen(location, model=model)
    first = aspen.remember(FACTS[0], speaker="Ann")
    revision, work = aspen.repository.revision(), model.blocks_run
    assert aspen.remember(FACTS[0], speaker="Ann") == first
    assert (aspen.repository.revision(), model.blocks_run) == (revision, work)
    assert aspen.remember(FACTS[0], speaker="Bob").id != first.id


def test_many_come_back_in_the_order_given_repeats_and_mappings_included(aspen: Aspen) -> None:
    known = aspen.remember("b")
    done: list[int] = []
    memories = aspen.remember_many(
        [
            MemoryItem("c"),
            {"text": "a", "said_at": "2026-05-08T12:00:00+00:00"},
            MemoryItem("b"),
            {"text": "c", "provenance": "said"},
        ],
        progress=done.append,
    )
    assert [memory.text for memory in memories] == ["c", "a", "b", "c"]
    assert memories[0] == memories[3]
    assert memories[1].said_at == NOON
    assert memories[2] == known
    assert count(aspen) == 3
    assert done == [2]
    assert aspen.remember_many([]) == []


def test_a_bad_item_stores_nothing_and_is_named(aspen: Aspen) -> None:
    with pytest.raises(InvalidInput, match="^Item 1: ") as caught:  # noqa: RUF043
        aspen.remember_many([MemoryItem("good"), {"text": "bad\0"}])
    assert caught.value.details["position"] == 1
    assert count(aspen) == 0


@pytest.mark.parametrize("text", ["", "  ", "a\0b", "\ud800", "a" * 100_001])
def test_a_text_that_cannot_be_stored_is_refused(aspen: Aspen, text: str) -> None:
    with pytest.raises(InvalidInput):
        aspen.remember(text)
    assert count(aspen) == 0


def test_listing_and_forgetting_do_not_wait_for_the_model(
    config: Config, open_aspen: Open, tmp_path: Path
) -> None:
    store = tmp_path / "store.db"
    memory = open_aspen(store).remember("Rain.")
    elsewhere = replace(config, model=str(tmp_path / "no model here"))
    with Aspen.open(store, config=elsewhere) as aspen:
        assert aspen.repository.list() == [memory]
        assert aspen.remember("Rain.") == memory
        assert aspen.forget(memory.id) == 0
        assert aspen.repository.list() == []


# Recalling


def test_recall_finds_says_how_and_counts(aspen: Aspen) -> None:
    facts(aspen)
    recall = aspen.recall(WHERE, limit=3)
    assert recall.prompt == WHERE
    assert len(recall.hits) == 3
    assert recall.candidates == len(FACTS)
    assert [(arm.name, arm.ran, arm.reason) for arm in recall.arms] == [
        ("activation", True, ""),
        ("keyword", True, ""),
    ]
    assert recall.partial_pass is not None
    assert (recall.partial_pass.depth, recall.partial_pass.n_layers) == (2, 3)
    assert recall.partial_pass.tokens == len(WHERE)
    assert recall.seconds >= recall.partial_pass.seconds > 0
    assert 0 <= recall.familiarity == max(hit.familiarity for hit in recall.hits) <= 1


def test_a_hit_adds_up_and_its_paths_name_memories(aspen: Aspen) -> None:
    ids = {memory.id for memory in facts(aspen)}
    hits = aspen.recall(WHERE).hits
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    for hit in hits:
        assert set(hit.arms) == {"activation", "keyword", "neighbours", "session"}
        assert hit.score == pytest.approx(sum(hit.arms.values()), abs=1e-5)
        for path in hit.paths:
            assert path.memories[-1] == hit.memory.id
            assert set(path.memories) <= ids
            assert path.contribution > 0
    assert any(hit.paths for hit in hits)
    assert all(hit.paths == () for hit in aspen.recall(WHERE, spread=False).hits)


def test_the_keyword_arm_alone_needs_no_forward_pass(open_aspen: Open) -> None:
    model = FakeModel()
    aspen = open_aspen(":memory:", model=model)
    facts(aspen)
    model.blocks_run = 0
    recall = aspen.recall(WHERE, arms=["keyword"])
    assert recall.hits[0].memory.text == FACTS[0]
    assert recall.partial_pass is None
    assert model.blocks_run == 0
    assert recall.familiarity == 0


def test_recall_can_be_narrowed(aspen: Aspen) -> None:
    (first, *_) = facts(aspen)
    other = aspen.remember("My sister moved again.", conversation="other")
    assert [hit.memory for hit in aspen.recall(WHERE, conversation="other").hits] == [other]
    assert first not in [hit.memory for hit in aspen.recall(WHERE, exclude=[first]).hits]
    assert aspen.recall(WHERE, provenances=[Provenance.GENERATED]).hits == ()
    with pytest.raises(NotFound):
        aspen.recall(WHERE, conversation="nowhere")


@pytest.mark.parametrize("limit", [0, -1, 10_001, True, "5"])
def test_a_limit_out_of_range_is_refused(aspen: Aspen, limit: int) -> None:
    with pytest.raises(InvalidInput, match="limit"):
        aspen.recall(WHERE, limit=limit)


def test_an_empty_prompt_and_an_unknown_arm_are_refused(aspen: Aspen) -> None:
    for prompt in ("", " ", "a\0"):
        with pytest.raises(InvalidInput, match="prompt"):
            aspen.recall(prompt)
    with pytest.raises(InvalidInput, match="telepathy"):
        aspen.recall(WHERE, arms=["telepathy"])


def test_nothing_is_recalled_from_an_empty_store(aspen: Aspen) -> None:
    recall = aspen.recall(WHERE)
    assert (recall.hits, recall.candidates, recall.familiarity) == ((), 0, 0.0)


# Chatting


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


# Forgetting


def test_forgetting_takes_every_trace_in_whose_prompt_a_memory_stood(open_aspen: Open, location: str) -> None:
    model = Telling()
    aspen = open_aspen(location, model=model)
    (mara, *_) = facts(aspen)
    noted = aspen.chat(WHERE, conversation="a", note_tokens=NOTE_TOKENS)
    assert noted.note is not None
    assert mara.id in noted.note.memory_ids
    first = aspen.chat("Hm.", conversation="b", memory=False)
    after = aspen.chat("And?", conversation="b", memory=False)
    alone = aspen.chat("Elsewhere.", conversation="c", memory=False)
    assert aspen.forget(mara.id) == 1
    assert {info.id for info in aspen.repository.traces()} == {first.trace_id, after.trace_id, alone.trace_id}
    # The first turn stood in the prompt of the second as history.
    assert aspen.forget(first.memories[0].id) == 2
    assert [info.id for info in aspen.repository.traces()] == [alone.trace_id]
    assert aspen.repository.get([after.memories[0].id])[0].trace_id is None
    assert mara.text not in [hit.memory.text for hit in aspen.recall(mara.text).hits]


def test_forgetting_an_unknown_memory_forgets_nothing(aspen: Aspen) -> None:
    stored = facts(aspen)
    with pytest.raises(NotFound, match="m_unknown"):
        aspen.forget(stored[0].id, "m_unknown")
    assert count(aspen) == len(FACTS)


def test_what_was_forgotten_can_be_remembered_again(aspen: Aspen) -> None:
    (mara, *_) = facts(aspen)
    aspen.forget(mara.id)
    again = aspen.remember(mara.text, speaker="Ann", said_at=NOON, conversation="facts")
    assert again.id == mara.id
    assert again.seq > mara.seq
    assert aspen.recall(mara.text).hits[0].memory == again


# Stores and models


def test_a_store_is_there_when_it_is_opened_again(open_aspen: Open, tmp_path: Path) -> None:
    store = tmp_path / "folder" / "store.db"
    store.parent.mkdir()
    with open_aspen(store) as aspen:
        stored = facts(aspen)
        reply = aspen.chat(WHERE, conversation="c", max_tokens=10)
        found = [hit.memory.id for hit in aspen.recall(WHERE, limit=3).hits]
    again = open_aspen(store)
    assert [hit.memory.id for hit in again.recall(WHERE, limit=3).hits] == found
    assert again.repository.get([memory.id for memory in stored]) == stored
    assert reply.trace_id is not None
    assert again.replay(reply.trace_id).verified


def test_two_that_have_one_store_open_see_what_the_other_does(open_aspen: Open, tmp_path: Path) -> None:
    ours, theirs = (open_aspen(tmp_path / "store.db") for _ in range(2))
    assert ours.recall(WHERE).hits == ()
    (mara, *_) = facts(theirs)
    assert ours.recall(mara.text).hits[0].memory == mara
    ours.chat("Hello.", conversation="c", max_tokens=5)
    assert len(theirs.repository.list(conversation="c")) == 2
    theirs.forget(mara.id)
    assert mara not in [hit.memory for hit in ours.recall(mara.text).hits]


def test_threads_share_one_front_door(aspen: Aspen) -> None:
    def work(number: int) -> int:
        aspen.remember(f"Thread {number} was here.", conversation=f"c{number % 2}")
        return len(aspen.recall("Who was here?").hits)

    with ThreadPoolExecutor(4) as pool:
        assert all(found > 0 for found in pool.map(work, range(8)))
    assert count(aspen) == 8


def test_another_model_may_read_by_words_but_writes_only_after_rekeying(
    open_aspen: Open, tmp_path: Path
) -> None:
    store = tmp_path / "store.db"
    former, present = open_aspen(store), open_aspen(store, model=FakeModel(seed=1))
    facts(former)
    reply = former.chat("Hello.", seed=3, max_tokens=8)
    recall = present.recall(WHERE)
    assert recall.hits[0].memory.text == FACTS[0]
    assert [arm.ran for arm in recall.arms] == [False, True]
    for write in (lambda: present.remember("new"), lambda: present.chat("new")):
        with pytest.raises(ModelMismatch, match="rekey"):
            write()
    assert present.chat(WHERE, remember=False, note_tokens=NOTE_TOKENS).note is not None
    done: list[int] = []
    assert present.rekey(progress=done.append) == done[-1] == len(FACTS) + len(reply.memories)
    assert all(arm.ran for arm in present.recall(WHERE).arms)
    present.remember("new")
    with pytest.raises(ModelMismatch):
        former.remember("newer")
    # The trace is of the former model: the present one says so and does not claim to have verified it.
    assert reply.trace_id is not None
    assert present.replay(reply.trace_id).verdict is Verdict.FINGERPRINT_DIFFERS
    assert former.replay(reply.trace_id).verified


def test_a_store_that_is_rekeyed_while_texts_are_encoded_takes_no_keys_of_the_former_model(
    open_aspen: Open, tmp_path: Path
) -> None:
    store = tmp_path / "store.db"
    former, present = open_aspen(store), open_aspen(store, model=FakeModel(seed=1))
    former.remember("old")

    def rekey_meanwhile(done: int) -> None:
        assert present.rekey() == done == 1

    with pytest.raises(ModelMismatch):
        former.remember_many([MemoryItem("new")], progress=rekey_meanwhile)
    assert [memory.text for memory in present.repository.list()] == ["old"]


def test_any_code_can_be_recorded(aspen: Aspen) -> None:
    model = aspen.model
    with aspen.record() as recording:
        model.start_session().prefill(model.tokenize("Mara"))
    assert recording.hidden_states.shape == (4, 4, 32)
    with aspen.record() as recording:
        reply = aspen.chat("Hello.", remember=False, memory=False)
    assert len(recording.token_ids) == reply.prompt_tokens + reply.reply_tokens - 1


def test_closing_closes_only_what_it_opened(config: Config, tmp_path: Path) -> None:
    mine = InMemoryRepository()
    with Aspen.open(mine, model=FakeModel(), config=config) as aspen:
        aspen.remember("Rain.")
    assert mine.stats().memories == 1
    with Aspen.open(tmp_path / "store.db", model=FakeModel(), config=config) as aspen:
        aspen.remember("Rain.")
    with pytest.raises(StoreError):
        aspen.remember("Rain.")
    with open_repository(tmp_path / "store.db") as reopened:
        assert reopened.stats().memories == 1


def test_slow_steps_are_told(tmp_path: Path) -> None:
    told: list[str] = []
    settings = Config(cache_dir=tmp_path, store=tmp_path / "s.db")
    small = FakeModel(n_layers=1, width=8, n_heads=1, n_kv_heads=1)
    with Aspen.open(":memory:", model=small, config=settings, notify=told.append) as aspen:
        assert told == []
        aspen.remember("Rain.")
    assert any("Calibrating fake-0" in message for message in told)


def test_recall_by_words_alone_loads_no_model(tmp_path: Path, config: Config) -> None:
    with Aspen.open(tmp_path / "store.db", model=FakeModel(), config=config) as aspen:
        aspen.remember(FACTS[0])

    def refuse() -> LanguageModel:
        raise AssertionError("the model was loaded")

    with open_repository(tmp_path / "store.db") as repository:
        aspen = Aspen(repository, load=refuse, config=config)
        recall = aspen.recall("Lisbon Mara", arms=["keyword"])
        assert [hit.memory.text for hit in recall.hits] == [FACTS[0]]
        assert recall.partial_pass is None


@pytest.mark.parametrize(
    "call",
    [
        lambda aspen: aspen.replay(None),
        lambda aspen: aspen.forget(5),
        lambda aspen: aspen.recall("x", conversation=["c"]),
        lambda aspen: aspen.recall("x", arms="keyword"),
        lambda aspen: aspen.remember_many(None),
        lambda aspen: aspen.chat("x", level="pooled"),
        lambda aspen: aspen.chat("x", sampler={"temperature": 0}),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_before_anything_runs(
    open_aspen: Open, call: Callable[[Aspen], object]
) -> None:
    model = FakeModel()
    aspen = open_aspen(":memory:", model=model)
    aspen.remember(FACTS[0])
    before = model.blocks_run
    with pytest.raises(InvalidInput):
        call(aspen)
    assert model.blocks_run == before


def test_a_note_gives_way_to_the_message(open_aspen: Open) -> None:
    aspen = open_aspen(":memory:", model=FakeModel(context_length=700))
    aspen.remember("The weather station runs on a small computer. " * 4)
    message = "Which computer does the weather station run on? " * 7
    reply = aspen.chat(message, note_tokens=600, max_tokens=300)
    assert reply.note is None
    assert reply.recall is not None
    assert reply.memories
