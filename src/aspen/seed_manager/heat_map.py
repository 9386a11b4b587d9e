"""A divergence as a heat map: layers upwards, tokens to the right. As text, and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aspen.plotting import open_pyplot
from aspen.seed_manager.differences import Difference, Divergence
from aspen.types import FloatArray

SHADES = " ·░▒▓█"
"""From no distance to the largest; the first is exactly none that could be seen."""
_LABEL = 9
"""Characters before the cells."""
_MOST_TICKS = 40
"""Labels of tokens that a picture has room for."""


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Rows of shades, deepest layers first, each with its layers; `scale` is the distance of the darkest shade."""

    labels: tuple[str, ...]
    rows: tuple[str, ...]
    tokens: str
    scale: float

    def lines(self) -> list[str]:
        """The map as it is printed."""
        return [f"{label:>{_LABEL - 1}} {row}" for label, row in zip(self.labels, self.rows, strict=True)]


def heat_map(divergence: Divergence, *, width: int = 80, most_rows: int = 16) -> HeatMap | None:
    """At most `width` columns and `most_rows` rows; layers and tokens that share a cell show their mean.

    None where no token is shared behind the first that differs.
    """
    distances = divergence.distances
    if distances.shape[1] == 0:
        return None
    return shaded(distances, layers=range(len(distances)), width=width, most_rows=most_rows)


def shaded(
    values: FloatArray,
    *,
    layers: Sequence[int],
    width: int = 80,
    most_rows: int = 16,
    scale: float | None = None,
) -> HeatMap:
    """float32 [L, T >= 1] >= 0 of these layers in shades, as `heat_map`; where there is no value (NaN), a space.

    The darkest shade is `scale`, the largest cell where None.
    """
    count, tokens = values.shape
    rows = _parts(count, min(count, most_rows))
    columns = _parts(tokens, min(tokens, max(width - _LABEL, 8)))
    cells = np.array([[_mean(values[a:b, c:d]) for c, d in columns] for a, b in rows], dtype=np.float32)
    darkest = float(cells.max()) if scale is None else scale
    shades = _shaded(cells, scale=darkest)
    labels = [f"layer {layers[a]}" if b == a + 1 else f"{layers[a]}-{layers[b - 1]}" for a, b in rows]
    each = "one token each" if len(columns) == tokens else f"{tokens} tokens in {len(columns)} columns"
    return HeatMap(tuple(labels[::-1]), tuple(shades[::-1]), each, darkest)


def draw_heat_map(path: Path, difference: Difference) -> None:
    """The divergence as a picture; the format is that of the path's ending. Raises as `check_plotting` does."""
    pyplot = open_pyplot(path)
    found = difference.divergence
    tokens = found.distances.shape[1]
    figure, axes = pyplot.subplots(figsize=(min(4 + 0.12 * tokens, 16), 4.2), layout="constrained")
    if tokens:
        image = axes.imshow(found.distances, origin="lower", aspect="auto", cmap="magma_r", vmin=0)
        figure.colorbar(image, label="distance / length of the residual stream")
        step = max(1, -(-tokens // _MOST_TICKS))
        places = range(0, tokens, step)
        labels = [_visible(found.texts[place]) for place in places]
        axes.set_xticks(places, labels, rotation=90, fontsize=7, parse_math=False)
    else:
        axes.text(0.5, 0.5, "no token is shared behind the first that differs", ha="center")
    axes.set(xlabel="tokens that both runs have", ylabel="layer")
    axes.set_title(", ".join(difference.changed), fontsize=10)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _mean(values: FloatArray) -> float:
    """Of the values that are there; 0 where none is."""
    there = values[np.isfinite(values)]
    return float(there.mean()) if there.size else 0.0


def _parts(count: int, parts: int) -> list[tuple[int, int]]:
    """`count` things in `parts` runs of nearly equal length."""
    ends = [round(count * part / parts) for part in range(parts + 1)]
    return list(pairwise(ends))


def _shaded(cells: FloatArray, *, scale: float) -> list[str]:
    if scale == 0:
        return [SHADES[0] * cells.shape[1]] * len(cells)
    shades: NDArray[np.int64] = np.ceil(cells / scale * (len(SHADES) - 1)).astype(np.int64)
    return ["".join(SHADES[shade] for shade in row) for row in np.clip(shades, 0, len(SHADES) - 1)]


def _visible(text: str) -> str:
    return text.replace("\n", "\\n").strip(" ") or "␣"
