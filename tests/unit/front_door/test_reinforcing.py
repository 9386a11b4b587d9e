"""Memories that are used together, at the front door."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from tests.front_door import Open, Telling, related

from aspen import Aspen, Config, MemoryItem
from aspen.errors import InvalidInput, NotFound
from aspen.types import LinkChange, RelationType


def weights(changes: tuple[LinkChange, ...]) -> dict[tuple[str, str], float]:
    return {(change.source, change.target): change.after for change in changes}


def test_memories_that_are_used_together_are_linked(aspen: Aspen) -> None:
    ids = related(aspen)
    used = [ids["spring"], ids["belief"]]
    foreseen = aspen.reinforce(used, dry_run=True)
    assert aspen.repository.get(used)[0].access_count == 0
    assert aspen.reinforce(used) == foreseen
    assert weights(foreseen) == {tuple(used): 0.05, tuple(used[::-1]): 0.05}
    memory = aspen.repository.get(used)[0]
    assert memory.access_count == 1
    assert memory.accessed_at is not None
    linked = [one for one in aspen.relations(used[0]) if one.type is RelationType.CO_ACTIVATED]
    assert {(one.source, one.target, one.weight) for one in linked} == {
        (*used, 0.05),
        (*used[::-1], 0.05),
    }


def test_what_was_recalled_and_stored_again_makes_no_links(aspen: Aspen) -> None:
    first = aspen.remember("A.")
    second = aspen.remember("B.", provenance="recalled")
    assert aspen.reinforce([first.id, second.id]) == ()
    assert [memory.access_count for memory in aspen.repository.get([first.id, second.id])] == [1, 1]


def test_a_chat_reinforces_what_its_note_used(open_aspen: Open, config: Config) -> None:
    def talk(reinforce: Callable[[Aspen], None]) -> Aspen:
        aspen = open_aspen(":memory:", model=Telling())
        aspen.remember_many(
            [
                MemoryItem("My sister Mara lives in Lisbon.", "user"),
                MemoryItem("My sister Mara has two cats.", "user"),
            ]
        )
        reinforce(aspen)
        reply = aspen.chat("Tell me about my sister Mara.", note_tokens=900, max_tokens=5)
        assert reply.note is not None
        assert len(reply.note.memory_ids) == 2
        return aspen

    def count(aspen: Aspen) -> list[int]:
        return [memory.access_count for memory in aspen.repository.list() if "Mara" in memory.text][-2:]

    assert count(talk(lambda aspen: None)) == [1, 1]

    def switch_off(aspen: Aspen) -> None:
        aspen.config = type(config)(config.cache_dir, config.store, reinforce=False)

    assert count(talk(switch_off)) == [0, 0]


@pytest.mark.parametrize("activation", [0.0, 1.1, float("nan"), "1", None, True])
def test_an_activation_that_cannot_be_is_refused(aspen: Aspen, activation: Any) -> None:
    ids = related(aspen)
    with pytest.raises(InvalidInput, match=r"\(0, 1\]"):
        aspen.reinforce({ids["spring"]: activation})
    assert aspen.repository.get([ids["spring"]])[0].access_count == 0


def test_a_use_that_cannot_be_is_refused(aspen: Aspen) -> None:
    with pytest.raises(InvalidInput, match="used"):
        aspen.reinforce("abc")
    with pytest.raises(NotFound, match="m_nowhere"):
        aspen.reinforce(["m_nowhere"])


@pytest.mark.slow
def test_ten_thousand_uses_of_one_topic_push_nothing_else_out_of_a_recall(open_aspen: Open) -> None:
    """Five topics of six memories, used alike; then the first ten thousand times, now and then with another one."""
    aspen, chance = open_aspen(":memory:"), random.Random(7)
    topics = ["harvest", "lighthouse", "orchestra", "glacier", "bakery"]
    ids: dict[str, list[str]] = {}
    for topic in topics:
        told = [MemoryItem(f"Day {n}, we went to the {topic}.", source=topic) for n in range(6)]
        ids[topic] = [memory.id for memory in aspen.remember_many(told)]
    for _ in range(20):
        for own in ids.values():
            aspen.reinforce(chance.sample(own, 3))

    def found() -> dict[str, list[str | None]]:
        """The topics of the first five hits."""
        return {
            topic: [hit.memory.source for hit in aspen.recall(f"Who went to the {topic}?", limit=5).hits]
            for topic in topics
        }

    before = found()
    assert before == {topic: [topic] * 5 for topic in topics}
    favourite, *others = ids.values()
    for number in range(10_000):
        used = chance.sample(favourite, 3)
        if number % 50 == 0:
            used[0] = chance.choice(chance.choice(others))
        aspen.reinforce(used)
    assert found() == before
    uses = {topic: sum(one.access_count for one in aspen.repository.get(own)) for topic, own in ids.items()}
    assert uses["harvest"] > 100 * max(uses[topic] for topic in topics[1:])
    assert aspen.repository.changes(0).edges.weights.max() <= 0.5
