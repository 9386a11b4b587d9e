"""The command `chat`: one message, or a conversation on the terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated

import typer

from aspen.aspen import Aspen
from aspen.cli._exits import INTERRUPTED
from aspen.cli._options import (
    DeviceOption,
    JsonOption,
    MaxTokensOption,
    ModelOption,
    NoMemoryOption,
    NoteTokensOption,
    StoreOption,
    StrategyOption,
    TalkOption,
    TraceLevelOption,
    from_stdin,
    open_aspen,
)
from aspen.cli._recalled import missing_arms, recall_data
from aspen.cli._screen import as_data, on_terminal, one_line, put, put_json, put_piece, say
from aspen.errors import InvalidInput, StoreNotWritable
from aspen.memory_injector import StrategyName
from aspen.turns import Reply
from aspen.types import Recall, SamplerSettings, TraceLevel
from aspen.validation import check_choice

_STRATEGY = "/strategy"
_COMMANDS = "/strategy NAME feeds memories back in another way, /forget takes the last turn back, /quit ends"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(chat)


@dataclass(frozen=True, slots=True)
class _Settings:
    """How messages of one run are answered."""

    conversation: str
    strategy: StrategyName | None
    seed: int | None
    memory: bool
    remember: bool
    show_note: bool
    sampler: SamplerSettings
    max_tokens: int
    note_tokens: int
    level: TraceLevel


def chat(
    context: typer.Context,
    *,
    message: Annotated[
        str | None,
        typer.Argument(
            metavar="MESSAGE",
            help='A message to answer, "-" reads it from standard input; none begins a conversation.',
        ),
    ] = None,
    conversation: TalkOption = "default",
    strategy: StrategyOption = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", help="Seed of the sampler; drawn where not given.")
    ] = None,
    no_memory: NoMemoryOption = False,
    no_remember: Annotated[bool, typer.Option("--no-remember", help="Do not store the turn.")] = False,
    show_note: Annotated[
        bool, typer.Option("--show-note", help="Show the memory note that goes before the model.")
    ] = False,
    max_tokens: MaxTokensOption = 256,
    note_tokens: NoteTokensOption = 200,
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature",
            metavar="T",
            help=f"0 takes the most likely token. Default: {SamplerSettings().temperature}.",
        ),
    ] = None,
    trace_level: TraceLevelOption = TraceLevel.POOLED,
    store: StoreOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Talk with the model, which recalls and remembers as you do.

    Replies go to stdout, all that is said about them to stderr: what was recalled into the note, the seed, the
    trace (`aspen replay` runs it again), the speed.

    \b
    Examples:
      aspen chat
      aspen chat "Where does my sister live?" --conversation family --seed 7 --show-note

    \b
    With --json (and a message): {"text", "seed", "conversation", "injection": null or {"strategy", "asked",
      "reason", "memory_ids", "trace_ids", "tokens", "figures": {name: number}, "best": id or null}, "note": null
      or {"text", "tokens", "memory_ids"}, "recall": null or as in `recall --json`, "trace_id", "memories":
      [{id, text, ...}], "dropped_history", "finish_reason", "prompt_tokens", "reply_tokens", "prefill_seconds",
      "decode_seconds"}
    """
    if as_json and message is None:
        raise InvalidInput("--json answers one message.", hint='Give it: aspen chat "..." --json')
    default = SamplerSettings()
    settings = _Settings(
        conversation=conversation,
        strategy=strategy,
        seed=seed,
        memory=not no_memory,
        remember=not no_remember,
        show_note=show_note,
        sampler=default if temperature is None else replace(default, temperature=temperature),
        max_tokens=max_tokens,
        note_tokens=note_tokens,
        level=trace_level,
    )
    with open_aspen(context, store=store, model=model, device=device, create=True, quiet=as_json) as aspen:
        if settings.remember and not aspen.repository.writable:
            raise StoreNotWritable(
                f"The store {aspen.repository.location} can only be read, and a chat remembers what is said.",
                hint="Allow writing to the file and its folder, or add --no-remember.",
            )
        if message is None:
            _converse(aspen, settings)
        elif as_json:
            put_json(_data(_answer(aspen, from_stdin(message), settings, stream=False)))
        else:
            _answer(aspen, from_stdin(message), settings, stream=True)


def _answer(aspen: Aspen, message: str, settings: _Settings, *, stream: bool) -> Reply:
    with _shown() if stream else contextlib.nullcontext() as show:
        reply = aspen.chat(
            message,
            conversation=settings.conversation,
            strategy=settings.strategy,
            seed=settings.seed,
            memory=settings.memory,
            remember=settings.remember,
            sampler=settings.sampler,
            max_tokens=settings.max_tokens,
            note_tokens=settings.note_tokens,
            level=settings.level,
            on_text=show,
        )
    if stream:
        _tell(reply, settings)
    return reply


@contextlib.contextmanager
def _shown() -> Iterator[Callable[[str], None]]:
    """What shows a reply piece by piece. Its line ends whatever ends the reply: what is said next begins a new one."""
    begun = False

    def show(piece: str) -> None:
        nonlocal begun
        begun = True
        put_piece(piece)

    try:
        yield show
        begun = True
    except KeyboardInterrupt:
        begun = begun or on_terminal()  # where "^C" stands now
        raise
    finally:
        if begun:
            put_piece("\n")


def _tell(reply: Reply, settings: _Settings) -> None:
    if reply.dropped_history:
        count = reply.dropped_history
        older = "older message of this conversation" if count == 1 else "older messages of this conversation"
        say(f"{count} {older} did not fit the model's context and were left out", style="yellow")
    if settings.show_note:
        say(reply.note.text if reply.note else _no_note(reply), style="cyan")
    say(" · ".join(_facts(reply)))


def _no_note(reply: Reply) -> str:
    injection = reply.injection
    if injection is None:
        return "no note: nothing was recalled, as --no-memory says"
    if injection.memory_ids:  # seed_replay: the state of the model
        return f"no note: {injection.strategy} tells nothing in words"
    return f"no note: {injection.reason or 'nothing that was recalled is worth a line'}"


def _facts(reply: Reply) -> list[str]:
    facts = []
    if reply.injection is not None:
        hits = reply.recall.hits if reply.recall else ()
        texts = {hit.memory.id: f'"{one_line(hit.memory.text, most=40)}"' for hit in hits}
        used = [texts.get(id_, id_) for id_ in reply.injection.memory_ids]
        facts.append(f"recalled {', '.join(used)}" if used else _nothing(reply.recall))
        if reply.injection.strategy != StrategyName.NOTE or reply.injection.asked != reply.injection.strategy:
            facts.append(
                ": ".join(part for part in (reply.injection.strategy, reply.injection.reason) if part)
            )
    if reply.recall is not None and reply.recall.candidates > 0:  # of none, no arm can say anything
        facts += missing_arms(reply.recall)
    if reply.memories:
        facts.append(f"remembered {' and '.join(memory.id for memory in reply.memories)}")
    if reply.finish_reason == "length":
        facts.append(f"cut after {reply.reply_tokens:,} tokens")
    facts.append(f"seed {reply.seed}")
    if reply.trace_id is not None:
        facts.append(f"trace {reply.trace_id}")
    if reply.decode_seconds > 0:
        facts.append(f"{reply.reply_tokens / reply.decode_seconds:.1f} tokens/s")
    return facts


def _nothing(recall: Recall | None) -> str:
    return "nothing to recall yet" if recall is not None and recall.candidates == 0 else "recalled nothing"


def _data(reply: Reply) -> dict[str, object]:
    recall = None if reply.recall is None else recall_data(reply.recall)
    return {**as_data(reply), "recall": recall}


def _converse(aspen: Aspen, settings: _Settings) -> None:
    """Answer line after line until there is none, or Ctrl-C is pressed where a line is waited for."""
    from_terminal = sys.stdin.isatty()
    if from_terminal:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401, PLC0415 - gives input() a history; not every Python has it
        say(f"Conversation {settings.conversation!r} in {aspen.repository.location}. {_COMMANDS}.")
    try:
        _answer_lines(aspen, settings, from_terminal=from_terminal)
    except KeyboardInterrupt:
        if not from_terminal:
            raise
        put()  # "^C" stands on the line
        raise typer.Exit(INTERRUPTED) from None


def _answer_lines(aspen: Aspen, settings: _Settings, *, from_terminal: bool) -> None:
    last: Sequence[str] = ()  # ids of what was stored of the last turn
    while (line := _next_line(on_terminal=from_terminal)) is not None:
        match line.strip():
            case "":
                continue
            case "/quit":
                return
            case "/forget":
                _take_back(aspen, last)
                last = ()
            case command if command.split(maxsplit=1)[0] == _STRATEGY:
                settings = _with_strategy(aspen, settings, command.removeprefix(_STRATEGY).strip())
            case command if _is_command(command):
                say(f"There is no command {command!r}: {_COMMANDS}.", style="yellow")
            case message:
                began = datetime.now(UTC)
                try:
                    last = [memory.id for memory in _answer(aspen, message, settings, stream=True).memories]
                except InvalidInput as error:  # this message; the next one may be better
                    say(f"error: {error}", style="red")
                except KeyboardInterrupt:  # this reply; whoever pipes lines in has nobody to go on with
                    if not from_terminal:
                        raise
                    last = _stored_since(began, message, aspen=aspen, settings=settings)
                    _tell_interrupted(last)


def _stored_since(began: datetime, message: str, *, aspen: Aspen, settings: _Settings) -> list[str]:
    """Ids of what was stored of a turn that began then: all of it or nothing, for the store takes it at once."""
    newest = aspen.repository.list(conversation=settings.conversation, limit=2)
    turn = [memory for memory in newest if memory.said_at is not None and memory.said_at >= began]
    return [memory.id for memory in turn] if message in [memory.text for memory in turn] else []


def _tell_interrupted(stored: Sequence[str]) -> None:
    if stored:  # Ctrl-C came when all was said
        say(
            "Interrupted; your message and the reply are stored already, /forget takes them back.",
            style="yellow",
        )
    else:
        say("Interrupted; neither your message nor this reply was stored.", style="yellow")


def _with_strategy(aspen: Aspen, settings: _Settings, name: str) -> _Settings:
    """The settings with the strategy of this name; as they are where there is none, or no name."""
    if not name:
        now = settings.strategy or aspen.config.strategy
        say(f"memories are fed back by {now}; there are {', '.join(StrategyName)}")
        return settings
    try:
        strategy = check_choice(name, StrategyName, what="strategy")
    except InvalidInput as error:
        say(f"error: {error}", style="red")
        return settings
    without = "" if settings.memory else ", once --no-memory is left out"
    say(f"memories are fed back by {strategy} from here on{without}")
    return replace(settings, strategy=strategy)


def _is_command(line: str) -> bool:
    """Whether a line was meant for the program: a slash and one word of letters. It should not become a memory."""
    return line.startswith("/") and line[1:].isalpha()


def _next_line(*, on_terminal: bool) -> str | None:
    if on_terminal:
        try:
            return input("you> ")
        except EOFError:
            put()
            return None
    return sys.stdin.readline() or None


def _take_back(aspen: Aspen, last: Sequence[str]) -> None:
    if not last:
        say("there is no turn to take back")
        return
    aspen.forget(*last)
    say("forgot your last message, the reply and their trace")
