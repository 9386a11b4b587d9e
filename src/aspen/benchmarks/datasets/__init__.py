"""Data sets by name. They are read from a path, never bundled, but for one small set that ships with Aspen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from importlib.resources import as_file, files
from pathlib import Path

from aspen.benchmarks.datasets.beam import read_beam
from aspen.benchmarks.datasets.beir import read_beir
from aspen.benchmarks.datasets.locomo import read_locomo_set
from aspen.benchmarks.interface import Dataset
from aspen.errors import InvalidInput

SHIPPED = "conversations.json"
"""Conversations written for this purpose, in LoCoMo's format."""


class Layout(StrEnum):
    """How the files of a data set are laid out."""

    LOCOMO = "locomo"  # one JSON file of conversations with questions
    BEIR = "beir"  # a folder of passages, queries and judgements
    BEAM = "beam"  # the same, the passages being turns of chats


READERS: Mapping[Layout, Callable[[Path], Dataset]] = {
    Layout.LOCOMO: read_locomo_set,
    Layout.BEIR: read_beir,
    Layout.BEAM: read_beam,
}


def read_dataset(layout: Layout, path: Path | None) -> Dataset:
    """The data set at `path`, the one that ships with Aspen where None; InvalidInput where it is none."""
    if path is not None:
        return READERS[layout](path.expanduser())
    if layout is not Layout.LOCOMO:
        raise InvalidInput(
            f"No data set of the layout {layout} ships with Aspen.", hint="Give the path of one with --data."
        )
    with as_file(files("aspen.benchmarks") / "data" / SHIPPED) as shipped:
        return replace(read_locomo_set(shipped), name="shipped conversations")


__all__ = ["Layout", "read_dataset"]
