"""Commands on the versions of a memory: correct, restore, history, duplicates, merge."""

from __future__ import annotations

from typing import Annotated

import typer

from aspen.cli._ids import whole_memory_id, whole_memory_ids
from aspen.cli._options import (
    DeviceOption,
    JsonOption,
    LimitOption,
    ModelOption,
    StoreOption,
    from_stdin,
    open_aspen,
    time_of,
)
from aspen.cli._screen import date_of, put, put_json, put_table, say
from aspen.front_door.browsing import ALIKE
from aspen.types import RelationType


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(correct)
    app.command()(restore)
    app.command()(history)
    app.command()(duplicates)
    app.command()(merge)


def correct(
    context: typer.Context,
    *,
    memory_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="Id of the memory that does not hold any more, or its beginning."),
    ],
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help='What holds instead; "-" reads it from standard input.')
    ],
    said_at: Annotated[
        str | None,
        typer.Option("--said-at", metavar="TIME", help="Since when, in ISO 8601; UTC without a zone."),
    ] = None,
    store: StoreOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a text in the place of a memory.

    The old one stays, as its historical version. The new memory takes over speaker, type, stability, importance,
    emotion and tags. In a recall it stands before the old one, which says by what it was corrected. Correcting the
    same again changes nothing.

    \b
    Example:
      aspen correct m_0123456789abcdef0123 "Mara lives in Porto now."

    \b
    With --json: {"memory": {id, text, ...} of what holds now, "corrects": id of the old one}
    """
    moment = time_of(said_at, what="--said-at")
    with open_aspen(context, store=store, model=model, device=device, quiet=as_json) as aspen:
        old = whole_memory_id(aspen, memory_id)
        memory = aspen.correct(old, from_stdin(text), said_at=moment)
    if as_json:
        put_json({"memory": memory, "corrects": old})
        return
    put(memory.id)
    say(f"it holds in place of {old}")


def restore(
    context: typer.Context,
    *,
    memory_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Id of a memory that was corrected or merged into another, or its beginning."
        ),
    ],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a memory hold again that was corrected.

    Or that was merged into another one. What held in its place stays, as a memory beside it.

    \b
    Example:
      aspen restore m_0123456789abcdef0123

    \b
    With --json: {"memory": {id, text, ...} that holds again, "beside": [ids of what held in its place]}
    """
    with open_aspen(context, store=store) as aspen:
        memory_id = whole_memory_id(aspen, memory_id)
        before = aspen.relations(memory_id)
        memory = aspen.restore(memory_id)
    beside = [
        one.target
        for one in before
        if one.source == memory_id and one.type is RelationType.HISTORICAL_VERSION_OF
    ]
    if as_json:
        put_json({"memory": memory, "beside": beside})
        return
    put(memory.id)
    say(f"it holds again, beside {', '.join(beside)}; forget what is wrong")


def history(
    context: typer.Context,
    *,
    memory_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of any version of a memory, or its beginning.")
    ],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show all versions of a memory, oldest first. The last one is what holds now.

    \b
    Example:
      aspen history m_0123456789abcdef0123

    \b
    With --json: {"versions": [{id, text, ...}], "current": id of the last one}
    """
    with open_aspen(context, store=store) as aspen:
        versions = aspen.history(whole_memory_id(aspen, memory_id))
    if as_json:
        put_json({"versions": versions, "current": versions[-1].id})
        return
    rows = [
        [memory.id, date_of(memory.said_at or memory.created_at), "" if memory is versions[-1] else "corrected",
         memory.text]
        for memory in versions
    ]  # fmt: skip
    put_table(["id", "date", "state", "text"], rows)


def duplicates(
    context: typer.Context,
    *,
    threshold: Annotated[
        float,
        typer.Option("--threshold", metavar="SHARE", help="Least likeness, a cosine of keys in [0, 1]."),
    ] = ALIKE,
    limit: LimitOption = 50,
    among: Annotated[
        int, typer.Option("--among", metavar="N", help="Most memories to look at, the newest, up to 100,000.")
    ] = 20_000,
    store: StoreOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show memories that seem to say the same.

    Each beside the older one of the same speaker that it is most like, the most alike first; 1 where the words are
    equal. `merge` lets one hold for others.

    \b
    Examples:
      aspen duplicates
      aspen duplicates --threshold 0.7 --limit 10

    \b
    With --json: {"pairs": [{"first": {id, text, ...}, "second": {id, text, ...}, "similarity": in [0, 1]}]}
    """
    with open_aspen(context, store=store, model=model, device=device, quiet=as_json) as aspen:
        pairs = aspen.duplicates(threshold=threshold, limit=limit, among=among)
    if as_json:
        put_json({"pairs": pairs})
        return
    rows = [
        [f"{pair.similarity:.2f}", memory.id, memory.text]
        for pair in pairs
        for memory in (pair.first, pair.second)
    ]
    put_table(["likeness", "id", "text"], rows, numbers=["likeness"])


def merge(
    context: typer.Context,
    *,
    keep_id: Annotated[
        str, typer.Argument(metavar="KEEP", help="Id of the memory that is to hold, or its beginning.")
    ],
    other_ids: Annotated[
        list[str],
        typer.Argument(metavar="ID...", help="Ids of the memories that say the same, or their beginnings."),
    ],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let one memory hold for others that say the same.

    It takes over their relations. They stay, as its historical versions, and `restore` lets each hold again.

    \b
    Example:
      aspen merge m_0123456789abcdef0123 m_456789abcdef01234567

    \b
    With --json: {"memory": {id, text, ...} that holds, "merged": [ids of the others]}
    """
    with open_aspen(context, store=store) as aspen:
        other_ids = whole_memory_ids(aspen, other_ids)
        memory = aspen.merge(whole_memory_id(aspen, keep_id), *other_ids)
    merged = [id_ for id_ in dict.fromkeys(other_ids) if id_ != memory.id]
    if as_json:
        put_json({"memory": memory, "merged": merged})
        return
    put(memory.id)
    say(f"it holds in place of {', '.join(merged)}")
