"""Commands that put memories in, and change what kind they are: remember, amend."""

from __future__ import annotations

from types import EllipsisType
from typing import Annotated

import typer

from aspen.cli._ids import whole_memory_id
from aspen.cli._options import (
    DeviceOption,
    JsonOption,
    ModelOption,
    StoreOption,
    from_stdin,
    open_aspen,
)
from aspen.cli._screen import put, put_json, say
from aspen.errors import InvalidInput
from aspen.items import IMPORTANCES, checked_item, memory_id
from aspen.types import Emotion, MemoryType, Stability

_TYPES = ", ".join(MemoryType)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(remember)
    app.command()(amend)


def remember(
    context: typer.Context,
    *,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help='What to remember; "-" reads it from standard input.')
    ],
    speaker: Annotated[str | None, typer.Option("--speaker", metavar="NAME", help="Who said it.")] = None,
    said_at: Annotated[
        str | None, typer.Option("--said-at", metavar="TIME", help="When, in ISO 8601; UTC without a zone.")
    ] = None,
    conversation: Annotated[
        str | None,
        typer.Option("--conversation", "-c", metavar="NAME", help="The conversation it belongs to."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="NAME", help="Where it comes from; tells equal texts apart."),
    ] = None,
    kind: Annotated[
        MemoryType | None,
        typer.Option(
            "--type", metavar="TYPE", help=f"One of {_TYPES}. Default: episodic.", show_default=False
        ),
    ] = None,
    stability: Annotated[
        Stability | None,
        typer.Option(
            "--stability",
            metavar="STABILITY",
            help=f"How settled it is: {', '.join(Stability)}. Default: tentative.",
            show_default=False,
        ),
    ] = None,
    importance: Annotated[
        str | None,
        typer.Option(
            "--importance",
            metavar="SHARE",
            help="In [0, 1], or high (1), medium (.6, the default) or low (.3).",
        ),
    ] = None,
    emotion: Annotated[
        str | None,
        typer.Option(
            "--emotion",
            metavar="LABEL:INTENSITY",
            help="A feeling that goes with it, its intensity in [0, 1].",
        ),
    ] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", metavar="NAME", help="A tag; may be repeated.")
    ] = None,
    store: StoreOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remember one text. Remembering the same again changes nothing.

    A memory is told from others by its text, speaker, time, conversation and source, and keeps the kind that it had
    first.

    \b
    Examples:
      aspen remember "I adopted a cat" --speaker Ann --said-at 2026-05-02
      aspen remember "Evenings are for my family" --type belief --importance high --emotion calm:0.8 --tag family

    \b
    With --json: {"memory": {id, text, speaker, said_at, type, stability, importance, emotion, tags, ...}, "new": bool}
    """
    given = {
        "type": kind,
        "stability": stability,
        "importance": None if importance is None else _importance(importance),
        "emotion": None if emotion is None else _emotion(emotion),
        "tags": tags or None,
    }
    of_kind = {name: value for name, value in given.items() if value is not None}
    item = checked_item(
        {
            "text": from_stdin(text),
            "speaker": speaker,
            "said_at": said_at,
            "conversation": conversation,
            "source": source,
            **of_kind,
        }
    )
    with open_aspen(context, store=store, model=model, device=device, create=True, quiet=as_json) as aspen:
        new = not aspen.repository.known([memory_id(item)])
        memory = aspen.remember_many([item])[0]
    if as_json:
        put_json({"memory": memory, "new": new})
        return
    put(memory.id)
    if new:
        say(f"remembered, {memory.token_count} tokens")
        return
    kept = [name for name in of_kind if getattr(memory, name) != getattr(item, name)]
    say(f"this was remembered before{', and keeps its ' if kept else ''}{', '.join(kept)}")


def amend(
    context: typer.Context,
    *,
    memory_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Id of a memory, as `list` and `recall` show it, or its beginning."
        ),
    ],
    kind: Annotated[
        MemoryType | None, typer.Option("--type", metavar="TYPE", help=f"One of {_TYPES}.")
    ] = None,
    stability: Annotated[
        Stability | None,
        typer.Option("--stability", metavar="STABILITY", help=f"How settled it is: {', '.join(Stability)}."),
    ] = None,
    importance: Annotated[
        str | None,
        typer.Option(
            "--importance", metavar="SHARE", help="In [0, 1], or high (1), medium (.6) or low (.3)."
        ),
    ] = None,
    emotion: Annotated[
        str | None,
        typer.Option(
            "--emotion",
            metavar="LABEL:INTENSITY",
            help='A feeling, its intensity in [0, 1]; "none" for none.',
        ),
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="NAME", help="A tag, in place of those it has; may be repeated."),
    ] = None,
    no_tags: Annotated[bool, typer.Option("--no-tags", help="Take all tags away.")] = False,
    version: Annotated[
        int | None,
        typer.Option("--version", metavar="N", help="Refuse where it was amended since it had this version."),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change what kind of memory it is, in place.

    What is not given stays; its version counts one more. Another text is a correction: see `correct`.

    \b
    Examples:
      aspen amend m_0123456789abcdef0123 --type belief --stability canonical
      aspen amend m_0123456789abcdef0123 --importance low --no-tags --emotion none --version 2

    \b
    With --json: {"memory": {id, text, type, stability, importance, emotion, tags, version, ...}}
    """
    if tags and no_tags:
        raise InvalidInput("--tag and --no-tags exclude each other.", hint="Leave one of them out.")
    feeling: Emotion | EllipsisType | None = ...
    if emotion is not None:
        feeling = None if emotion == "none" else _emotion(emotion)
    with open_aspen(context, store=store) as aspen:
        memory = aspen.amend(
            whole_memory_id(aspen, memory_id),
            version=version,
            type=kind,
            stability=stability,
            importance=None if importance is None else _importance(importance),
            emotion=feeling,
            tags=() if no_tags else tags or None,
        )
    if as_json:
        put_json({"memory": memory})
        return
    put(memory.id)
    felt = f", {memory.emotion.label} {memory.emotion.intensity:.2f}" if memory.emotion else ""
    tagged = f", {', '.join(memory.tags)}" if memory.tags else ""
    say(
        f"version {memory.version}: {memory.type}, {memory.stability}, importance {memory.importance:.2f}{felt}{tagged}"
    )


def _importance(text: str) -> float | str:
    try:
        return text if text in IMPORTANCES else float(text)
    except ValueError as error:
        raise InvalidInput(
            f"importance {text!r} is no number.", hint=f"One in [0, 1], or one of {', '.join(IMPORTANCES)}."
        ) from error


def _emotion(text: str) -> Emotion:
    label, _, intensity = text.rpartition(":")
    try:
        return Emotion(label, float(intensity))
    except ValueError as error:
        raise InvalidInput(
            f"emotion {text!r} has no intensity.",
            hint="Write it as in joy:0.8, a number in [0, 1] at the end.",
        ) from error
