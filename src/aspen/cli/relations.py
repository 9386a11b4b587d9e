"""Commands on the relations between memories: relate, relations, spread, reinforce."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from aspen.cli._ids import whole_memory_id, whole_memory_ids
from aspen.cli._options import JsonOption, StoreOption, boosted, open_aspen
from aspen.cli._recalled import memories_on_paths, put_path
from aspen.cli._screen import on_terminal, one_line, put, put_json, put_table, say
from aspen.cli._standing import correction
from aspen.errors import InvalidInput
from aspen.memory_graph import DEFAULT_TYPE_BOOST
from aspen.types import Memory, Relation, RelationType, Spread
from aspen.validation import check_choice
from aspen.wording import counted

_TYPES = ", ".join(RelationType)
_BOOSTS = ", ".join(f"{kind} {boost:g}" for kind, boost in DEFAULT_TYPE_BOOST.items())


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(relate)
    app.command()(relations)
    app.command()(spread)
    app.command()(reinforce)


def relate(
    context: typer.Context,
    *,
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="Id of the memory that relates to another, or its beginning."),
    ],
    relation: Annotated[str, typer.Argument(metavar="RELATION", help=f"One of {_TYPES}.")],
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="Id of the other memory, or its beginning.")
    ],
    weight: Annotated[
        float | None,
        typer.Option(
            "--weight", metavar="SHARE", help="How strong it is, in [0, 1]. Default: 0.8.", show_default=False
        ),
    ] = None,
    both_ways: Annotated[
        bool, typer.Option("--both-ways", help="Make, or remove, the relation back as well.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the relation.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how one memory relates to another.

    It reads "SOURCE supports TARGET", and activation flows that way. Relating the same again sets the weight;
    removing what is not there changes nothing.

    \b
    Examples:
      aspen relate m_0123456789abcdef0123 supports m_456789abcdef01234567 --weight 0.9
      aspen relate m_0123456789abcdef0123 supports m_456789abcdef01234567 --remove

    \b
    With --json: {"relations": [{"source", "target", "type", "weight", "provenance"}]}, or with --remove {"removed":
      number of relations}
    """
    if remove and weight is not None:
        raise InvalidInput("--remove takes no --weight.", hint="A relation of weight 0 carries nothing.")
    kind = check_choice(relation, RelationType, what="relation")
    removed = 0
    with open_aspen(context, store=store) as aspen:
        first, second = whole_memory_id(aspen, source), whole_memory_id(aspen, target)
        ends = [(first, second), (second, first)] if both_ways else [(first, second)]
        made = [Relation(*pair, kind) for pair in ends]
        if weight is not None:
            made = [replace(one, weight=weight) for one in made]
        if remove:
            removed = sum(aspen.unrelate(*pair, kind) for pair in ends)
        else:
            aspen.relate_many(made)
    if as_json:
        put_json({"removed": removed} if remove else {"relations": made})
    elif remove:
        put(f"removed {counted(removed, 'relation', 'relations')}")
    else:
        for one in made:
            put(f"{one.source} --{one.type}--> {one.target}  {one.weight:.2f}")


def relations(
    context: typer.Context,
    *,
    memory_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Id of a memory, as `list` and `recall` show it, or its beginning."
        ),
    ],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the relations of a memory.

    First those from it, then those to it, heaviest first; at most 10,000 of each.

    \b
    Example:
      aspen relations m_0123456789abcdef0123

    \b
    With --json: {"memory": {id, text, ...}, "relations": [{"source", "target", "type", "weight", "provenance",
      "text": text of the other memory}]}
    """
    with open_aspen(context, store=store) as aspen:
        memory = aspen.repository.get([whole_memory_id(aspen, memory_id)])[0]
        found = aspen.relations(memory.id)
        others = {other.id: other for other in aspen.repository.get([_other(one, memory) for one in found])}
    texts = [others[_other(one, memory)].text for one in found]
    if as_json:
        told = [
            {
                "source": one.source,
                "target": one.target,
                "type": one.type,
                "weight": one.weight,
                "provenance": one.provenance,
                "text": text,
            }
            for one, text in zip(found, texts, strict=True)
        ]
        put_json({"memory": memory, "relations": told})
        return
    _put_relations(memory, found, texts)


def _put_relations(memory: Memory, found: Sequence[Relation], texts: list[str]) -> None:
    rows = [
        ["to" if one.source == memory.id else "from", one.type.value, f"{one.weight:.2f}"] for one in found
    ]
    facts = [[one.provenance.value, _other(one, memory)] for one in found]
    names = ["way", "relation", "weight"]
    if on_terminal():
        rows = [[*row, text] for row, text in zip(rows, texts, strict=True)]
        put_table([*names, "memory"], rows, numbers=["weight"], below=[" · ".join(fact) for fact in facts])
    else:
        rows = [[*row, *fact, text] for row, fact, text in zip(rows, facts, texts, strict=True)]
        put_table([*names, "provenance", "id", "memory"], rows)


def _other(relation: Relation, memory: Memory) -> str:
    return relation.target if relation.source == memory.id else relation.source


def spread(
    context: typer.Context,
    *,
    memory_ids: Annotated[
        list[str],
        typer.Argument(metavar="ID...", help="Ids of the memories to start from, or their beginnings."),
    ],
    hops: Annotated[int, typer.Option("--hops", metavar="N", help="Steps to go, in [0, 3].")] = 2,
    decay: Annotated[
        float, typer.Option("--decay", metavar="SHARE", help="What is left after each step, in (0, 1].")
    ] = 0.6,
    boosts: Annotated[
        list[str] | None,
        typer.Option(
            "--boost",
            metavar="TYPE=FACTOR",
            help=f"Factor in [1, 10] on what memories of a type receive, in place of {_BOOSTS}, others 1; "
            "may be repeated.",
        ),
    ] = None,
    min_weight: Annotated[
        float,
        typer.Option("--min-weight", metavar="SHARE", help="Lighter relations carry nothing; in [0, 1]."),
    ] = 0.0,
    relation_types: Annotated[
        list[str] | None,
        typer.Option(
            "--relation",
            metavar="RELATION",
            help="Only this relation carries; may be repeated. Default: all but next and historical_version_of.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[int, typer.Option("--top", metavar="N", help="Most memories to show, up to 10,000.")] = 10,
    fan: Annotated[
        int, typer.Option("--fan", metavar="N", help="Most relations that carry out of one memory.")
    ] = 64,
    frames: Annotated[bool, typer.Option("--frames", help="Show what arrived in each step as well.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the ways activation took to each memory.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where activation goes from some memories.

    It goes over relations. Each memory named starts with 1. A step carries activation x weight x boost x decay,
    summed over all ways. No model is needed.

    \b
    Examples:
      aspen spread m_0123456789abcdef0123 --explain
      aspen spread m_0123456789abcdef0123 --hops 3 --boost pattern=2 --relation supports --relation causes --frames

    \b
    With --json: {"memories": [{"memory": {id, text, ...}, "activation", "seed", "type_boost", "priority", "paths":
      [{"memories": [ids], "contribution", "via", "relations": [types]}], "corrected_by": null or id}], "frames": [{id:
      what arrived}], one for each step with --frames, and as many "carried": [[{"source", "target", "relation",
      "weight", "carried", "via"}]], the edges, "truncated", "seconds"}
    """
    with open_aspen(context, store=store) as aspen:
        found = aspen.spread_activation(
            whole_memory_ids(aspen, memory_ids),
            max_hops=hops,
            type_boost=boosted(boosts or [], onto=DEFAULT_TYPE_BOOST),
            top_k=top,
            decay=decay,
            min_weight=min_weight,
            relation_types=relation_types or None,
            fan=fan,
            frames=frames,
        )
        known = memories_on_paths(aspen, found.memories) if explain else {}
        shown = sorted({id_ for frame in found.frames for id_ in list(frame)[:top]})
        texts = {memory.id: memory.text for memory in aspen.repository.get(shown)}
    if as_json:
        put_json(
            {
                "memories": found.memories,
                "frames": found.frames,
                "carried": found.carried,
                "truncated": found.truncated,
                "seconds": found.seconds,
            }
        )
        return
    _put_spread(found)
    if explain:
        _put_ways(found, known)
    for hop, frame in enumerate(found.frames):
        put((f"step {hop}" if hop else "start") + ("" if frame else ": nothing arrived"))
        for id_, arrived in list(frame.items())[:top]:
            put(f"   {arrived:.3f}  {id_}  {one_line(texts[id_], most=60)}")
        if len(frame) > top:
            put(f"   and {len(frame) - top:,} more")
    say(f"{len(found.memories)} memories in {found.seconds * 1000:.0f} ms")
    if found.truncated:
        say("a bound kept activation from some of what it could have reached; --fan raises one")


def _put_spread(found: Spread) -> None:
    numbers = [
        [str(rank), f"{one.activation:.3f}", f"{one.seed:.3f}", f"{one.type_boost:g}", f"{one.priority:.2f}"]
        for rank, one in enumerate(found.memories, start=1)
    ]
    facts = [[one.memory.type.value, one.memory.id] for one in found.memories]
    corrected = [one.corrected_by for one in found.memories]
    texts = [one.memory.text for one in found.memories]
    names = ["#", "activation", "seed", "boost", "priority"]
    if on_terminal():
        rows = [[*row, text] for row, text in zip(numbers, texts, strict=True)]
        below = [
            " · ".join(filter(None, [*fact, correction(newer)]))
            for fact, newer in zip(facts, corrected, strict=True)
        ]
        put_table([*names, "memory"], rows, numbers=names, below=below)
    else:
        columns = zip(numbers, facts, corrected, texts, strict=True)
        rows = [[*row, *fact, newer or "", text] for row, fact, newer, text in columns]
        put_table([*names, "type", "id", "corrected_by", "memory"], rows)


def _put_ways(found: Spread, known: dict[str, Memory]) -> None:
    for rank, one in enumerate(found.memories, start=1):
        put(f"{rank}. {one_line(one.memory.text, most=70)}")
        if not one.paths:
            put("   no paths: activation only started here")
        for path in one.paths:
            put_path(path, known, arrived=one.activation - one.seed)


def reinforce(
    context: typer.Context,
    *,
    memory_ids: Annotated[
        list[str],
        typer.Argument(metavar="ID...", help="Ids of memories that were used together, or their beginnings."),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Note that memories were used together.

    Each counts a use, and co_activated relations between them grow, within bounds; those to memories that were not
    used fade. `chat` does this for the memories of its note.

    \b
    Example:
      aspen reinforce m_0123456789abcdef0123 m_456789abcdef01234567 --dry-run

    \b
    With --json: {"changes": [{"source", "target", "before", "after"}], "dry_run": bool}
    """
    with open_aspen(context, store=store) as aspen:
        changes = aspen.reinforce(whole_memory_ids(aspen, memory_ids), dry_run=dry_run)
    if as_json:
        put_json({"changes": changes, "dry_run": dry_run})
        return
    names = ["before", "after", "source", "target"]
    rows = [[f"{one.before:.3f}", f"{one.after:.3f}", one.source, one.target] for one in changes]
    put_table(names, rows, numbers=names[:2])
    if dry_run:
        say("nothing was changed")
