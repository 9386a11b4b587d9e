"""Commands on memories: remember, recall, list, show, forget."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from aspen.cli._options import (
    ConversationOption,
    DeviceOption,
    JsonOption,
    LimitOption,
    ModelOption,
    StoreOption,
    from_stdin,
    open_aspen,
)
from aspen.cli._recalled import put_paths, put_recall, recall_data, say_how
from aspen.cli._screen import confirmed, date_of, one_line, put, put_json, put_table, say
from aspen.errors import AspenError, InvalidInput
from aspen.items import check_item, memory_id
from aspen.types import Memory, Trace


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(remember)
    app.command()(recall)
    app.command("list")(list_memories)
    app.command()(show)
    app.command()(forget)


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
    store: StoreOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remember one text. Remembering the same again changes nothing.

    \b
    Example:
      aspen remember "I adopted a cat" --speaker Ann --said-at 2026-05-02

    \b
    With --json: {"memory": {id, text, speaker, said_at, ...}, "new": bool}
    """
    item = check_item(
        {
            "text": from_stdin(text),
            "speaker": speaker,
            "said_at": said_at,
            "conversation": conversation,
            "source": source,
        }
    )
    with open_aspen(context, store=store, model=model, device=device, create=True, quiet=as_json) as aspen:
        new = not aspen.repository.known([memory_id(item)])
        memory = aspen.remember_many([item])[0]
    if as_json:
        put_json({"memory": memory, "new": new})
    else:
        put(memory.id)
        say(f"remembered, {memory.token_count} tokens" if new else "this was remembered before")


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
        bool, typer.Option("--no-spread", help="Do not let activation spread to neighbouring turns.")
    ] = False,
    arms: Annotated[
        list[str] | None,
        typer.Option(
            "--arm", metavar="NAME", help="Run this arm only (activation, keyword, heads); may be repeated."
        ),
    ] = None,
    rerank: Annotated[
        bool,
        typer.Option(
            "--rerank", help="Read the first hits again together with the prompt, and order them by that."
        ),
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the ways activation took to each memory.")
    ] = False,
    store: StoreOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the memories that resonate with a prompt, best first.

    The score is in standard deviations over the candidates; beside it stand its parts. "familiar" is how likely it
    is, in [0, 1], that the memory answers the prompt.

    \b
    Examples:
      aspen recall "Who lives in Portugal?"
      aspen recall "Who lives in Portugal?" --arm keyword --no-spread --json

    \b
    With --json: {"prompt", "hits": [{"memory": {id, text, ...}, "score", "arms": {name: part of the score},
      "paths": [{"memories": [ids], "contribution", "via"}], "familiarity"}], "candidates", "arms": [{"name", "ran",
      "reason", "seconds"}], "partial_pass": {"depth", "n_layers", "tokens", "seconds"} or null, "seconds",
      "familiarity"}
    """
    prompt = from_stdin(prompt)
    with open_aspen(context, store=store, model=model, device=device, quiet=as_json) as aspen:
        found = aspen.recall(
            prompt,
            limit=limit,
            conversation=conversation,
            use_spreading_activation=not no_spread,
            arms=arms or None,
            rerank=rerank,
        )
        on_paths = sorted({id_ for hit in found.hits for path in hit.paths for id_ in path.memories})
        stored = aspen.repository.known(on_paths) if explain else set()
        known = {memory.id: memory for memory in aspen.repository.get(sorted(stored))}
    if as_json:
        put_json(recall_data(found))
        return
    put_recall(found)
    if explain:
        put_paths(found, known)
    say_how(found)


def list_memories(
    context: typer.Context,
    *,
    conversation: ConversationOption = None,
    speaker: Annotated[
        str | None, typer.Option("--speaker", metavar="NAME", help="Only what this speaker said.")
    ] = None,
    limit: LimitOption = 50,
    conversations: Annotated[
        bool, typer.Option("--conversations", help="List the conversations in place of memories.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List memories, or conversations, newest first.

    \b
    Examples:
      aspen list --conversation pets --limit 5
      aspen list --conversations

    \b
    With --json: {"memories": [{id, text, ...}]}, or {"conversations": [{"name", "memories", "first_seq",
      "last_seq"}]}
    """
    with open_aspen(context, store=store) as aspen:
        if conversations:
            known = aspen.repository.conversations()
            if as_json:
                put_json({"conversations": known})
            else:
                rows = [[str(entry.memories), entry.name] for entry in known]
                put_table(["memories", "conversation"], rows, numbers=["memories"])
            return
        memories = aspen.repository.list(conversation=conversation, speaker=speaker, limit=limit)
    if as_json:
        put_json({"memories": memories})
        return
    columns = ["id", "date", "conversation", "speaker", "text"]
    rows = [
        [memory.id, date_of(memory.said_at), memory.conversation or "", memory.speaker or "", memory.text]
        for memory in memories
    ]
    put_table(columns, rows)


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
    With --json: {"memory": {id, text, ...}, "trace": null or {"id", "level", "seed", "prompt", "reply",
      "prompt_tokens", "tokens", "sampler", "max_tokens", "finish_reason", "fingerprint", "digest"},
      "trace_error": null or why the trace cannot be read}
    """
    trace, trace_error = None, None
    with open_aspen(context, store=store) as aspen:
        memory = aspen.repository.get([memory_id])[0]
        try:
            trace = aspen.trace(memory.trace_id) if memory.trace_id else None
        except AspenError as error:  # the memory can be shown all the same
            trace_error = str(error)
    if as_json:
        data = _trace_data(trace) if trace else None
        put_json({"memory": memory, "trace": data, "trace_error": trace_error})
        return
    facts = {
        "id": memory.id,
        "conversation": memory.conversation,
        "speaker": memory.speaker,
        "said at": memory.said_at.isoformat() if memory.said_at else None,
        "source": memory.source,
        "provenance": memory.provenance.value,
        "stored at": memory.created_at.isoformat(),
        "tokens": str(memory.token_count),
    }
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
    put()
    put(memory.text)


def _reply_length(trace: Trace) -> int:
    return len(trace.token_ids) - trace.prompt_length


def _trace_data(trace: Trace) -> dict[str, object]:
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
