"""Commands that look through memories, and forget them: list, show, forget."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from aspen.aspen import Aspen
from aspen.cli._ids import whole_memory_ids
from aspen.cli._listing import put_list
from aspen.cli._options import (
    ConversationOption,
    JsonOption,
    LimitOption,
    SeedFilterOption,
    SpeakerOption,
    StoreOption,
    open_aspen,
    time_of,
)
from aspen.cli._screen import confirmed, one_line, put, put_json, put_table, say
from aspen.cli._standing import Standing, standings, uses
from aspen.cli.traces import put_traces, trace_data
from aspen.errors import AspenError, InvalidInput
from aspen.types import Forgetting, MemorySort, MemoryType, Provenance, Stability, Trace
from aspen.wording import counted


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("list")(list_memories)
    app.command()(show)
    app.command()(forget)


def list_memories(
    context: typer.Context,
    *,
    text: Annotated[
        str | None,
        typer.Option(
            "--text",
            metavar="WORDS",
            help="Only what has all these words; of the last, a beginning is enough.",
        ),
    ] = None,
    kind: Annotated[
        MemoryType | None,
        typer.Option("--type", metavar="TYPE", help=f"Only this type: {', '.join(MemoryType)}."),
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", metavar="NAME", help="Only what has this tag.")] = None,
    conversation: ConversationOption = None,
    speaker: SpeakerOption = None,
    provenance: Annotated[
        Provenance | None,
        typer.Option("--provenance", metavar="ORIGIN", help=f"Only what was {', '.join(Provenance)}."),
    ] = None,
    stability: Annotated[
        Stability | None,
        typer.Option("--stability", metavar="STABILITY", help=f"Only what is {', '.join(Stability)}."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Only what was said, or else stored, then or later, in ISO 8601; UTC without a zone.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Only what was said, or else stored, before."),
    ] = None,
    min_priority: Annotated[
        float | None,
        typer.Option(
            "--min-priority", metavar="SHARE", help="Only what matters as much just now, in [0, 1]."
        ),
    ] = None,
    sort: Annotated[
        MemorySort | None,
        typer.Option(
            "--sort",
            metavar="ORDER",
            help="newest or oldest by when it was stored, priority, or used: used last. Default: newest.",
            show_default=False,
        ),
    ] = None,
    cursor: Annotated[
        str | None,
        typer.Option(
            "--cursor", metavar="CURSOR", help="Go on where a page ended: what that page says is next."
        ),
    ] = None,
    seed: SeedFilterOption = None,
    limit: LimitOption = 50,
    conversations: Annotated[
        bool, typer.Option("--conversations", help="List the conversations in place of memories.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List memories, or conversations, newest first.

    With --seed, the traces of a seed and the memories of their turns.
    "priority" in [0, 1] is how much a memory matters just now; what was corrected says by which memory.

    \b
    Examples:
      aspen list --conversation pets --limit 5
      aspen list --text "lisbon mov" --type belief --sort priority
      aspen list --conversations
      aspen list --seed 7

    \b
    With --json: {"memories": [{id, text, type, tags, access_count, version, ..., "priority", "corrected_by": id of what
      holds instead, or null}], "total": number of all that fit, "next": cursor of the next page, or null}, or
      {"conversations": [{"name", "memories", "first_seq", "last_seq"}]}; with --seed "traces" in place of "total" and
      "next": as in `traces --json`
    """
    narrowed = [text, kind, tag, provenance, stability, since, until, min_priority, sort, cursor]
    if conversations and seed is not None:
        raise InvalidInput("Conversations have no seed.", hint="Leave --conversations or --seed out.")
    if (conversations or seed is not None) and any(value is not None for value in narrowed):
        raise InvalidInput(
            "With --seed or --conversations there are no filters but --conversation and --speaker.",
            hint="Leave the others out.",
        )
    with open_aspen(context, store=store) as aspen:
        if conversations:
            _put_conversations(aspen, as_json=as_json)
            return
        if seed is not None:
            _put_seed(aspen, seed, conversation, speaker=speaker, limit=limit, as_json=as_json)
            return
        page = aspen.page(
            text=text,
            type=kind,
            tag=tag,
            conversation=conversation,
            speaker=speaker,
            provenance=provenance,
            stability=stability,
            since=time_of(since, what="--since"),
            until=time_of(until, what="--until"),
            min_priority=min_priority,
            sort=sort or MemorySort.NEWEST,
            cursor=cursor,
            limit=limit,
        )
        listed = standings(aspen, page.memories)
    if as_json:
        put_json({"memories": [one.data() for one in listed], "total": page.total, "next": page.next})
        return
    put_list(listed)
    if page.next is not None:
        say(f"{len(listed):,} of {page.total:,}; --cursor {page.next} goes on")


def _put_conversations(aspen: Aspen, *, as_json: bool) -> None:
    known = aspen.conversations()
    if as_json:
        put_json({"conversations": known})
    else:
        rows = [[str(entry.memories), entry.name] for entry in known]
        put_table(["memories", "conversation"], rows, numbers=["memories"])


def _put_seed(
    aspen: Aspen, seed: int, conversation: str | None, *, speaker: str | None, limit: int, as_json: bool
) -> None:
    found = aspen.repository.traces(conversation=conversation, seed=seed, limit=limit)
    memories = aspen.repository.from_traces([trace.id for trace in found])[::-1]
    listed = standings(aspen, [memory for memory in memories if speaker in (None, memory.speaker)])
    if as_json:
        data = [one.data() for one in listed]
        put_json({"memories": data, "traces": [trace_data(one) for one in found]})
        return
    put_traces(found)
    put()
    put_list(listed)


def show(
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
    """Show one memory, and the trace it comes from.

    \b
    Example:
      aspen show m_0123456789abcdef0123

    \b
    With --json: {"memory": {id, text, type, tags, access_count, ..., "priority": in [0, 1], just now,
      "corrected_by": id of what holds instead, or null}, "trace": null or {"id", "level", "seed", "prompt", "reply",
      "prompt_tokens", "tokens", "sampler", "max_tokens", "finish_reason", "fingerprint", "digest", "alternatives":
      [{"id", "seed", "reply"}]},
      "trace_error": null or why the trace cannot be read}
    """
    trace, trace_error, others = None, None, list[Trace]()
    with open_aspen(context, store=store) as aspen:
        (memory,) = aspen.repository.get(whole_memory_ids(aspen, [memory_id]))
        (standing,) = standings(aspen, [memory])
        try:
            trace = aspen.trace(memory.trace_id) if memory.trace_id else None
            others = aspen.alternatives(trace.id) if trace else []
        except AspenError as error:  # the memory can be shown all the same
            trace_error = str(error)
    if as_json:
        data = _trace_data(trace, others) if trace else None
        put_json({"memory": standing.data(), "trace": data, "trace_error": trace_error})
        return
    facts = _facts(standing)
    if trace:
        facts["trace"] = f"{trace.id}, level {trace.level.value}, seed {trace.seed}"
        facts["recorded"] = f"{trace.prompt_length} tokens of prompt, then {_reply_length(trace)} of reply"
        facts["model"] = (
            f"{trace.fingerprint.architecture}, {trace.fingerprint.dtype} on {trace.fingerprint.device}"
        )
    if trace_error:
        facts["trace"] = memory.trace_id
        say(f"The trace cannot be read: {trace_error}", style="yellow")
    for name, value in facts.items():
        if value is not None:
            put(f"{name:<13} {one_line(value)}")
    for other in others:
        put(f"{'alternative':<13} {other.id}, seed {other.seed}: {one_line(other.reply, most=60)}")
    put()
    put(memory.text)


def _facts(standing: Standing) -> dict[str, str | None]:
    memory = standing.memory
    used = uses(memory.access_count).removeprefix("used ")
    emotion = memory.emotion
    return {
        "id": memory.id,
        "conversation": memory.conversation,
        "speaker": memory.speaker,
        "said at": memory.said_at.isoformat() if memory.said_at else None,
        "source": memory.source,
        "provenance": memory.provenance.value,
        "type": f"{memory.type.value}, {memory.stability.value}",
        "importance": f"{memory.importance:.2f}",
        "emotion": f"{emotion.label} {emotion.intensity:.2f}" if emotion else None,
        "tags": ", ".join(memory.tags) or None,
        "priority": f"{standing.priority:.2f}",
        "used": f"{used}, last {memory.accessed_at.isoformat()}" if memory.accessed_at else None,
        "corrected": f"by {standing.corrected_by}" if standing.corrected_by else None,
        "version": str(memory.version) if memory.version > 1 else None,
        "stored at": memory.created_at.isoformat(),
        "tokens": str(memory.token_count),
    }


def _reply_length(trace: Trace) -> int:
    return len(trace.token_ids) - trace.prompt_length


def _trace_data(trace: Trace, others: list[Trace]) -> dict[str, object]:
    return {
        "id": trace.id,
        "level": trace.level,
        "seed": trace.seed,
        "prompt": trace.prompt,
        "reply": trace.reply,
        "prompt_tokens": trace.prompt_length,
        "tokens": len(trace.token_ids),
        "sampler": trace.sampler,
        "max_tokens": trace.max_tokens,
        "finish_reason": trace.finish_reason,
        "fingerprint": trace.fingerprint,
        "digest": trace.digest,
        "alternatives": [{"id": one.id, "seed": one.seed, "reply": one.reply} for one in others],
    }


def forget(
    context: typer.Context,
    *,
    memory_ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Ids of the memories to forget, or their beginnings.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be deleted, and delete nothing.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget memories for good.

    Text, key, words and links go, the patterns that `summarise` made of them, and every trace in whose prompt one of
    them stood.

    \b
    Examples:
      aspen forget m_0123456789abcdef0123 --dry-run
      aspen forget m_0123456789abcdef0123 --yes

    \b
    With --json (which needs --yes or --dry-run): {"forgotten": [ids], "traces": number of traces that went with them},
      or with --dry-run {"memories": [{id, text, ...}], "summaries": [{id, text, ...}], "traces": [ids], "relations":
      number of relations}
    """
    with open_aspen(context, store=store) as aspen:
        ids = whole_memory_ids(aspen, memory_ids)
        going = aspen.forgetting(*ids)
        if dry_run:
            _put_what_goes(going, as_json=as_json)
            return
        if not yes:
            if as_json or not sys.stdin.isatty():
                raise InvalidInput("Nobody is here to confirm what will be forgotten.", hint="Add --yes.")
            for line in _what_goes(going):
                say(line, style="")
            if not confirmed(f"Forget {'it' if len(ids) == 1 else f'these {len(ids)} memories'} for good?"):
                say("nothing was forgotten")
                return
        traces = aspen.forget(*ids)
    if as_json:
        put_json({"forgotten": ids, "traces": traces})
    else:
        put(f"forgot {counted(len(ids), 'memory', 'memories')} and {counted(traces, 'trace', 'traces')}")


def _put_what_goes(going: Forgetting, *, as_json: bool) -> None:
    if as_json:
        put_json(
            {
                "memories": going.memories,
                "summaries": going.summaries,
                "traces": going.traces,
                "relations": going.relations,
            }
        )
        return
    for line in _what_goes(going):
        put(line)
    say("nothing was forgotten")


def _what_goes(going: Forgetting) -> list[str]:
    lines = [f"{memory.id}  {one_line(memory.text, most=80)}" for memory in going.memories]
    lines += [f"{memory.id}  made of them: {one_line(memory.text, most=66)}" for memory in going.summaries]
    traces, relations = len(going.traces), going.relations
    with_them = f"{counted(relations, 'relation', 'relations')} and {counted(traces, 'trace', 'traces')}"
    return [*lines, f"With them go their keys and words, {with_them}."]
