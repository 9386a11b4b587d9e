"""A divergence as a heat map: layers upwards, tokens to the right. As text, and as a picture."""

from __future__ import annotations

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
    layers, tokens = divergence.distances.shape
    if tokens == 0:
        return None
    rows = _parts(layers, min(layers, most_rows))
    columns = _parts(tokens, min(tokens, max(width - _LABEL, 8)))
    cells = np.array(
        [[divergence.distances[a:b, c:d].mean() for c, d in columns] for a, b in rows], dtype=np.float32
    )
    scale = float(cells.max())
    shades = _shaded(cells, scale=scale)
    labels = [f"layer {a}" if b == a + 1 else f"{a}-{b - 1}" for a, b in rows]
    each = "one token each" if len(columns) == tokens else f"{tokens} tokens in {len(columns)} columns"
    return HeatMap(tuple(labels[::-1]), tuple(shades[::-1]), each, scale)


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
