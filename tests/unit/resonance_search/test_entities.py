"""Spreading over names, on a store in memory."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from tests.builders import NOON

from aspen.repository import InMemoryRepository, KeyStamp, NewMemory
from aspen.resonance_search.arms import Query
from aspen.resonance_search.entities import MOST_MEMORIES, NameActivation, spread_over_names
from aspen.resonance_search.keyword import PromptWords, analyse
from aspen.resonance_search.names import mentions_in, subject_of
from aspen.resonance_search.snapshot import Snapshot
from aspen.types import MemoryItem

GATE, FULL = 0.5, 1.5
"""Weight of an edge from a sentence without a word of the prompt, and from one with all of them."""


def spread(
    texts: Sequence[str], direct: Sequence[float], prompt: str, *, conversations: Sequence[str | None] = ()
) -> NameActivation:
    store = InMemoryRepository()
    store.set_stamp(KeyStamp("model", "a model", "1"))
    new = []
    for number, text in enumerate(texts):
        terms = analyse(text)
        item = MemoryItem(text, conversation=conversations[number] if conversations else None)
        mentions = mentions_in(text, speaker=None, n_terms=len(terms))
        subject = subject_of(text, speaker=None)
        new.append(NewMemory(str(number), item, NOON, 9, terms, b"key", subject=subject, mentions=mentions))
    store.add(new)
    snapshot = Snapshot()
    snapshot.apply(store.changes(0))
    within = snapshot.candidates(conversations[0] if conversations else None)
    words = PromptWords.look_up(prompt, store=store, seqs=within.seqs)
    query = Query(prompt, None, words=words)
    return spread_over_names(store, query=query, candidates=within, direct=np.array(direct, dtype=np.float64))


def test_a_memory_about_what_another_mentions_is_reached_by_its_name() -> None:
    texts = ["The bridge was built by Ada Lind.", "Ada Lind: an engineer from Oslo.", "Rain fell."]
    result = spread(texts, [2, 0, 0], "unrelated words")
    assert result.arrived.tolist() == pytest.approx([0, 2 * GATE, 0])
    assert result.origins == {1: (0, "ada lind")}


def test_the_sentence_that_holds_the_words_of_the_prompt_leads_on() -> None:
    texts = [
        "Ada Lind built the bridge. Later it was painted by Bo Berg.",
        "Ada Lind: an engineer.",
        "Bo Berg: a painter.",
    ]
    result = spread(texts, [1, 0, 0], "built bridge")
    assert result.arrived.tolist() == pytest.approx([0, FULL, GATE])


def test_a_shared_name_joins_weaker_the_more_memories_have_it() -> None:
    texts = ["We saw Oslo.", "In winter Oslo is dark.", "I left Oslo."]
    result = spread(texts, [1, 0, 0], "unrelated words")
    assert result.arrived.tolist() == pytest.approx([0, *[GATE * 0.6 / math.sqrt(2)] * 2])


def test_a_name_of_many_memories_joins_none() -> None:
    few, many = MOST_MEMORIES, MOST_MEMORIES + 1
    for count, reached in ((few, few - 1), (many, 0)):
        result = spread(["We saw Oslo."] * count, [1] + [0] * (count - 1), "x")
        assert len(result.origins) == reached


def test_from_a_title_activation_goes_back_to_who_mentions_it() -> None:
    texts = ["Ada Lind: an engineer.", "The bridge is by Ada Lind."]
    result = spread(texts, [1, 0], "x")
    assert result.arrived[1] == pytest.approx(0.6)
    assert result.origins[1] == (0, "ada lind")


def test_only_what_stands_out_spreads_and_the_strongest_way_counts() -> None:
    texts = ["By Ada Lind.", "By Ada Lind too.", "Ada Lind: an engineer.", "Nothing."]
    result = spread(texts, [3, 1, -1, -1], "x")
    assert result.arrived[2] == pytest.approx(3 * GATE)
    assert result.origins[2][0] == 0
    assert spread(texts, [-1, -1, -1, -1], "x").origins == {}
    assert spread([], [], "x").arrived.tolist() == []


def test_only_memories_of_the_conversation_are_reached() -> None:
    texts = ["By Ada Lind.", "Ada Lind: an engineer.", "Ada Lind: a sailor."]
    result = spread(texts, [1, 0], "x", conversations=["c", "c", "d"])
    assert result.origins == {1: (0, "ada lind")}
