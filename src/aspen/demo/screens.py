"""What the demo shows, piece by piece. Everything here draws; nothing computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from aspen.demo.asking import Finding, Found
from aspen.demo.drawing import clean, marked, meter, one_line, sparkline
from aspen.demo.overhead import Speed
from aspen.memory_injector import Note
from aspen.repository import StoreStats
from aspen.seed_manager import ReplayReport
from aspen.turns import Reply
from aspen.types import Trace
from aspen.wording import counted, size_in_words

_PARTS = {"sink": "first token (sink)", "template": "chat template"}
_MISSED = "✗"
_ARMS = ("activation", "keyword", "heads", "neighbours")


# -- process one -------------------------------------------------------------------------------------------


def turn(number: int, message: str, reply: str) -> RenderableType:
    """What the person says, and the reply as far as it has come."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_row(Text(f"{number:>2} you", style="bold cyan"), clean(message))
    grid.add_row(Text("model", style="bold magenta"), clean(reply.strip() or "..."))
    return grid


def recorded(reply: Reply, trace: Trace, *, size: int, seconds: float) -> RenderableType:
    """What was kept of a turn. `seconds` is what recording and storing took beside generating."""
    layers, tokens = trace.state_digests.shape
    facts = [
        f"recorded {layers} layers x {tokens} tokens",
        size_in_words(size),
        f"seed {reply.seed}",
        _speed(reply),
        f"stored in {seconds * 1000:.0f} ms",
    ]
    if reply.note is not None:
        lines = len(reply.note.memory_ids)
        facts.append(f"note of {lines} line{'s' if lines > 1 else ''}")
    return Padding(Text(" · ".join(facts), style="dim"), (0, 0, 0, 7))


def _speed(reply: Reply) -> str:
    return f"{(reply.reply_tokens - 1) / max(reply.decode_seconds, 1e-9):.0f} tokens/s"


def inside(trace: Trace, *, pushes: Sequence[float], attention: Mapping[str, float]) -> RenderableType:
    """A look into one trace: how far each block moves the reply, and where the reply looked."""
    layers, tokens = trace.state_digests.shape
    looks = Table.grid(padding=(0, 1))
    looks.add_column(no_wrap=True, justify="right")
    looks.add_column(no_wrap=True)
    looks.add_column(no_wrap=True, justify="right")
    for name, share in attention.items():
        bar = Text(meter(share, width=40), style="magenta" if name == "note" else "blue")
        looks.add_row(_PARTS.get(name, name), bar, f"{share:.1%}")
    kept = (
        f"{tokens} token ids, digests of all {layers} x {tokens} activations, pooled activations, attention"
    )
    pushed = (
        f"How far blocks 1 to {layers - 1} move the reply's residual stream, relative to its length (log):"
    )
    looked = "Where the reply looks, averaged over all layers and heads:"
    return Panel(
        Group(
            Text(kept),
            Text(pushed, style="dim"),
            Text(f"  {sparkline(pushes)}", style="cyan"),
            Text(looked, style="dim"),
            looks,
        ),
        title=Text(f"inside trace {trace.id}"),
        title_align="left",
        box=box.ROUNDED,
        border_style="dim",
    )


# -- process two -------------------------------------------------------------------------------------------


def question(number: int, text: str) -> RenderableType:
    """The question, and nothing else of its conversation: there is none yet."""
    return Panel(
        clean(text), title=Text(f"question {number}"), title_align="left", box=box.HEAVY, border_style="cyan"
    )


def found(finding: Finding) -> list[RenderableType]:
    """How deep the forward pass went, and what came back."""
    partial = finding.partial
    share = partial.seconds / finding.full_seconds
    depth = Text.assemble(
        "partial forward pass: ",
        (f"{partial.depth} of {partial.n_layers} blocks", "bold"),
        f", {partial.tokens} tokens, {partial.seconds * 1000:.0f} ms = {share:.0%} of a full one "
        f"({finding.full_seconds * 1000:.0f} ms)",
    )
    skipped = [
        Text(f"{arm.name} did not run: {arm.reason}", style="yellow")
        for arm in finding.recall.arms
        if not arm.ran
    ]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True)
    for name in ("score", "activ.", "keyw.", "heads", "neigh."):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("text only", no_wrap=True)
    table.add_column("memory", ratio=1)
    noted = set(finding.note.memory_ids if finding.note else ())
    for hit in finding.found:
        table.add_row(*_row(hit, noted=hit.hit.memory.id in noted))
    marks = []
    if any(hit.missed and hit.hit.memory.id in noted for hit in finding.found):
        marks.append(
            Text(f"{_MISSED} in the note, and text matching alone would have missed it", style="yellow")
        )
    paths = [
        _path(hit) for hit in finding.found if hit.by_spreading and hit.path and hit.hit.memory.id in noted
    ]
    return [depth, *skipped, table, *marks, *paths]


def _row(found: Found, *, noted: bool) -> list[RenderableType]:
    hit = found.hit
    style = "" if noted else "dim"
    numbers = [Text(f"{hit.score:.2f}", style="bold" if noted else "dim")]
    numbers += [Text(f"{hit.arms[name]:+.2f}" if name in hit.arms else "-", style=style) for name in _ARMS]
    place = "no word" if found.text_rank is None else f"rank {found.text_rank}"
    missed = found.missed and noted
    text_only = Text(f"{_MISSED if missed else ' '} {place}", style="bold yellow" if missed else style)
    # What does not go into the note is shown for its scores; the beginning of its text is enough.
    memory = Text(one_line(hit.memory.text, most=100 if noted else 28), style=style)
    return [*numbers, text_only, memory]


def _path(found: Found) -> RenderableType:
    """The way on which activation spread to a hit."""
    gain = found.hit.paths[0].contribution
    steps = " → ".join(f"“{one_line(memory.text, most=32)}”" for memory in found.path)
    return Text(f"by spreading: {steps} ({gain:+.2f}; rank {found.direct_rank} without)", style="green")


def note(note: Note | None) -> RenderableType:
    """The memory note, word for word."""
    if note is None:
        return Text("no note: nothing that was recalled is worth a line", style="dim")
    return Panel(
        clean(note.text),
        title=Text(f"memory note, as injected ({note.tokens} tokens)"),
        title_align="left",
        box=box.ROUNDED,
        border_style="yellow",
    )


def replies(texts: Mapping[bool, str], fact: str, *, seed: int) -> RenderableType:
    """Both replies side by side; the fact that was asked for is marked where it occurs."""
    table = Table(box=box.ROUNDED, expand=True, border_style="dim")
    table.add_column(f"without memory (seed {seed})", ratio=1)
    table.add_column(f"with memory (seed {seed})", ratio=1)
    table.add_row(*(marked(texts[memory].strip(), fact) for memory in (False, True)))
    return table


def score(asked: int, right: Mapping[bool, int]) -> RenderableType:
    """How many of the replies held the fact."""
    return Text.assemble(
        "The fact is in ",
        (f"{right[True]} of {asked}", "bold green"),
        " replies with memory, and in ",
        (f"{right[False]} of {asked}", "bold"),
        " without.",
    )


def replaying(trace: Trace, *, message: str) -> RenderableType:
    """Which trace is run again."""
    return Text.assemble(
        f"Replaying trace {trace.id} of process one, “{one_line(message, most=40)}”: ",
        f"{trace.prompt_length} tokens of prompt, {len(trace.token_ids) - trace.prompt_length} sampled",
    )


def verdict(report: ReplayReport) -> RenderableType:
    """What the replay found."""
    style = "bold green" if report.verified else "bold red"
    return Text.assemble("  the same seed:  ", (report.explain(), style))


def other_seed(report: ReplayReport, *, seed: int) -> RenderableType:
    """What another seed gave, for comparison."""
    return Text.assemble(f"  seed {report.seed} for {seed}: ", (report.explain(), "yellow"))


def last(stats: StoreStats, speed: Speed, *, n_layers: int) -> RenderableType:
    """What is there now, and what it cost."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(
        "stored",
        f"{counted(stats.memories, 'memory', 'memories')} and {counted(stats.traces, 'trace', 'traces')} of {n_layers} "
        f"blocks and the embedding, in {counted(stats.conversations, 'conversation', 'conversations')}",
    )
    grid.add_row(
        "size",
        f"{size_in_words(stats.bytes['file'])} on disk, {size_in_words(stats.bytes['traces'])} of it traces",
    )
    grid.add_row(
        "cost",
        f"{speed.on:.1f} tokens/s with recording on, {speed.off:.1f} off ({speed.on / speed.off:.0%}), "
        "measured in seconds: a busy machine moves it",
    )
    return Panel(grid, box=box.HEAVY, border_style="cyan")
