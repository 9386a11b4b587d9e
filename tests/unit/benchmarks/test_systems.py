from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tests.bench_sets import write_beir, write_locomo
from tests.builders import found, query

from aspen.benchmarks import catalogue
from aspen.benchmarks.baselines import Groups, MiniLMSystem
from aspen.benchmarks.catalogue import ABLATIONS, SETS, Setting, chosen, opened, usual_names
from aspen.benchmarks.datasets import Layout, read_dataset
from aspen.benchmarks.interface import Dataset, Question, System
from aspen.benchmarks.pagerank import Graph, PageRankSystem, names_in
from aspen.benchmarks.running import run
from aspen.benchmarks.systems import WITHOUT_EDGES, AspenSystem, Stores, Variant, ablations
from aspen.config import Config
from aspen.errors import InvalidInput
from aspen.testing.fake_model import FakeModel
from aspen.types import FloatArray, MemoryItem

PRODUCT = SETS["product"]


class Letters:
    """An embedder for tests: how often each letter occurs."""

    name = "letters"

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str]) -> FloatArray:
        self.embedded += texts
        counts = [[text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]
        vectors = np.array(counts, dtype=np.float32) + 0.01
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture
def setting(config: Config) -> Setting:
    return Setting(config, model=FakeModel())


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> Letters:
    """Stands in for MiniLM."""
    letters = Letters()
    monkeypatch.setattr(catalogue, "MiniLM", lambda: letters)
    return letters


@pytest.fixture
def dialogue(tmp_path: Path) -> Dataset:
    return read_dataset(Layout.LOCOMO, write_locomo(tmp_path / "locomo.json", "one", "two"))


def test_every_way_of_asking_searches_one_store_that_is_written_once(
    dialogue: Dataset, setting: Setting
) -> None:
    with opened(PRODUCT, setting) as made:
        outcomes = run(dialogue, made.systems)

    assert list(outcomes) == list(PRODUCT)
    assert len({outcome.write_seconds for outcome in outcomes.values()}) == 1
    # Six turns in each conversation: whatever ranks all of them has all the evidence among the first ten.
    assert outcomes["aspen"].measures[:, 1].min() == 1
    assert outcomes["aspen"].measures.shape == (6, 6)
    assert made.facts["model"] == "fake-0"


def test_a_search_stays_in_its_conversation_and_keeps_to_the_limit(
    dialogue: Dataset, setting: Setting
) -> None:
    with opened(["aspen"], setting) as made:
        (system,) = made.systems
        system.write(dialogue.items, advance=lambda done: None)
        found = system.search(dialogue.questions[0], limit=4)
    assert len(found) == len(set(found)) == 4  # the sources of both conversations are the same


@pytest.mark.parametrize("apart", [False, True])
def test_one_store_for_all_or_one_for_each(dialogue: Dataset, config: Config, apart: bool) -> None:
    with opened(["bm25", "hybrid"], Setting(config, model=FakeModel(), apart=apart)) as made:
        outcomes = run(dialogue, made.systems)
    assert made.facts["stores"] == ("one for each conversation" if apart else "one for all")
    # Equal conversations: what is found in one is found in the other.
    assert np.array_equal(outcomes["bm25"].measures[:3], outcomes["bm25"].measures[3:])


def test_passages_without_conversation_are_searched_as_one(setting: Setting, tmp_path: Path) -> None:
    dataset = read_dataset(Layout.BEIR, write_beir(tmp_path / "set"))
    with opened(["bm25"], setting) as made:
        outcomes = run(dataset, made.systems)
    assert outcomes["bm25"].measures[0].tolist() == [1] * 7


def test_an_embedder_is_a_baseline_and_an_arm(dialogue: Dataset, setting: Setting, letters: Letters) -> None:
    with opened(["aspen", *SETS["baselines"]], setting) as made:
        outcomes = run(dialogue, made.systems)
    assert list(outcomes) == ["aspen", *SETS["baselines"]]
    # Embedding is a part of writing; the default does without.
    assert outcomes["aspen_minilm"].write_seconds > outcomes["aspen"].write_seconds
    assert "(12 June 2023) Ann: My sister Mara moved to Lisbon." in letters.embedded


def test_ablations_leave_out_each_arm_of_the_engine(dialogue: Dataset, setting: Setting) -> None:
    with opened(["aspen", ABLATIONS], setting) as made:
        names = [system.name for system in made.systems]
        run(dialogue.part(questions=1), made.systems)
    assert names[0] == "aspen" and names.count("aspen") == 1
    parts = ("activation", "keyword", "heads", "subject", "traits", "neighbours", "session", "names")
    assert {f"aspen_without_{part}" for part in parts} <= set(names)


def test_an_ablation_names_all_other_arms() -> None:
    assert ablations(["keyword", "activation", "head"]) == {
        "aspen_without_keyword": Variant(arms=("activation", "head")),
        "aspen_without_activation": Variant(arms=("keyword", "head")),
        "aspen_without_head": Variant(arms=("keyword", "activation")),
    }
    assert ablations(["keyword"]) == {}


def test_every_edge_can_be_left_out_and_is_there_for_others(config: Config, tmp_path: Path) -> None:
    told = [
        "Ada lives in Porto.",
        "She rows.",
        "Porto has six bridges.",
        "Rain again.",
        "Soup.",
        "A long walk.",
    ]
    days = [datetime(2024, 5, 1 + i // 3, tzinfo=UTC) for i in range(6)]  # two sessions
    items = [MemoryItem(text, None, day, "c", text) for text, day in zip(told, days, strict=True)]
    question = Question("Where does Ada live?", frozenset(told[:1]), "", "c")
    edges = {"neighbours", "session", "names"}
    with closing(Stores(tmp_path, model=FakeModel(), config=config)) as stores:
        stores.write(items, advance=lambda done: None)
        engine = stores.holding("c").engine
        for name, variant in (*WITHOUT_EDGES.items(), ("aspen", Variant())):
            result = engine.search.search(
                query(engine, question.text), limit=6, conversation="c", settings=variant.ranking
            )
            brought = {edge for edge in edges if any(hit.parts.get(edge) for hit in result.ranked)}
            assert edges - brought == {name.removeprefix("aspen_without_")} - {"aspen"}
            assert AspenSystem(name, variant, stores).search(question, limit=6) == found(engine, result)


def test_other_memories_go_into_new_stores(dialogue: Dataset, config: Config, tmp_path: Path) -> None:
    first, others = dialogue.items[:2], dialogue.items[4:]
    for encode_once in (False, True):
        stores = Stores(tmp_path, model=FakeModel(), config=config, encode_once=encode_once)
        for items in (first, first, others, first):
            stores.write(items, advance=lambda done: None)
            aspen = stores.holding("one")
            assert {(memory.text, memory.said_at) for memory in aspen.repository.list(limit=100)} == {
                (item.text, item.said_at) for item in items
            }
            assert aspen.recall("cat").candidates == len(items)
        stores.close()
    assert list(tmp_path.glob("**/*.db")) == []


def test_what_is_encoded_once_is_stored_as_remember_many_stores_it(
    dialogue: Dataset, config: Config, tmp_path: Path
) -> None:
    found = []
    for encode_once in (False, True):
        stores = Stores(tmp_path, model=FakeModel(), config=config, encode_once=encode_once)
        for items in (dialogue.items[:3], dialogue.items):
            stores.write(items, advance=lambda done: None)
        recall = stores.holding("one").recall("Where does Mara live?", limit=12)
        found.append([(hit.memory.id, round(hit.score, 3)) for hit in recall.hits])
        stores.close()
    assert found[0] == found[1]


def test_sets_are_taken_apart_and_unknown_names_refused() -> None:
    assert chosen(["minilm", "product", "bm25", ABLATIONS]) == ["minilm", *PRODUCT, ABLATIONS]
    with pytest.raises(InvalidInput, match="'bm24'") as caught:
        chosen(["bm25", "bm24"])
    assert "product" in caught.value.hint
    assert usual_names()[: len(PRODUCT)] == list(PRODUCT)


def test_minilm_ranks_by_cosine_within_the_conversation(dialogue: Dataset) -> None:
    system = MiniLMSystem(Letters())
    assert searched(system, dialogue)[:1] == ["D1:1"]

    told = {"near": "abba", "nearer": "abab", "far": "xyz"}
    about = {"near": "one", "nearer": "two", "far": "one"}
    system.write(
        [MemoryItem(told[name], source=name, conversation=about[name]) for name in told], advance=print
    )
    asked = Question("abab", frozenset({"near"}), "", "one")
    assert system.search(asked, limit=3) == ["near", "far"]
    assert system.search(replace(asked, group=""), limit=3) == ["near", "nearer", "far"]
    assert system.search(replace(asked, group="two"), limit=3) == ["nearer"]


def searched(system: System, dataset: Dataset) -> list[str]:
    seen: list[int] = []
    with system:
        system.write(dataset.items, advance=seen.append)
        assert seen[-1] == len(dataset.items)
        return system.search(dataset.questions[0], limit=3)


def test_groups_rank_equal_scores_in_the_order_of_writing() -> None:
    groups = Groups([MemoryItem("x", source=name, conversation="c") for name in "abc"])
    assert groups.best(groups.rows("c"), np.array([0.5, 1.0, 0.5]), limit=3) == ["b", "a", "c"]
    assert len(groups.rows("nobody's")) == 0


def test_names_are_runs_of_capitals_and_numbers() -> None:
    assert names_in("In 1843, Ada Lovelace wrote about the Bank of England.") == {
        "in 1843",
        "ada lovelace",
        "bank of england",
    }


def test_rank_flows_over_a_shared_name() -> None:
    graph = Graph.of([frozenset({"ada"}), frozenset({"ada", "engine"}), frozenset({"engine"}), frozenset()])
    ranks = graph.ranks(frozenset({"ada"}), near=np.zeros(4, dtype=np.float32))
    assert ranks[0] > ranks[2] > ranks[3] == 0
    assert ranks[1] > ranks[2]


def test_rank_without_names_follows_the_vectors() -> None:
    graph = Graph.of([frozenset(), frozenset(), frozenset()])
    near = np.array([0.1, 0.9, 0.5], dtype=np.float32)
    assert np.argsort(-graph.ranks(frozenset(), near=near)).tolist() == [1, 2, 0]


def test_pagerank_keeps_to_the_conversation(dialogue: Dataset) -> None:
    found = searched(PageRankSystem(Letters()), dialogue)
    assert len(found) == len(set(found)) == 3
