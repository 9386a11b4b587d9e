"""Maps as pictures: every kind is drawn, whatever its tokens say, and none of them is empty."""

from __future__ import annotations

import struct
import sys
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from tests.unit.memory_viewer.conftest import chat

from aspen import Aspen
from aspen.errors import MissingDependency
from aspen.memory_viewer import (
    AttentionSummaryMap,
    TraceMap,
    attention_map,
    attention_summary,
    compare_traces,
    png,
    trace_map,
)
from aspen.types import Segment

pytest.importorskip("matplotlib")


def size(picture: bytes) -> tuple[int, int]:
    """Width and height; checks that it is a PNG."""
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", picture[16:24])
    return int(width), int(height)


def colours(picture: bytes) -> int:
    from matplotlib.image import imread  # noqa: PLC0415 - an extra

    return len(np.unique(imread(BytesIO(picture), format="png").reshape(-1, 4), axis=0))


def a_map(*, tokens: int = 12, layers: int = 5, measure: str = "norm") -> TraceMap:
    values = np.random.default_rng(0).gamma(2, 50, (layers, tokens)).astype(np.float32)
    return TraceMap(
        title="t_1",
        measure=measure,
        unit="length",
        layers=tuple(range(layers)),
        tokens=tuple(f"w{n}" for n in range(tokens)),
        values=values,
        segments=(Segment("sink", 0, 1), Segment("user", 1, tokens)) if tokens > 1 else (),
        prompt="Who?" if measure == "resonance" else None,
    )


@pytest.mark.parametrize("measure", ["norm", "change", "surprise", "resonance", "divergence"])
def test_each_measure_is_drawn(measure: str) -> None:
    picture = png(a_map(measure=measure))
    assert size(picture) > (600, 200)
    assert colours(picture) > 50


@pytest.mark.parametrize("values", [0.0, np.nan, 7.0, -1.0])
def test_a_map_of_one_value_and_of_none_is_drawn(values: float) -> None:
    one = a_map()
    for measure in ("norm", "surprise"):
        assert png(replace(one, measure=measure, values=np.full_like(one.values, values)))


@pytest.mark.parametrize(("tokens", "layers"), [(1, 1), (2, 2), (0, 5), (900, 40)])
def test_maps_of_any_size_are_drawn(tokens: int, layers: int) -> None:
    width, height = size(png(a_map(tokens=tokens, layers=layers)))
    assert width <= 2600
    assert height <= 900


def test_hostile_tokens_are_drawn_as_text() -> None:
    texts = ["$\\frac{1}$", "\0", "\x1b[31m", "日本", "\u202e", "a" * 5000, "\n", "", "🦊", "\ud800", "<b>"]
    one = a_map(tokens=len(texts))
    hostile = replace(
        one,
        tokens=tuple(texts),
        title="$\\bad{",
        measure="resonance",
        prompt="$x_1$ \0 日本 " * 50,
        segments=(Segment("$x$日", 0, len(texts)),),
    )
    assert colours(png(hostile)) > 50


def test_traces_are_drawn(aspen: Aspen) -> None:
    first, second = (chat(aspen, text, conversation=text) for text in ("Where is Mara?", "Where is Paul?"))
    pictures = [
        png(trace_map(aspen, first)),
        png(compare_traces(aspen, first, second)),
        png(attention_map(aspen, first, layer=1, head=0)),
        png(attention_summary(aspen, first)),
    ]
    assert all(colours(picture) > 50 for picture in pictures)
    assert size(pictures[1])[1] > 2 * size(pictures[0])[1]


def test_a_reply_that_never_looked_is_drawn() -> None:
    nothing = np.full((3, 2, 2), np.nan, dtype=np.float32)
    assert size(png(AttentionSummaryMap("t_1", ("sink", "user"), 0, nothing)))


def test_without_matplotlib_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependency, match="matplotlib") as missing:
        png(a_map())
    assert "pip install" in missing.value.hint
