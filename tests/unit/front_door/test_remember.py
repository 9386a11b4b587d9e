from datetime import UTC, datetime

import pytest
from tests.builders import FACTS, NOON
from tests.front_door import Open, count

from aspen import Aspen, MemoryItem
from aspen.errors import InvalidInput
from aspen.testing.fake_model import FakeModel
from aspen.types import Provenance


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


def test_a_string_is_no_collection_of_tags(aspen: Aspen) -> None:
    with pytest.raises(InvalidInput, match="tags must be a list"):
        aspen.remember("A sculpture.", tags="art")
    assert aspen.repository.list() == []
