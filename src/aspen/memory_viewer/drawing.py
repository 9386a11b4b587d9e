"""Maps as pictures: layers upwards, tokens to the right, the parts of the prompt as a band above them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np

from aspen.memory_viewer.attention import AttentionMap, AttentionSummaryMap
from aspen.memory_viewer.maps import MapComparison, TraceMap
from aspen.plotting import require_matplotlib
from aspen.types import FloatArray, Segment

_DPI = 120
_MOST_LABELS = 110
"""Labels of tokens that a picture has room for."""
_LONGEST = 14
"""Characters of a token's label."""
_SEGMENT_COLOURS = {
    # Okabe and Ito's palette, which eyes that see no red or no green can tell apart, lightened to stand behind text.
    "sink": "#d9d9d9",
    "template": "#ececec",
    "system": "#cfe3f2",
    "note": "#fbe0b8",
    "history": "#e7d6e6",
    "user": "#cdebdf",
    "reply": "#f7d0c2",
}
_OTHER_SEGMENT, _NO_VALUE, _INK, _QUIET = "#e4e4e4", "#dddddd", "#1f1f1f", "#6b6b6b"
_BAND, _AROUND = 0.22, 1.75
"""Heights in inches: of the band of segments, and of title and labels."""
_OVER_MAGNITUDES = frozenset({"norm", "change"})
"""Measures that grow a hundredfold from layer to layer, and have a logarithmic scale."""
_TITLES = {
    "norm": "Norm: how long the residual stream is",
    "change": "Change: how much each block changed the residual stream",
    "surprise": "Surprise: how little each layer expected the token (logit lens)",
    "resonance": "Resonance",
    "divergence": "Divergence: how far the two runs are apart",
}


def png(picture: TraceMap | MapComparison | AttentionMap | AttentionSummaryMap) -> bytes:
    """A map as a PNG. MissingDependency where matplotlib is not installed."""
    require_matplotlib(otherwise="take the numbers of the map")
    if isinstance(picture, MapComparison):
        figure = _comparison(picture)
    elif isinstance(picture, AttentionMap):
        figure = _attention(picture)
    elif isinstance(picture, AttentionSummaryMap):
        figure = _summary(picture)
    else:
        figure = _figure(_width(picture), _height(picture))
        _draw_map(figure, picture, title=_title(picture))
    out = BytesIO()
    figure.savefig(out, format="png", dpi=_DPI, facecolor="white")
    return out.getvalue()


def _figure(width: float, height: float) -> Any:
    """In inches. Not by pyplot, which keeps figures and is not made for threads."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra, and slow to import

    return Figure(figsize=(width, height), layout="constrained")


def _comparison(found: MapComparison) -> Any:
    maps = (found.first, found.second, found.difference)
    figure = _figure(max(map(_width, maps)), sum(map(_height, maps)))
    parts = figure.subfigures(3, 1, height_ratios=[_height(one) for one in maps])
    bounds = _bounds(np.concatenate([found.first.values, found.second.values], axis=1), found.first.layers)
    for part, one in zip(parts[:2], maps[:2], strict=True):
        _draw_map(part, one, title=_title(one), bounds=bounds)
    title = f"Second less first, at the {len(found.difference.tokens)} tokens that both have"
    _draw_map(parts[2], found.difference, title=title, signed=True)
    return figure


def _width(one: TraceMap) -> float:
    return min(max(7.0, 2.6 + 0.135 * len(one.tokens)), 20.0)


def _height(one: TraceMap) -> float:
    return _AROUND + _rows_height(one) + (_BAND if one.segments else 0)


def _rows_height(one: TraceMap) -> float:
    return max(1.2, min(0.105 * len(one.layers), 4.2))


def _title(one: TraceMap) -> str:
    if one.measure == "resonance":
        return f"Resonance with “{_shown(one.prompt or '', most=70)}”"
    return _TITLES[one.measure]


def _draw_map(
    part: Any,
    one: TraceMap,
    *,
    title: str,
    bounds: tuple[float, float] | None = None,
    signed: bool = False,
) -> None:
    axes = _axes(part, one.segments, height=_rows_height(one), title=title, below=one.title)
    if len(one.tokens) == 0:
        axes.text(0.5, 0.5, "no token is shared", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    image = axes.imshow(
        np.ma.masked_invalid(one.values),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        **_colours(one, bounds=bounds, signed=signed),
    )
    _colour_bar(part, image, one.values, label=one.unit)
    _label_tokens(axes.set_xticks, one.tokens)
    step = 1 if len(one.layers) <= 12 else max(1, round(len(one.layers) / 8))
    rows = range(0, len(one.layers), step)
    axes.set_yticks(list(rows), [str(one.layers[row]) for row in rows], fontsize=8)
    axes.set_ylabel("layer", fontsize=8, color=_QUIET)


def _axes(part: Any, segments: Sequence[Segment], *, height: float, title: str, below: str) -> Any:
    """Where the cells go, under a title and, where there are segments, a band with their names."""
    part.suptitle(_shown(title, most=110), x=0.01, ha="left", fontsize=11, color=_INK, parse_math=False)
    if segments:
        top, axes = part.subplots(2, 1, sharex=True, height_ratios=[_BAND, height])
        _draw_segments(top, segments)
    else:
        top = axes = part.subplots(1, 1)
    top.set_title(_shown(below, most=110), loc="left", fontsize=8, color=_QUIET, parse_math=False)
    axes.set_facecolor(_NO_VALUE)
    axes.tick_params(length=0, colors=_INK, pad=3)
    axes.spines[:].set_visible(False)
    return axes


def _draw_segments(band: Any, segments: Sequence[Segment]) -> None:
    """The parts of the prompt, each with its name where there is room."""
    band.set_axis_off()
    for segment in segments:
        band.axvspan(
            segment.start - 0.5,
            segment.stop - 0.5,
            color=_SEGMENT_COLOURS.get(segment.name, _OTHER_SEGMENT),
            linewidth=0,
        )
        if segment.stop - segment.start >= 0.9 * len(segment.name):
            band.text(
                (segment.start + segment.stop - 1) / 2,
                0.5,
                _shown(segment.name, most=_LONGEST),
                ha="center",
                va="center",
                fontsize=8,
                color=_INK,
                parse_math=False,
                transform=band.get_xaxis_transform(),
            )


def _colours(one: TraceMap, *, bounds: tuple[float, float] | None, signed: bool) -> dict[str, Any]:
    """Colour map and scale."""
    from matplotlib.colors import LogNorm  # noqa: PLC0415 - an extra, and slow to import

    if signed:
        finite = np.abs(one.values[np.isfinite(one.values)])
        most = float(np.quantile(finite, 0.99)) if finite.size else 0.0
        return {"cmap": "RdBu_r", "vmin": -(most or 1.0), "vmax": most or 1.0}
    low, high = bounds or _bounds(one.values, one.layers)
    if one.measure in _OVER_MAGNITUDES and low > 0:
        return {"cmap": _shades(), "norm": LogNorm(low, max(high, low * 1.01))}
    return {"cmap": _shades(), "vmin": 0.0, "vmax": high if high > 0 else 1.0}


@cache
def _shades() -> Any:
    """From nearly white to dark violet: lightness falls evenly, and no cell is black as the text is."""
    from matplotlib import colormaps  # noqa: PLC0415 - an extra, and slow to import
    from matplotlib.colors import ListedColormap  # noqa: PLC0415 - an extra, and slow to import

    return ListedColormap(colormaps["magma_r"](np.linspace(0.0, 0.84, 256)))


def _bounds(values: FloatArray, layers: Sequence[int]) -> tuple[float, float]:
    """Where the colours begin and end, so that what few cells reach does not wash out all others.

    All but one cell in fifty at either end; the attention sink, the embedding and the first block, which makes a
    hundred times as much of it, do not count.
    """
    inner = values[np.array(layers) > 1] if max(layers, default=0) > 1 else values
    inner = inner[:, 1:] if inner.shape[1] > 1 else inner
    finite = inner[np.isfinite(inner)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = np.quantile(finite, [0.02, 0.98]).tolist()
    return float(low), float(high)


def _colour_bar(part: Any, image: Any, values: FloatArray, *, label: str) -> None:
    """With an end that points on where cells lie beyond."""
    low, high = image.get_clim()
    finite = values[np.isfinite(values)]
    under, over = bool((finite < low).any()), bool((finite > high).any())
    bar = part.colorbar(
        image,
        ax=part.axes,
        pad=0.01,
        aspect=30,
        fraction=0.03,
        extend=("both" if over else "min") if under else "max" if over else "neither",
        extendfrac=0.03,
    )
    bar.set_label(label, fontsize=8, color=_QUIET)
    bar.ax.tick_params(which="both", labelsize=7, colors=_QUIET)
    bar.outline.set_visible(False)
    if (high > 50 * low > 0) or not hasattr(image.norm, "base"):
        return
    bar.ax.yaxis.set_minor_formatter(bar.ax.yaxis.get_major_formatter())


def _attention(found: AttentionMap) -> Any:
    count = len(found.tokens)
    side = min(max(4.0, 0.8 + 0.12 * count), 12.0)
    figure = _figure(side + 2.4, side + _AROUND)
    head = "mean over heads" if found.head is None else f"head {found.head}"
    title = f"Attention of block {found.layer}, {head}"
    axes = _axes(figure, found.segments, height=side, title=title, below=found.title)
    axes.set_facecolor("white")
    unseen = np.triu(np.ones((count, count), dtype=np.bool_), k=1)
    beside_the_sink = found.values[:, 1:][found.values[:, 1:] > 0]
    most = float(np.quantile(beside_the_sink, 0.995)) if beside_the_sink.size else 1.0
    image = axes.imshow(
        np.ma.masked_where(unseen, found.values),
        aspect="auto",
        interpolation="nearest",
        cmap=_shades(),
        vmin=0,
        vmax=most,
    )
    _colour_bar(figure, image, found.values, label=found.unit)
    _label_tokens(axes.set_xticks, found.tokens)
    _label_tokens(axes.set_yticks, found.tokens, rotation=0)
    axes.set_ylabel("this token looks …", fontsize=8, color=_QUIET)
    axes.set_xlabel("… at this one", fontsize=8, color=_QUIET)
    return figure


def _summary(found: AttentionSummaryMap) -> Any:
    blocks, heads, segments = found.values.shape
    figure = _figure(1.6 + 1.35 * segments, 1.6 + 0.13 * blocks)
    title = f"Where the reply looked: {found.title}, mean over {found.replied} tokens"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=_INK, parse_math=False)
    row = figure.subplots(1, segments, sharey=True, squeeze=False)[0]
    step = max(1, heads // 4)
    for place, (axes, name) in enumerate(zip(row, found.segment_names, strict=True)):
        image = axes.imshow(
            np.ma.masked_invalid(found.values[:, :, place]),
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            cmap=_shades(),
            vmin=0,
            vmax=1,
        )
        axes.set_facecolor(_NO_VALUE)
        axes.set_title(_shown(name, most=_LONGEST), fontsize=9, color=_INK, parse_math=False)
        axes.set_xticks(range(0, heads, step), range(0, heads, step))
        axes.set_xlabel("head", fontsize=8, color=_QUIET)
        axes.tick_params(length=0, colors=_INK, pad=3, labelsize=8)
        axes.spines[:].set_visible(False)
    row[0].set_ylabel("block", fontsize=8, color=_QUIET)
    _colour_bar(figure, image, found.values, label=found.unit)
    return figure


def _label_tokens(set_ticks: Any, tokens: Sequence[str], *, rotation: int = 90) -> None:
    step = max(1, -(-len(tokens) // _MOST_LABELS))
    places = range(0, len(tokens), step)
    labels = [_shown(tokens[place], most=_LONGEST) for place in places]
    set_ticks(list(places), labels, rotation=rotation, fontsize=6.5, parse_math=False)


def _shown(text: str, *, most: int) -> str:
    """Text on one line, with what the font has no sign for as boxes."""
    line = text.replace("\n", "↵").replace("\t", "⇥").strip(" ") or "␣"
    known = _characters()
    line = "".join(character if ord(character) in known else "□" for character in line)
    return line if len(line) <= most else f"{line[: most - 1]}…"


@cache
def _characters() -> frozenset[int]:
    """What the font of the pictures can show."""
    from matplotlib.font_manager import FontProperties, findfont, get_font  # noqa: PLC0415 - as above

    return frozenset(get_font(findfont(FontProperties())).get_charmap())
