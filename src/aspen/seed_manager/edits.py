"""One small change to a recorded inference: another message, another note, another draw.

A prompt is edited as tokens: those of one named segment are replaced, and all others stay, so that what differs
afterwards differs for that one reason. New text is cut by `LanguageModel.tokenize` and can form no control token.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aspen.errors import InvalidInput
from aspen.models.interface import LanguageModel
from aspen.models.sampling import check_settings
from aspen.seed_manager.seeds import choose_seed
from aspen.types import Pass, SamplerSettings, TokenIds, Trace

_NOTE, _USER, _SYSTEM = "note", "user", "system"


@dataclass(frozen=True, slots=True)
class Edit:
    """What is changed; what is None stays. `note` "" takes the memory note out."""

    message: str | None = None
    note: str | None = None
    seed: int | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class EditedRun:
    """An inference ready to be run: the prompt, int32 [P], how it comes into the cache, and how it is sampled.

    `changed` says in words what is other than in the trace.
    """

    prompt_ids: TokenIds
    passes: tuple[Pass, ...]
    sampler: SamplerSettings
    seed: int
    max_tokens: int
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Replacement:
    """New tokens in place of `start` to `stop`."""

    start: int
    stop: int
    token_ids: TokenIds


def recorded_run(trace: Trace) -> EditedRun:
    """The inference of a trace as it was."""
    return EditedRun(
        trace.token_ids[: trace.prompt_length], trace.passes, trace.sampler, trace.seed, trace.max_tokens
    )


def apply_edit(model: LanguageModel, trace: Trace, edit: Edit) -> EditedRun:
    """The inference of `trace` with one edit.

    InvalidInput where the edit changes nothing, or the prompt has no such part: a note can only be replaced where
    there is one, or put behind a system prompt of your own.
    """
    run = recorded_run(trace)
    changed = []
    replacements = []
    if edit.message is not None:
        replacements.append(_message(model, trace, edit.message))
        changed.append("message")
    if edit.note is not None:
        replacements += _note(model, trace, edit.note)
        changed.append("memory note" if edit.note else "no memory note")
    if edit.seed is not None and edit.seed != trace.seed:
        changed.append(f"seed {trace.seed} -> {choose_seed(edit.seed)}")
        run = replace(run, seed=edit.seed)
    if edit.temperature is not None and edit.temperature != trace.sampler.temperature:
        run = replace(run, sampler=replace(trace.sampler, temperature=edit.temperature))
        check_settings(run.sampler)
        changed.append(f"temperature {trace.sampler.temperature:g} -> {edit.temperature:g}")
    if not changed:
        raise InvalidInput(
            "The edit changes nothing.",
            hint="Give another message, note, seed, temperature or strategy than the trace has.",
        )
    for one in sorted(replacements, key=lambda each: each.start, reverse=True):
        run = replace(run, prompt_ids=_replaced(run.prompt_ids, one), passes=_recut(run.passes, one))
    return replace(run, changed=tuple(changed))


def segment_text(model: LanguageModel, trace: Trace, name: str) -> str:
    """The text of all tokens of the segments of this name; "" where there are none."""
    parts = [trace.token_ids[s.start : s.stop] for s in trace.segments if s.name == name]
    return model.detokenize(np.concatenate(parts)) if parts else ""


def _message(model: LanguageModel, trace: Trace, text: str) -> _Replacement:
    """The last segment of the user: where a template has no system role, what is told stands in one before it."""
    segments = [segment for segment in trace.segments if segment.name == _USER]
    if not segments:
        raise InvalidInput(
            "The prompt of this trace has no message of a user.", hint="Only traces of `chat` can be edited."
        )
    last = segments[-1]
    # The line breaks that part the message from a note before it are no part of what the user said.
    said = model.detokenize(trace.token_ids[last.start : last.stop])
    breaks = said[: len(said) - len(said.lstrip("\n"))]
    return _Replacement(last.start, last.stop, model.tokenize(breaks + text))


def _note(model: LanguageModel, trace: Trace, text: str) -> list[_Replacement]:
    """The first note takes the new text, further ones go; a new one stands behind the system prompt."""
    notes = [segment for segment in trace.segments if segment.name == _NOTE]
    empty = np.empty(0, dtype=np.int32)
    if notes:
        ids = model.tokenize(text) if text else empty
        first, *others = notes
        gone = [_Replacement(segment.start, segment.stop, empty) for segment in others]
        return [_Replacement(first.start, first.stop, ids), *gone]
    if not text:
        raise InvalidInput("The prompt of this trace has no memory note to take out.")
    system = [segment for segment in trace.segments if segment.name == _SYSTEM]
    if not system:
        raise InvalidInput(
            "The prompt of this trace has no memory note to replace, and no system prompt to put one behind.",
            hint="Ask anew with the seed of the trace, or replay it with another strategy.",
        )
    stop = system[-1].stop
    return [_Replacement(stop, stop, model.tokenize(f"\n\n{text}"))]


def _replaced(token_ids: TokenIds, one: _Replacement) -> TokenIds:
    return np.concatenate([token_ids[: one.start], one.token_ids, token_ids[one.stop :]]).astype(np.int32)


def _recut(passes: tuple[Pass, ...], one: _Replacement) -> tuple[Pass, ...]:
    """The passes of the edited prompt: cut where they were, so that what stands before the edit stays bit-equal.

    A KV fragment that the edit touches is no longer that fragment, and what is left of it is run.
    """
    recut: list[Pass] = []
    start, placed = 0, False
    for number, each in enumerate(passes):
        stop = start + each.tokens
        gone = max(0, min(stop, one.stop) - max(start, one.start))
        here = not placed and (one.start < stop or number == len(passes) - 1)
        # New tokens at the very beginning of a fragment get a pass of their own.
        if here and each.fragment is not None and gone == 0 and one.start == start:
            recut += [Pass(len(one.token_ids)), each]
        else:
            count = each.tokens - gone + (len(one.token_ids) if here else 0)
            whole = gone == 0 and not (here and len(one.token_ids))
            recut.append(Pass(count, each.fragment if whole else None))
        placed, start = placed or here, stop
    return tuple(each for each in recut if each.tokens)
