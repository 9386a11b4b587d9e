"""The command `recall`: memories for a prompt, and why these."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, TypedDict

import typer

from aspen.cli._options import (
    ConversationOption,
    DeviceOption,
    JsonOption,
    LimitOption,
    ModelOption,
    SpeakerOption,
    StoreOption,
    boosted,
    from_stdin,
    open_aspen,
    time_of,
)
from aspen.cli._recalled import memories_on_paths, put_fusion, put_recall, put_ways, recall_data, say_how
from aspen.cli._screen import put_json
from aspen.memory_graph import DEFAULT_PRESET, PRESETS, SpreadingSettings, preset_settings
from aspen.types import MemoryType

_TYPES = ", ".join(MemoryType)


class _Spreading(TypedDict, total=False):
    preset: str
    spreading: SpreadingSettings


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(recall)


def recall(
    context: typer.Context,
    *,
    prompt: Annotated[
        str,
        typer.Argument(
            metavar="PROMPT", help='What to recall memories for; "-" reads it from standard input.'
        ),
    ],
    limit: LimitOption = 10,
    conversation: ConversationOption = None,
    no_spread: Annotated[
        bool,
        typer.Option(
            "--no-spread", help="Do not let activation spread to neighbouring turns, or over relations."
        ),
    ] = False,
    preset: Annotated[
        str,
        typer.Option(
            "--preset", metavar="NAME", help=f"How activation spreads over relations: {', '.join(PRESETS)}."
        ),
    ] = DEFAULT_PRESET,
    hops: Annotated[
        int | None,
        typer.Option(
            "--hops", metavar="N", help="Steps over relations, in [0, 3], in place of the preset's."
        ),
    ] = None,
    decay: Annotated[
        float | None,
        typer.Option(
            "--decay", metavar="SHARE", help="What is left after each step over relations, in (0, 1]."
        ),
    ] = None,
    boosts: Annotated[
        list[str] | None,
        typer.Option(
            "--boost",
            metavar="TYPE=FACTOR",
            help="Factor in [1, 10] on what memories of a type receive, in place of the preset's; may be repeated.",
        ),
    ] = None,
    types: Annotated[
        list[MemoryType] | None,
        typer.Option("--type", metavar="TYPE", help=f"Only this type: {_TYPES}; may be repeated."),
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tag", metavar="NAME", help="Only memories with this tag, or one of several; may be repeated."
        ),
    ] = None,
    speaker: SpeakerOption = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Only what was said then or later, in ISO 8601; UTC without a zone.",
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Only what was said before.")
    ] = None,
    asked_at: Annotated[
        str | None,
        typer.Option(
            "--asked-at",
            metavar="TIME",
            help='When this is asked: "last week" counts from there. Default: now.',
            show_default=False,
        ),
    ] = None,
    arms: Annotated[
        list[str] | None,
        typer.Option(
            "--arm",
            metavar="NAME",
            help="Run this arm only: activation, keyword, heads, and beside one of them the priors subject, dates, "
            "traits; may be repeated.",
        ),
    ] = None,
    rerank: Annotated[
        bool,
        typer.Option(
            "--rerank", help="Read the first hits again together with the prompt, and order them by that."
        ),
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Show the candidates of each arm, what fusion and spreading changed, and the ways activation took.",
        ),
    ] = False,
    store: StoreOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the memories that resonate with a prompt, best first.

    The score is in standard deviations over the candidates; beside it stand its parts. "familiar" is how likely it
    is, in [0, 1], that the memory answers the prompt. With --explain each way that activation took comes with what it
    added, and with its share of all that came in this manner: over relations, names or neighbouring turns. A table then
    has the rank of each memory in every arm and before spreading, and what spreading added to which score.

    \b
    Examples:
      aspen recall "Who lives in Portugal?"
      aspen recall "Who lives in Portugal?" --arm keyword --no-spread --json
      aspen recall "How do I handle burnout?" --preset character --type belief --type self --explain
      aspen recall "How do I handle burnout?" --hops 3 --decay 0.8 --boost belief=2 --explain

    \b
    With --json: {"prompt", "hits": [{"memory": {id, text, ...}, "score", "arms": {name: part of the score},
      "paths": [{"memories": [ids], "contribution", "via", "relations": [types]}], "familiarity", "seed_score",
      "activation", "type_boost", "priority", "corrected_by": id or null}], "familiarity", "candidates", "arms":
      [{"name", "ran", "reason", "seconds"}], "partial_pass": {"depth", "n_layers", "tokens", "seconds"} or null,
      "seconds", "truncated"}; with --explain also "explanation": {"arms": {name: [{"memory_id", "raw", "z", "rank"}]},
      "units" and "weights": {name of the arm: ...}, "fused": [{"memory_id", "score", "parts", "added", "final",
      "place", "arrived", "takes_in", "boosted"}], "frames": [{"activation": {id: what arrived}, "edges": [{"source",
      "target", "relation", "weight", "carried", "via"}], "left_out"}], "memories": {id: {id, text, ...}}}
    """
    prompt = from_stdin(prompt)
    with open_aspen(context, store=store, model=model, device=device, quiet=as_json) as aspen:
        found = aspen.recall(
            prompt,
            limit=limit,
            conversation=conversation,
            use_spreading_activation=not no_spread,
            **_spreading(preset, hops=hops, decay=decay, boosts=boosts or []),
            arms=arms or None,
            types=types or None,
            tags=tags or None,
            speaker=speaker,
            since=time_of(since, what="--since"),
            until=time_of(until, what="--until"),
            asked_at=time_of(asked_at, what="--asked-at"),
            rerank=rerank,
            explain=explain,
        )
        known = memories_on_paths(aspen, found.hits) if explain else {}
    if as_json:
        put_json(recall_data(found))
        return
    put_recall(found)
    if explain:
        put_ways(found, known)
        put_fusion(found)
    say_how(found)


def _spreading(preset: str, *, hops: int | None, decay: float | None, boosts: list[str]) -> _Spreading:
    """The preset by its name, or with what is given in the place of its own settings."""
    if hops is None and decay is None and not boosts:
        return {"preset": preset}
    own = preset_settings(preset)
    kinds = boosted(boosts, onto=own.type_boost)
    return {
        "spreading": replace(
            own,
            max_hops=own.max_hops if hops is None else hops,
            decay=own.decay if decay is None else decay,
            type_boost={str(kind): factor for kind, factor in kinds.items()},
        )
    }
