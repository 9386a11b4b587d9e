"""What the recall agent needs of a memory. `aspen.Aspen` is one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from aspen.repository import Repository
from aspen.types import Memory, MemoryType, Provenance, Recall, RelationType, Spread


class MemoryAccess(Protocol):
    """A store that is searched with a model. Each method does what the one of `aspen.Aspen` does."""

    @property
    def repository(self) -> Repository:
        """The store, to read memories and relations from."""

    def recall(
        self,
        prompt: str,
        *,
        limit: int,
        use_spreading_activation: bool,
        preset: str,
        types: Collection[MemoryType | str] | None,
        provenances: Collection[Provenance | str] | None,
    ) -> Recall:
        """The memories that resonate with `prompt`, best first."""

    def spread_activation(
        self,
        seed_ids: Mapping[str, float],
        *,
        max_hops: int,
        type_boost: Mapping[MemoryType | str, float] | None,
        top_k: int,
        decay: float,
        min_weight: float,
        relation_types: Collection[RelationType | str] | None,
        fan: int,
    ) -> Spread:
        """Where activation goes from some memories over their relations."""

    def remember(
        self,
        text: str,
        *,
        source: str | None,
        provenance: Provenance | str,
        type: MemoryType | str,  # noqa: A002 - the word of the field
        importance: float | str,
        tags: Collection[str],
    ) -> Memory:
        """Remember one text."""

    def relate(
        self,
        source: str,
        target: str,
        relation: RelationType | str,
        *,
        weight: float,
        provenance: Provenance | str,
    ) -> None:
        """Say how one memory relates to another."""
