import pytest
from tests.builders import FACTS, NOON
from tests.front_door import NOTE_TOKENS, WHERE, Open, Telling, count, facts

from aspen import Aspen
from aspen.errors import NotFound


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
