"""How an edited run is told to a person: tokens side by side, and a heat map."""

from __future__ import annotations

from itertools import groupby

from aspen.cli._screen import one_line, put, put_table, say, width
from aspen.seed_manager import Difference, TokenPair, heat_map

_AROUND = 3
"""Tokens shown on either side of what differs."""


def put_difference(difference: Difference) -> None:
    """Both replies, the tokens that differ, and where activations part."""
    put(difference.explain(), style="bold")
    if not difference.faithful:
        say(
            "The recorded inference itself did not come out as recorded: see `aspen replay` without a change.",
            style="yellow",
        )
    put()
    rows = [
        [name, str(run.seed), f"{run.sampler.temperature:g}", run.reply]
        for name, run in (("before", difference.before), ("after", difference.after))
    ]
    put_table(["run", "seed", "temperature", "reply"], rows, numbers=["seed", "temperature"])
    put()
    put_table(["part", "before", "after"], _side_by_side(difference.tokens))
    _put_heat_map(difference)


def _side_by_side(tokens: tuple[TokenPair, ...]) -> list[list[str]]:
    """Runs of equal and of differing tokens in turn; long equal runs show their ends."""
    rows = []
    for (in_prompt, same), group in groupby(tokens, key=lambda pair: (pair.in_prompt, pair.same)):
        pairs = list(group)
        part = "prompt" if in_prompt else "reply"
        if not same:
            before = "".join(pair.before_text or "" for pair in pairs)
            after = "".join(pair.after_text or "" for pair in pairs)
            rows.append([part, f"- {_visible(before)}", f"+ {_visible(after)}"])
            continue
        text = "".join(pair.before_text or "" for pair in pairs)
        if len(pairs) > 2 * _AROUND + 1:
            ends = pairs[:_AROUND], pairs[-_AROUND:]
            first, last = ("".join(pair.before_text or "" for pair in end) for end in ends)
            text = f"{first} … {len(pairs) - 2 * _AROUND} tokens … {last}"
        rows.append([part, f"  {_visible(text)}", "  same"])
    return rows


def _visible(text: str) -> str:
    return one_line(text.replace("\n", "\\n")) or '""'


def _put_heat_map(difference: Difference) -> None:
    found = difference.divergence
    drawn = heat_map(found, width=width())
    if drawn is None:
        return
    put()
    put(
        f"Distance of the residual streams from there on, by layer (deepest first) and shared token; {drawn.tokens}, "
        f"█ is {drawn.scale:.0%} of their length"
    )
    for line in drawn.lines():
        put(line, style="magenta")
    first, last = (one_line(found.texts[place].replace("\n", "\\n"), most=20) for place in (0, -1))
    put(f"{'':>9}{first!r} to {last!r}")
    apart = f"apart by {found.rounding:.1e}, which is rounding" if found.rounding else "bit-equal"
    say(f"before the first token that differs they are {apart}")
