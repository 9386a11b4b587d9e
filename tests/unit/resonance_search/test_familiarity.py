import numpy as np
import pytest
from tests.builders import drawn, found, query, remember
from tests.searching import Start

from aspen.activation_db import KeyCode, KeyRecipe, KeySpace
from aspen.activation_db.moments import Moments
from aspen.repository import InMemoryRepository, Postings
from aspen.resonance_search import Filters, ModelKeys, Query, ResonanceSearch
from aspen.resonance_search.familiarity import LOOKED_AT, StoredKeys, familiarity, word_shares
from aspen.resonance_search.keyword import CHUNK, PromptWords
from aspen.resonance_search.snapshot import Candidates
from aspen.types import FloatArray, MemoryItem

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
    words = PromptWords(("zyxa", "zyxb", "zyxc"), (1, 1, 3), (common, rare, nowhere), SEQS)
    shares = word_shares(words, lengths=LENGTHS)
    assert shares.dtype == np.float32
    assert shares[3] == 0
    assert shares[0] == shares[2]
    assert 0 < shares[0] < 0.33 < shares[1] < 0.66


def test_a_word_of_everyday_counts_less_than_a_rare_one_also_in_a_store_of_few_memories() -> None:
    words = PromptWords(("year", "zyxa"), (1, 1), (posting(1), posting(2)), SEQS)
    everyday, rare, *_ = word_shares(words, lengths=LENGTHS)
    assert 0 < everyday < 0.8 * rare
    assert everyday + rare == pytest.approx(1)


def test_words_must_stand_in_one_chunk_of_a_long_memory() -> None:
    lengths = np.array([3 * CHUNK, CHUNK, 1, 1], dtype=np.int32)
    first = posting(1, 2, positions=(0, 0))
    second = posting(1, 2, positions=(2 * CHUNK, CHUNK - 1))
    words = PromptWords(("zyxa", "zyxb"), (1, 1), (first, second), SEQS)
    apart, together, *_ = word_shares(words, lengths=lengths)
    assert apart == pytest.approx(0.5)
    assert together == pytest.approx(1)


def test_without_words_or_memories_there_are_no_shares() -> None:
    assert word_shares(PromptWords((), (), (), SEQS), lengths=LENGTHS).tolist() == [0, 0, 0, 0]
    nobody = PromptWords(("zyxa",), (1,), (posting(1),), SEQS[:0])
    assert word_shares(nobody, lengths=LENGTHS[:0]).tolist() == []


def test_each_words_chunks_count_once_however_often_it_stands_there() -> None:
    chance = np.random.default_rng(0)
    lengths = chance.integers(0, 4 * CHUNK, 40).astype(np.int32)
    seqs, terms = np.arange(40), tuple(f"zyx{i}" for i in range(9))
    places = {
        term: sorted(
            (int(seq), int(chance.integers(lengths[seq])))
            for seq in chance.integers(0, 40, 60)
            if lengths[seq]
        )
        for term in terms
    }
    postings = tuple(
        posting(*(seq for seq, _ in own), positions=tuple(place for _, place in own))
        for own in places.values()
    )
    words = PromptWords(terms, (1,) * 9, postings, seqs)
    rarity = (words.idf + np.log1p((660 + 0.5) / 0.5)) / 2  # 660 texts ship with Aspen, none with these words
    chunks = [
        [
            {term for term in terms if (seq, chunk) in {(s, p // CHUNK) for s, p in places[term]}}
            for chunk in range(4)
        ]
        for seq in range(40)
    ]
    expected = [
        max(
            sum(weight for term, weight in zip(terms, rarity, strict=True) if term in chunk)
            for chunk in of_memory
        )
        for of_memory in chunks
    ]
    np.testing.assert_allclose(word_shares(words, lengths=lengths), expected / rarity.sum(), rtol=1e-6)


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
        without = engine.search.search(
            asked, limit=3, arms=arms, filters=Filters(exclude=[1])
        ).overall_familiarity
        assert without < known
        assert known > 0.9


def test_a_conversation_is_as_familiar_as_if_it_were_alone(start: Start) -> None:
    whole, alone = start(InMemoryRepository()), start(InMemoryRepository())
    items = [
        MemoryItem(f"Number {i} of {name} is the zyx{i} of {name * 5}.", conversation=name)
        for i in range(9)
        for name in "ab"
    ]
    remember(whole, items)
    remember(alone, [item for item in items if item.conversation == "b"])
    for arms in (None, ["activation"], ["keyword"]):
        within, by_itself = (
            engine.search.search(query(engine, "The zyx4 of bbbbb?"), limit=9, conversation="b", arms=arms)
            for engine in (whole, alone)
        )
        assert len(set(by_itself.familiarity.values())) > 1
        assert within.familiarity == pytest.approx(dict(by_itself.familiarity))
        assert within.overall_familiarity == pytest.approx(by_itself.overall_familiarity)


class Latest:
    """An arm that outweighs the others: whatever came last is the first hit."""

    name = "latest"
    unit = "seq"
    weight = 100.0

    def score(self, query: Query, candidates: Candidates) -> FloatArray:
        return candidates.seqs.astype(np.float32)


def test_memories_left_out_do_not_take_the_place_of_those_that_may_be_returned(start: Start) -> None:
    engine = start(InMemoryRepository())
    n = LOOKED_AT + 10
    text = "Where is the zyxa of Mara?"
    remember(engine, [*(MemoryItem(text, source=str(i)) for i in range(n)), f"{text}?", "xx"])
    keys = ModelKeys(engine.stamp, engine.encoder._recipe, engine.encoder._calibration)
    search = ResonanceSearch(engine.repository, keys=keys, extra_arms=[Latest()])
    near = search.search(query(engine, text), limit=n, arms=["activation"], spread=False)
    assert [hit.row for hit in near.ranked] == list(range(n))
    one, every = (
        search.search(
            query(engine, text),
            limit=limit,
            arms=["activation", "latest"],
            filters=Filters(exclude=range(1, n + 1)),
        )
        for limit in (1, 2)
    )
    assert found(engine, one) == ["xx"]
    assert every.overall_familiarity == every.familiarity[n] > 0.9
    assert one.overall_familiarity == every.overall_familiarity


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
