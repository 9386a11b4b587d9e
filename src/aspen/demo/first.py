"""Process one: a person talks with the model in some conversations; every turn is recorded and stored."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.text import Text

from aspen.aspen import Aspen
from aspen.demo import screens
from aspen.demo.drawing import Streaming, make_console
from aspen.demo.part import Settings, run_part
from aspen.demo.story import MAX_TOKENS, TURNS, Turn
from aspen.turns import Reply
from aspen.types import Trace


def tell(aspen: Aspen, console: Console, settings: Settings) -> int:
    """Play the first part; returns the exit code."""
    turns = [turn for turn in TURNS if turn.quick or not settings.quick]
    conversation = None
    for number, turn in enumerate(turns, start=1):
        if turn.conversation != conversation:
            conversation = turn.conversation
            console.print()
            console.rule(Text(f"conversation: {conversation}", style="bold"), align="left", style="dim")
        started = time.perf_counter()
        reply = _answered(aspen, console, turn, number=number)
        recalled = reply.recall.seconds if reply.recall else 0.0
        beside = time.perf_counter() - started - recalled - reply.prefill_seconds - reply.decode_seconds
        trace = aspen.trace(str(reply.trace_id))
        size = next(t.size for t in aspen.repository.traces(limit=1) if t.id == reply.trace_id)
        console.print(screens.recorded(reply, trace, size=size, seconds=beside))
    console.print()
    console.print(screens.inside(trace, pushes=_pushes(trace), attention=_attention(trace)))
    return 0


def _answered(aspen: Aspen, console: Console, turn: Turn, *, number: int) -> Reply:
    pieces: list[str] = []
    with Streaming(console, lambda: screens.turn(number, turn.text, "".join(pieces))) as screen:

        def on_text(piece: str) -> None:
            pieces.append(piece)
            screen.update()

        return aspen.chat(
            turn.text,
            conversation=turn.conversation,
            seed=turn.seed,
            memory=turn.memory,
            max_tokens=MAX_TOKENS,
            on_text=on_text,
        )


def _pushes(trace: Trace) -> Sequence[float]:
    """How far each block moves the residual stream of the reply, relative to its length before the block."""
    states = trace.pooled.reply
    moved = np.linalg.norm(np.diff(states, axis=0), axis=1)
    return [float(share) for share in moved / np.linalg.norm(states[:-1], axis=1)]


def _attention(trace: Trace) -> dict[str, float]:
    """Share of the reply's attention on each part of what it could see, averaged over layers, heads and tokens."""
    mass = trace.attention.mass.astype(np.float64).mean(axis=(0, 1, 2))
    return dict(zip(trace.attention.segments, mass.tolist(), strict=True))


if __name__ == "__main__":
    sys.exit(run_part(tell, make_console(), name="Process one"))
