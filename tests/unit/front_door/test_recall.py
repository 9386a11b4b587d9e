import time
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from tests.builders import FACTS
from tests.front_door import WHERE, Open, facts

from aspen import Aspen, Config, MemoryItem
from aspen.benchmarks.interface import Question
from aspen.benchmarks.systems import AspenSystem, Stores, Variant
from aspen.errors import InvalidInput, NotFound
from aspen.models import LanguageModel
from aspen.repository import open_repository
from aspen.resonance_search import RankingSettings
from aspen.testing.fake_model import FakeModel
from aspen.types import Provenance

AUCKLAND = timezone(timedelta(hours=12))


def at(day: int, hour: int = 12) -> datetime:
    return datetime(2023, 5, day, hour, tzinfo=UTC)


def test_recall_finds_says_how_and_counts(aspen: Aspen) -> None:
    facts(aspen)
    recall = aspen.recall(WHERE, limit=3)
    assert recall.prompt == WHERE
    assert len(recall.hits) == 3
    assert recall.candidates == len(FACTS)
    assert [(arm.name, arm.ran, arm.reason) for arm in recall.arms][:2] == [
        ("activation", True, ""),
        ("keyword", True, ""),
    ]
    assert recall.partial_pass is not None
    assert (recall.partial_pass.depth, recall.partial_pass.n_layers) == (2, 3)
    assert recall.partial_pass.tokens == len(WHERE)
    assert recall.seconds >= recall.partial_pass.seconds > 0
    assert 0 < max(hit.familiarity for hit in recall.hits) <= recall.familiarity <= 1


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
    assert all(hit.paths == () for hit in aspen.recall(WHERE, use_spreading_activation=False).hits)


def test_the_keyword_arm_alone_needs_no_forward_pass(open_aspen: Open) -> None:
    model = FakeModel()
    aspen = open_aspen(":memory:", model=model)
    facts(aspen)
    model.blocks_run = 0
    recall = aspen.recall(WHERE, arms=["keyword"])
    assert recall.hits[0].memory.text == FACTS[0]
    assert recall.partial_pass is None
    assert model.blocks_run == 0
    assert recall.familiarity == recall.hits[0].familiarity > 0


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
        with pytest.raises(InvalidInput, match="telepathy"):
            aspen.recall(WHERE, arms=["keyword", "telepathy"])
        with pytest.raises(InvalidInput, match="At least one arm"):
            aspen.recall("What in May 2023?", arms=["dates"])


@pytest.mark.parametrize(
    ("prompt", "asked_at", "found"),
    [
        ("What did I eat last week?", at(20), [10]),
        ("What did I eat last week?", at(27), [17]),
        ("What did I eat yesterday?", at(11), [10]),
        ("What did I eat yesterday?", datetime(2023, 5, 11, 1), [10]),  # without a zone it is UTC
        ("What did I eat yesterday?", at(17, hour=23).astimezone(AUCKLAND), [17]),  # there it is the 18th
        ("What did I eat yesterday?", at(30), []),
        ("What did I eat last week?", None, []),
    ],
)
def test_a_prompt_of_another_day_counts_from_that_day(
    aspen: Aspen, prompt: str, asked_at: datetime | None, found: list[int]
) -> None:
    aspen.remember_many([MemoryItem(f"I ate {day}.", said_at=at(day, hour=9)) for day in (3, 10, 17)])
    recall = aspen.recall(prompt, asked_at=asked_at, arms=["activation", "dates"])
    lifted = [hit.memory.said_at for hit in recall.hits if hit.arms.get("dates")]
    assert [said_at.day for said_at in lifted if said_at] == found


@pytest.mark.parametrize(
    "asked_at", ["2023-05-08", 0, datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))]
)
def test_a_time_of_asking_that_is_none_is_refused(aspen: Aspen, asked_at: datetime) -> None:
    with pytest.raises(InvalidInput, match="asked_at"):
        aspen.recall(WHERE, asked_at=asked_at)


@pytest.mark.parametrize("asked_at", [datetime.min.replace(tzinfo=UTC), datetime.max])
def test_the_ends_of_the_calendar_are_times_of_asking(aspen: Aspen, asked_at: datetime) -> None:
    facts(aspen)
    for prompt in ("What did I say last week?", "What did I say today?", "What did I say 999 years ago?"):
        assert aspen.recall(prompt, asked_at=asked_at).hits


def test_an_ablation_asks_as_recall_does_and_changes_nothing_for_others(
    config: Config, tmp_path: Path
) -> None:
    items = [
        MemoryItem(fact, conversation="c", source=fact, said_at=at(3 if n < 3 else 4))  # two sessions
        for n, fact in enumerate(FACTS)
    ]
    with closing(Stores(tmp_path, model=FakeModel(), config=config)) as stores:
        stores.write(items, advance=lambda done: None)
        aspen, question = stores.holding("c"), Question(WHERE, frozenset(), kind="", group="c")
        by_recall = aspen.recall(WHERE, conversation="c")
        for ranking, same in ((RankingSettings(), True), (RankingSettings(session_weight=90.0), False)):
            found = AspenSystem("x", Variant(ranking=ranking), stores).search(question, limit=10)
            assert (found == [hit.memory.source for hit in by_recall.hits]) is same
        again = aspen.recall(WHERE, conversation="c")
        assert [(hit.memory, hit.arms) for hit in again.hits] == [
            (hit.memory, hit.arms) for hit in by_recall.hits
        ]


def test_the_time_of_a_recall_leaves_out_the_loading_of_the_model(config: Config) -> None:
    loaded_at = 0.0

    def load() -> LanguageModel:
        nonlocal loaded_at
        time.sleep(0.05)
        loaded_at = time.perf_counter()
        return FakeModel()

    with open_repository(":memory:") as repository:
        aspen = Aspen(repository, load=load, config=config)
        recall = aspen.recall(WHERE)
        assert 0 < recall.seconds < time.perf_counter() - loaded_at
