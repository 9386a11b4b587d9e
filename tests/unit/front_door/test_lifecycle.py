from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from tests.builders import FACTS
from tests.front_door import NOTE_TOKENS, WHERE, Open, count, facts

from aspen import Aspen, Config, MemoryItem
from aspen.errors import InvalidInput, ModelMismatch, StoreError
from aspen.repository import InMemoryRepository, open_repository
from aspen.seed_manager import Verdict
from aspen.testing.fake_model import FakeModel


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


def test_a_store_is_there_when_it_is_opened_again(open_aspen: Open, tmp_path: Path) -> None:
    store = tmp_path / "folder" / "store.db"
    store.parent.mkdir()
    with open_aspen(store) as aspen:
        stored = facts(aspen)
        reply = aspen.chat(WHERE, conversation="c", max_tokens=10)
        found = [hit.memory.id for hit in aspen.recall(WHERE, limit=3).hits]
        stored = aspen.repository.get([memory.id for memory in stored])  # the note used some of them
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
    assert [arm.ran for arm in recall.arms][:3] == [False, True, False]
    for write in (lambda: present.remember("new"), lambda: present.chat("new")):
        with pytest.raises(ModelMismatch, match="rekey"):
            write()
    assert present.chat(WHERE, remember=False, note_tokens=NOTE_TOKENS).note is not None
    done: list[int] = []
    assert present.rekey(progress=done.append) == done[-1] == len(FACTS) + len(reply.memories)
    assert all(arm.ran for arm in present.recall(WHERE).arms if arm.name != "heads")  # FakeModel has none
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
