import numpy as np
import pytest
from tests.builders import drawn, query, remember
from tests.searching import Start

from aspen.activation_db import KeyCode, KeyRecipe, KeySpace
from aspen.activation_db.moments import Moments
from aspen.repository import InMemoryRepository, Postings
from aspen.resonance_search.familiarity import LOOKED_AT, StoredKeys, familiarity, word_shares
from aspen.resonance_search.keyword import CHUNK, PromptWords
from aspen.types import FloatArray

SEQS = np.array([1, 2, 3, 4])
LENGTHS = np.array([6, 6, 6, 6], dtype=np.int32)


def posting(*seqs: int, positions: tuple[int, ...] | None = None) -> Postings:
    places = range(len(seqs)) if positions is None else positions
    return Postings(np.array(seqs, dtype=np.int64), np.array(places, dtype=np.int32))


def column(*values: float) -> FloatArray:
    return np.array(values, dtype=np.float32)


# Words


def test_the_share_of_words_counts_each_by_how_rare_it_is_in_the_store() -> None:
    # Neither stands in the text that ships with Aspen, so that only the store tells them apart.
    common, rare, nowhere = posting(1, 1, 2, 3, 9), posting(2), posting()
    words = PromptWords((1, 1, 3), (common, rare, nowhere), SEQS)
    shares = word_shares("zyxa zyxb zyxc zyxc zyxc", words, lengths=LENGTHS)
    assert shares.dtype == np.float32
    assert shares[3] == 0
    assert shares[0] == shares[2]
    assert 0 < shares[0] < 0.33 < shares[1] < 0.66


def test_a_word_of_everyday_counts_less_than_a_rare_one_also_in_a_store_of_few_memories() -> None:
    words = PromptWords((1, 1), (posting(1), posting(2)), SEQS)
    everyday, rare, *_ = word_shares("year zyxa", words, lengths=LENGTHS)
    assert 0 < everyday < 0.8 * rare
    assert everyday + rare == pytest.approx(1)


def test_words_must_stand_in_one_chunk_of_a_long_memory() -> None:
    lengths = np.array([3 * CHUNK, CHUNK, 1, 1], dtype=np.int32)
    first = posting(1, 2, positions=(0, 0))
    second = posting(1, 2, positions=(2 * CHUNK, CHUNK - 1))
    apart, together, *_ = word_shares(
        "zyxa zyxb", PromptWords((1, 1), (first, second), SEQS), lengths=lengths
    )
    assert apart == pytest.approx(0.5)
    assert together == pytest.approx(1)


def test_without_words_or_memories_there_are_no_shares() -> None:
    assert word_shares("the", PromptWords((), (), SEQS), lengths=LENGTHS).tolist() == [0, 0, 0, 0]
    assert word_shares("zyxa", PromptWords((1,), (posting(1),), SEQS[:0]), lengths=LENGTHS[:0]).tolist() == []


# Cosines


def test_stored_keys_are_compared_in_the_space_whitened_by_the_calibration() -> None:
    pooled = drawn(900, 2, 12) * np.geomspace(30, 3, 12).astype(np.float32) + 3
    recipe = KeyRecipe(layers=(0, 2), dims=(12, 12), width=12)
    moments, offset = Moments.of(pooled), drawn(2, 12, seed=1)
    code = KeyCode.fit(moments, recipe=recipe)
    bodies = np.stack([np.frombuffer(code.encode(one), dtype=np.uint8) for one in pooled[:40]])
    keys = StoredKeys(code, prompt_offset=offset)
    keys.append(bodies[:0, :0])  # of a store without keys
    keys.append(bodies[:25])
    keys.append(bodies[25:])
    rows = np.array([3, 30, 39])
    prompt = pooled[30] + offset
    cosines = keys.cosines(prompt, rows=rows)
    space = KeySpace.fit(moments, prompt_offset=offset, recipe=recipe)
    layers = zip(space.memory_keys(code.decode(bodies[rows])), space.prompt_keys(prompt[None]), strict=True)
    expected = np.mean([memories @ asked[0] for memories, asked in layers], axis=0)
    assert cosines == pytest.approx(expected, abs=0.01)
    assert cosines.dtype == np.float32
    assert cosines[1] > 0.8 > np.abs(cosines[[0, 2]]).max()
    assert keys.cosines(prompt, rows=rows[:0]).tolist() == []


# Probability


def test_more_words_and_a_higher_cosine_are_more_familiar() -> None:
    rising = column(0, 0.3, 0.6, 1)
    for given in ((rising, None), (None, rising), (rising, rising)):
        values = familiarity(*given)
        assert np.all(np.diff(values) > 0)
        assert 0 < values[0] < 0.1
        assert 0.9 < values[-1] <= 1
    assert familiarity(None, None).tolist() == []


def test_a_cosine_of_unrelated_texts_alone_makes_nothing_familiar() -> None:
    assert familiarity(column(0), column(0.3))[0] < 0.01
    assert familiarity(None, column(0.3))[0] < 0.5


# In a store


def test_each_hit_has_its_cosine_though_only_the_nearest_are_looked_at(start: Start) -> None:
    engine = start(InMemoryRepository())
    n = 2 * LOOKED_AT
    remember(engine, [f"Number {i} of them is the zyx{i}." for i in range(n)])
    alone = engine.search.search(query(engine, "zyx7"), limit=n, arms=["activation"])
    assert len(alone.ranked) == n
    assert min(alone.familiarity.values()) > familiarity(None, column(-1))[0]
    assert max(alone.familiarity.values()) == pytest.approx(alone.overall_familiarity)


def test_a_store_knows_no_more_by_memories_of_another_conversation_or_left_out(start: Start) -> None:
    engine = start(InMemoryRepository())
    texts = ["The zyxa of Mara is in Lisbon.", *(f"Number {i} is a different thing." for i in range(60))]
    remember(engine, texts)
    asked = query(engine, texts[0])
    for arms in (None, ["activation"], ["keyword"]):
        known = engine.search.search(asked, limit=3, arms=arms).overall_familiarity
        without = engine.search.search(asked, limit=3, arms=arms, exclude=[1]).overall_familiarity
        assert without < known
        assert known > 0.9


def test_familiarity_follows_a_store_that_grows_past_its_fit(start: Start) -> None:
    repository = InMemoryRepository()
    engine = start(repository)
    remember(engine, [f"Number {i} is a thing." for i in range(10)])
    asked = query(engine, "The zyxa of Mara is in Lisbon.")
    assert engine.search.search(asked, limit=3).overall_familiarity < 0.5
    remember(engine, [f"Number {i} is a thing." for i in range(10, 40)])
    remember(engine, ["The zyxa of Mara is in Lisbon."])
    followed = engine.search.search(asked, limit=3)
    afresh = start(repository).search.search(asked, limit=3)
    assert followed.overall_familiarity > 0.9
    assert followed.familiarity == pytest.approx(dict(afresh.familiarity))
