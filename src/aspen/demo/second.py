"""Process two: it knows nothing but the store. Questions, what is recalled for them, replies, and a replay."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from io import StringIO

from rich.console import Console, RenderableType

from aspen.aspen import Aspen
from aspen.demo import screens
from aspen.demo.asking import Finding, find
from aspen.demo.drawing import Streaming, make_console
from aspen.demo.overhead import measure_recording
from aspen.demo.part import Settings, run_part
from aspen.demo.story import MAX_TOKENS, QUESTIONS, REPLAYED, Question
from aspen.errors import NotFound
from aspen.seed_manager import ReplayReport, replay
from aspen.turns import Reply
from aspen.types import Trace

NOT_VERIFIED = 7
_PICTURE_WIDTH = 92
_SEEDS_TRIED = 3


def tell(aspen: Aspen, console: Console, settings: Settings) -> int:
    """Play the second part; returns the exit code."""
    questions = [question for question in QUESTIONS if question.quick or not settings.quick]
    right = {True: 0, False: 0}
    for number, question in enumerate(questions, start=1):
        for memory, reply in _play(aspen, console, question, number=number, settings=settings).items():
            right[memory] += re.search(question.fact, reply, re.IGNORECASE) is not None
    console.print()
    console.print(screens.score(len(questions), right))
    verified = _replay(aspen, console)
    # No spinner here: it would take time from what is measured.
    console.print("\nMeasuring tokens/s with recording on and off ...", style="dim")
    speed = measure_recording(aspen.model)
    console.print(screens.last(aspen.repository.stats(), speed, n_layers=aspen.model.info.n_layers))
    return 0 if verified else NOT_VERIFIED


def _play(
    aspen: Aspen, console: Console, question: Question, *, number: int, settings: Settings
) -> dict[bool, str]:
    """Ask one question on the screen; the replies with memory (True) and without."""
    finding = find(aspen, question.text)
    told = [
        screens.question(number, question.text),
        *screens.found(finding),
        screens.note(finding.note),
    ]
    for part in told:
        console.print(part)
    replies = {False: "", True: ""}

    def draw() -> RenderableType:
        return screens.replies(replies, question.fact, seed=question.seed)

    with Streaming(console, draw) as screen:
        for memory in (False, True):

            def on_text(piece: str, *, memory: bool = memory) -> None:
                replies[memory] += piece
                screen.update()

            _checked(_ask(aspen, question, memory=memory, on_text=on_text), finding)
    if settings.svg is not None and question.picture:
        _save_picture(settings, [*told, draw()])
    return replies


def _ask(aspen: Aspen, question: Question, *, memory: bool, on_text: Callable[[str], None]) -> Reply:
    # Nothing is remembered here, so that both replies, and all questions, meet the same store.
    return aspen.chat(
        question.text,
        conversation="today",
        seed=question.seed,
        memory=memory,
        remember=False,
        max_tokens=MAX_TOKENS,
        on_text=on_text,
    )


def _checked(reply: Reply, finding: Finding) -> None:
    """The note that was shown has to be the one that the model got."""
    if reply.recall is not None and reply.note != finding.note:
        raise RuntimeError("the note on the screen is not the note in the prompt")


def _replay(aspen: Aspen, console: Console) -> bool:
    """Run a trace of process one again, with its seed and with others; whether it is verified."""
    wanted = next(memory for memory in aspen.repository.list(limit=10_000) if memory.text == REPLAYED.text)
    if wanted.trace_id is None:
        raise NotFound(f"The memory {wanted.id} has no trace.")
    trace = aspen.trace(wanted.trace_id)
    console.print()
    console.print(screens.replaying(trace, message=wanted.text))
    report = aspen.replay(trace.id)
    console.print(screens.verdict(report))
    console.print(screens.other_seed(_with_other_seed(aspen, trace), seed=trace.seed))
    return report.verified


def _with_other_seed(aspen: Aspen, trace: Trace) -> ReplayReport:
    """The replay with the first other seed that draws other tokens, of a few that are tried."""
    for step in range(1, _SEEDS_TRIED + 1):
        report = replay(aspen.model, replace(trace, seed=trace.seed + step))
        if not report.verified:
            break
    return report


def _save_picture(settings: Settings, parts: list[RenderableType]) -> None:
    """One screen as an SVG file."""
    canvas = Console(
        record=True, file=StringIO(), width=_PICTURE_WIDTH, force_terminal=True, highlight=False, emoji=False
    )
    for part in parts:
        canvas.print(part)
    if settings.svg is not None:
        # A picture that names a font's address would fetch it when it is looked at.
        picture = re.sub(r',\s*url\("[^"]*"\) format\("[^"]*"\)', "", canvas.export_svg(title="aspen demo"))
        settings.svg.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run_part(tell, make_console(), name="Process two"))
