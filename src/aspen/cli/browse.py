"""Commands that look through memories, and forget them: list, show, forget."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from aspen.cli._options import (
    ConversationOption,
    JsonOption,
    LimitOption,
    SeedFilterOption,
    StoreOption,
    open_aspen,
)
from aspen.cli._screen import confirmed, date_of, on_terminal, one_line, put, put_json, put_table, say
from aspen.cli._standing import Standing, correction, standings, uses
from aspen.cli.traces import put_traces, trace_data
from aspen.errors import AspenError, InvalidInput
from aspen.types import Memory, Trace


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("list")(list_memories)
    app.command()(show)
    app.command()(forget)


def list_memories(
    context: typer.Context,
    *,
    conversation: ConversationOption = None,
    speaker: Annotated[
        str | None, typer.Option("--speaker", metavar="NAME", help="Only what this speaker said.")
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
      aspen list --conversations
      aspen list --seed 7

    \b
    With --json: {"memories": [{id, text, type, tags, access_count, ..., "priority", "corrected_by": id of what
      holds instead, or null}]}, or {"conversations": [{"name", "memories", "first_seq", "last_seq"}]}; with --seed
      also "traces": as in `traces --json`
    """
    if conversations and seed is not None:
        raise InvalidInput("Conversations have no seed.", hint="Leave --conversations or --seed out.")
    with open_aspen(context, store=store) as aspen:
        if conversations:
            known = aspen.repository.conversations()
            if as_json:
                put_json({"conversations": known})
            else:
                rows = [[str(entry.memories), entry.name] for entry in known]
                put_table(["memories", "conversation"], rows, numbers=["memories"])
            return
        if seed is None:
            memories = aspen.repository.list(conversation=conversation, speaker=speaker, limit=limit)
            found = []
        else:
            found = aspen.repository.traces(conversation=conversation, seed=seed, limit=limit)
            memories = aspen.repository.from_traces([trace.id for trace in found])[::-1]
            memories = [memory for memory in memories if speaker in (None, memory.speaker)]
        listed = standings(aspen, memories)
    data = [one.data() for one in listed]
    if as_json:
        put_json(
            {"memories": data} | ({"traces": [trace_data(one) for one in found]} if seed is not None else {})
        )
        return
    if seed is not None:
        put_traces(found)
        put()
    _put_list(listed)


def _put_list(listed: list[Standing]) -> None:
    if on_terminal():
        below = [" · ".join(filter(None, _remarks(one))) for one in listed]
        columns = ["id", "date", "type", "priority", "text"]
        put_table(columns, [_row(one) for one in listed], numbers=["priority"], below=below)
        return
    columns = [
        "id",
        "date",
        "conversation",
        "speaker",
        "type",
        "priority",
        "used",
        "tags",
        "corrected_by",
        "text",
    ]
    put_table(columns, [_full_row(one) for one in listed])


def _row(one: Standing) -> list[str]:
    memory = one.memory
    return [memory.id, date_of(memory.said_at), memory.type.value, f"{one.priority:.2f}", memory.text]


def _full_row(one: Standing) -> list[str]:
    memory = one.memory
    return [
        memory.id,
        date_of(memory.said_at),
        memory.conversation or "",
        memory.speaker or "",
        memory.type.value,
        f"{one.priority:.2f}",
        str(memory.access_count),
        ", ".join(memory.tags),
        one.corrected_by or "",
        memory.text,
    ]


def _remarks(one: Standing) -> list[str]:
    memory = one.memory
    return [
        memory.conversation or "",
        memory.speaker or "",
        ", ".join(memory.tags),
        uses(memory.access_count),
        correction(one.corrected_by),
    ]


def show(
    context: typer.Context,
    *,
    memory_id: Annotated[
        str, typer.Argument(metavar="ID", help="Id of a memory, as `list` and `recall` show it.")
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
        memory = aspen.repository.get([memory_id])[0]
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
    memory_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of the memories to forget.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Forget memories for good.

    Text, key, words and links go, and every trace in whose prompt one of them stood.

    \b
    Example:
      aspen forget m_0123456789abcdef0123 --yes

    \b
    With --json (which needs --yes): {"forgotten": [ids], "traces": number of traces that went with them}
    """
    ids = list(dict.fromkeys(memory_ids))
    with open_aspen(context, store=store) as aspen:
        memories = aspen.repository.get(ids)
        if not yes:
            if as_json or not sys.stdin.isatty():
                raise InvalidInput("Nobody is here to confirm what will be forgotten.", hint="Add --yes.")
            _say_what_goes(memories)
            if not confirmed(f"Forget {'it' if len(ids) == 1 else f'these {len(ids)} memories'} for good?"):
                say("nothing was forgotten")
                return
        traces = aspen.forget(*ids)
    if as_json:
        put_json({"forgotten": ids, "traces": traces})
    else:
        put(f"forgot {_count(len(ids), 'memory', 'memories')} and {_count(traces, 'trace', 'traces')}")


def _say_what_goes(memories: list[Memory]) -> None:
    for memory in memories:
        say(f"{memory.id}  {one_line(memory.text, most=80)}", style="")
    say("With them go their keys, words and links, and the traces in whose prompts they stood.", style="")


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
