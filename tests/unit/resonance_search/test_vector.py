"""The vector arm, with an embedder whose vectors are counts of letters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from aspen import Aspen, Config
from aspen.errors import InvalidInput
from aspen.testing.fake_model import FakeModel
from aspen.types import FloatArray


class Letters:
    """Counts of a to z."""

    name = "letters-1"

    def __init__(self) -> None:
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str]) -> FloatArray:
        self.embedded += texts
        counts = [[text.lower().count(chr(97 + i)) for i in range(26)] for text in texts]
        return np.array(counts, dtype=np.float32)


@pytest.fixture(params=["memory", "file"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return ":memory:" if request.param == "memory" else str(tmp_path / "store.db")


def open_with(location: str, embedder: Letters, config: Config) -> Aspen:
    return Aspen.open(location, model=FakeModel(), embedder=embedder, config=config)


TEXTS = ["zzz zzz", "abc abc", "xyz", "hello there", "mmm"]


def test_it_runs_as_a_third_arm_and_ranks_by_cosine(location: str, config: Config) -> None:
    with open_with(location, Letters(), config) as aspen:
        aspen.remember_many([{"text": text} for text in TEXTS])
        recall = aspen.recall("zz z", arms=["vector"], use_spreading_activation=False, limit=5)
        assert [hit.memory.text for hit in recall.hits][:2] == ["zzz zzz", "xyz"]
        assert [(arm.name, arm.ran) for arm in aspen.recall("abc").arms][:3] == [
            ("activation", True),
            ("keyword", True),
            ("vector", True),
        ]


def test_a_memory_is_embedded_once_also_across_openings(tmp_path: Path, config: Config) -> None:
    location, embedder = str(tmp_path / "store.db"), Letters()
    with open_with(location, embedder, config) as aspen:
        aspen.remember_many([{"text": text} for text in TEXTS])
        aspen.recall("abc", arms=["vector"])
    later = Letters()
    with open_with(location, later, config) as aspen:
        aspen.remember("quite new")
        aspen.recall("abc", arms=["vector"])
    assert later.embedded == ["quite new", "abc"]


def test_what_was_forgotten_leaves_no_vector(location: str, config: Config) -> None:
    with open_with(location, Letters(), config) as aspen:
        memories = aspen.remember_many([{"text": text} for text in TEXTS])
        aspen.recall("abc", arms=["vector"])
        aspen.forget(memories[0].id)
        recall = aspen.recall("zzz", arms=["vector"], use_spreading_activation=False)
        assert memories[0].id not in [hit.memory.id for hit in recall.hits]
        assert aspen.repository.check() == []


def test_an_empty_store_says_why_it_did_not_run(location: str, config: Config) -> None:
    with open_with(location, Letters(), config) as aspen:
        recall = aspen.recall("abc", arms=["vector"])
        assert recall.hits == ()
        assert [(arm.ran, arm.reason) for arm in recall.arms] == [(False, "there are no memories")]


@pytest.mark.parametrize("wrong", [np.full((1, 26), np.nan), np.zeros(26), np.zeros((2, 26))])
def test_an_embedder_that_breaks_its_promise_is_named(config: Config, wrong: FloatArray) -> None:
    class Wrong(Letters):
        def embed(self, texts: Sequence[str]) -> FloatArray:
            return super().embed(texts) if len(texts) > 1 else wrong

    with open_with(":memory:", Wrong(), config) as aspen:
        aspen.remember_many([{"text": text} for text in TEXTS])
        with pytest.raises(InvalidInput, match="letters-1"):
            aspen.recall("abc", arms=["vector"])
