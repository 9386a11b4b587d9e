import gc
from collections.abc import Iterator, Sequence
from types import FunctionType, ModuleType

import numpy as np
import pytest
from tests.builders import FACTS, NOON
from tests.front_door import NOTE_TOKENS, WHERE, Open, Telling, count, facts

from aspen import Aspen, Config
from aspen.errors import NotFound
from aspen.repository import open_repository
from aspen.resonance_search import keyword
from aspen.testing.fake_model import FakeModel
from aspen.types import FloatArray


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


class Letters:
    """An embedder that counts a to z, and keeps nothing."""

    name = "letters"

    def embed(self, texts: Sequence[str]) -> FloatArray:
        return np.array([[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts], np.float32)


def held(*roots: object) -> Iterator[object]:
    """All that can be reached from `roots`, but for code."""
    seen, left = set(), list(roots)
    while left:
        found = left.pop()
        if id(found) not in seen and not isinstance(found, type | ModuleType | FunctionType):
            seen.add(id(found))
            left += gc.get_referents(found)
            yield found


SECRET = ("zanzibar", "xylophon", "wollongong", "quetzal", "yucatan")


def still_held(aspen: Aspen) -> set[str]:
    """Words of the secret, and "a row for each memory" where an array has one."""
    everything = list(held(aspen, keyword._stem))
    texts = [str(found).lower() for found in everything if isinstance(found, str | bytes)]
    words = {word for word in SECRET if any(word in text for text in texts)}
    rows = any(isinstance(found, np.ndarray) and 31 in found.shape for found in everything)
    return words | ({"a row for each memory"} if rows else set())


def test_nothing_that_was_forgotten_is_held_in_memory(location: str, config: Config) -> None:
    with (
        open_repository(location) as repository,
        Aspen.open(repository, model=FakeModel(), config=config) as first,
        Aspen.open(repository, model=FakeModel(), embedder=Letters(), config=config) as aspen,
    ):
        first.remember_many([{"text": f"Fact number {number}."} for number in range(30)])
        secret = first.remember("Xylophones in Wollongong.", speaker="Quetzal", conversation="Yucatan").id
        aspen.recall("Zanzibar Wollongong", arms=["keyword"])  # before the model is loaded
        aspen.recall("Zanzibar Wollongong")
        assert {"quetzal", "yucatan", "xylophon", "a row for each memory"} <= still_held(aspen)
        aspen.forget(secret)
        assert still_held(aspen) == set()
        assert len(aspen.recall("Fact").hits) == 10
