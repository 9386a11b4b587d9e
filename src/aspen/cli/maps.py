"""The command `map`: where in the model something happened, by layer and token."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from aspen.aspen import Aspen
from aspen.cli._ids import whole_trace_id
from aspen.cli._options import DeviceOption, JsonOption, ModelOption, StoreOption, open_aspen
from aspen.cli._screen import as_data, one_line, put, put_json, put_table, say, width
from aspen.errors import InvalidInput
from aspen.files import write_atomically
from aspen.memory_viewer import (
    MEASURES,
    AttentionMap,
    MapComparison,
    TraceMap,
    attention_map,
    compare_traces,
    png,
    trace_map,
)
from aspen.plotting import check_plotting
from aspen.seed_manager import shaded
from aspen.types import FloatArray

_STRONGEST = 8
"""Pairs of tokens that are shown of an attention map."""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("map")(show_map)


def show_map(
    context: typer.Context,
    *,
    trace_id: Annotated[
        str,
        typer.Argument(metavar="TRACE_ID", help="Id of a trace, as `traces` shows it, or its beginning."),
    ],
    measure: Annotated[
        str, typer.Option("--measure", metavar="NAME", help=f"What to measure: {', '.join(MEASURES)}.")
    ] = "norm",
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="TEXT", help="What resonance is held against.")
    ] = None,
    other: Annotated[
        str | None,
        typer.Option(
            "--with", metavar="TRACE_ID", help="Compare with this trace, where both have the same token."
        ),
    ] = None,
    attention: Annotated[
        int | None,
        typer.Option("--attention", metavar="BLOCK", help="The attention of this block instead, from 0 on."),
    ] = None,
    head: Annotated[
        int | None,
        typer.Option(
            "--head",
            metavar="N",
            help="Of this head, from 0 on. Default: the mean over all.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help="Draw it here as well (.png).")
    ] = None,
    store: StoreOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where in the model it happened, by layer and token.

    norm: how long the residual stream is. change: how much each block changed it. surprise: how little some layers
    expected each token, in bits, by the logit lens. resonance: how like each state is to those of a prompt, as a cosine
    without what all states share. A trace that keeps no activations is fed again and verified.

    \b
    Examples:
      aspen map t_0123456789abcdef
      aspen map t_0123456789abcdef --measure resonance --prompt "Who lives in Portugal?" --png map.png
      aspen map t_0123456789abcdef --attention 15 --head 6

    \b
    With --json: {"title", "measure", "unit", "layers": [numbers], "tokens": [texts], "values": [[of each token, or
      null] of each layer], "segments": [{"name", "start", "stop"}], "prompt"}; with --with {"first", "second" and
      "difference": as above, "first_places" and "second_places": [columns of each]}; with --attention {"title",
      "layer", "head", "unit", "tokens", "segments", "segment_names", "values": [[on each token] of each token],
      "by_segment": [[on each segment] of each token]}
    """
    if attention is None and head is not None:
        raise InvalidInput("A head is one of a block.", hint="Name the block with --attention.")
    if attention is not None and (other is not None or measure != "norm" or prompt is not None):
        raise InvalidInput("Attention is a map of its own.", hint="Leave --measure, --prompt and --with out.")
    if file is not None:
        check_plotting(file, option="--png", endings=(".png",))
    with open_aspen(context, store=store, model=model, device=device, quiet=as_json) as aspen:
        found = _found(aspen, trace_id, measure, prompt=prompt, other=other, attention=attention, head=head)
    if file is not None:
        with write_atomically(file) as aside:
            aside.write_bytes(png(found))
    if as_json:
        put_json(_data(found))
    elif isinstance(found, MapComparison):
        for one in (found.first, found.second, found.difference):
            _put_map(one)
            put()
    elif isinstance(found, TraceMap):
        _put_map(found)
    else:
        _put_attention(found)
    if file is not None and not as_json:
        say(f"drawn to {file}")


def _found(
    aspen: Aspen,
    trace_id: str,
    measure: str,
    *,
    prompt: str | None,
    other: str | None,
    attention: int | None,
    head: int | None,
) -> TraceMap | MapComparison | AttentionMap:
    trace_id = whole_trace_id(aspen, trace_id)
    if attention is not None:
        return attention_map(aspen, trace_id, layer=attention, head=head)
    if other is not None:
        return compare_traces(aspen, trace_id, whole_trace_id(aspen, other), measure=measure, prompt=prompt)
    return trace_map(aspen, trace_id, measure=measure, prompt=prompt)


def _data(found: TraceMap | MapComparison | AttentionMap) -> dict[str, object]:
    """A map as plain data for JSON; null where there is no value."""
    if isinstance(found, MapComparison):
        return {
            **{name: _data(getattr(found, name)) for name in ("first", "second", "difference")},
            "first_places": found.first_places.tolist(),
            "second_places": found.second_places.tolist(),
        }
    data = {name: getattr(found, name) for name in found.__slots__}
    return {
        name: _rows(value) if isinstance(value, np.ndarray) else as_data(value)
        for name, value in data.items()
    }


def _rows(values: NDArray[np.float32]) -> list[list[float | None]]:
    return [[cell if np.isfinite(cell) else None for cell in row] for row in values.tolist()]


def _put_map(one: TraceMap) -> None:
    """In shades, and the cell that stands out most."""
    put(f"{one.title}: {one.measure}, {one.unit}", style="bold")
    if not one.tokens:
        put("no token is shared")
        return
    values: FloatArray = np.abs(one.values)
    inner = values[:, 1:] if values.shape[1] > 1 else values
    there = inner[np.isfinite(inner)]
    scale = float(np.quantile(there, 0.98)) if there.size else 0.0
    drawn = shaded(values, layers=one.layers, width=width(), scale=scale)
    for line in drawn.lines():
        put(line, style="magenta")
    first, last = (one_line(one.tokens[place].replace("\n", "\\n"), most=20) for place in (0, -1))
    put(f"{'':>9}{first!r} to {last!r}; {drawn.tokens}, █ is {_number(drawn.scale)} and more")
    if there.size:
        row, column = np.unravel_index(int(np.nanargmax(inner)), inner.shape)
        token = column + (values.shape[1] > 1)
        put(
            f"{'':>9}most at token {token} ({one.tokens[token]!r}), layer {one.layers[row]}: "
            f"{_number(float(one.values[row, token]))}"
        )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _put_attention(found: AttentionMap) -> None:
    """What the reply, or without one the last token, looked at most beside the attention sink."""
    values = found.values.copy()
    values[:, 0] = 0
    strongest = np.argsort(-values, axis=None)[:_STRONGEST]
    rows = [
        [
            f"{values[row, column]:.2f}",
            f"{found.tokens[row]!r} ({row})",
            f"{found.tokens[column]!r} ({column})",
        ]
        for row, column in (divmod(int(place), len(values)) for place in strongest)
    ]
    head = "mean over heads" if found.head is None else f"head {found.head}"
    put(
        f"{found.title}: attention of block {found.layer}, {head}; strongest beside the first token",
        style="bold",
    )
    put_table(["share", "token", "looks at"], rows, numbers=["share"])
    shares = found.by_segment.mean(axis=0).tolist()
    put(
        "on each segment: "
        + ", ".join(f"{n} {s:.0%}" for n, s in zip(found.segment_names, shares, strict=True))
    )
