"""LoCoMo in its official format: a list of samples, each with sessions of dated turns.

A turn's `text` gets its picture's caption in brackets. Records are numbered by turn over the whole file. The file
is read at once: it is one JSON document.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from aspen.errors import InvalidInput
from aspen.interchange.lines import opened
from aspen.interchange.records import Problem, Reading, Source, as_record, name_in

_SESSION = re.compile(r"session_(\d+)")
_TIME = "%I:%M %p on %d %B, %Y"  # 1:56 pm on 8 May, 2023


def read_locomo(source: Source) -> Iterator[Reading]:
    """One record for each turn; conversation is the sample's id, source the turn's `dia_id`."""
    samples = _document(source)
    total = sum(len(turns) for sample in samples for _, turns in _sessions(_conversation(sample)))
    number = 0
    for position, sample in enumerate(samples, start=1):
        conversation = _conversation(sample)
        name = str(name_in(sample, "sample_id") or source.conversation or source.place(position))
        sessions = _sessions(conversation)
        if not any(turns for _, turns in sessions):
            yield Problem(number + 1, f"sample {position} has no conversation with turns")
        for session, turns in sessions:
            said_at = _time(conversation.get(f"session_{session}_date_time"))
            if isinstance(said_at, str):
                yield Problem(
                    number + 1,
                    f"session {session} of {name}: {said_at!r} is no date, so its {len(turns)} turns are not read",
                )
                number += len(turns)
                continue
            for turn in turns:
                number += 1
                yield _turn(turn, number, said_at=said_at, name=name, source=source, done=number / total)


def _document(source: Source) -> list[Mapping[str, object]]:
    try:
        with opened(source.path) as file:
            document = json.loads(file.read().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{source.path} is not a LoCoMo file: it cannot be read as JSON ({error}).",
            hint="A file with one JSON object a line is JSONL: say that its format is chat, or plain.",
            path=str(source.path),
        ) from error
    samples = document if isinstance(document, list) else [document]
    return [sample if isinstance(sample, dict) else {} for sample in samples]


def _conversation(sample: Mapping[str, object]) -> dict[str, object]:
    conversation = sample.get("conversation")
    return conversation if isinstance(conversation, dict) else {}


def _sessions(conversation: Mapping[str, object]) -> list[tuple[int, list[object]]]:
    """Numbers and turns of the sessions, in order; some have a date and no turns."""
    found = [
        (int(match[1]), value)
        for name, value in conversation.items()
        if (match := _SESSION.fullmatch(name)) and isinstance(value, list)
    ]
    return sorted(found, key=lambda session: session[0])


def _time(date: object) -> datetime | str | None:
    """The time of a session in UTC, None where there is none; the date as text where it cannot be read."""
    try:
        return None if date is None else datetime.strptime(str(date), _TIME).replace(tzinfo=UTC)
    except ValueError:
        return str(date)


def _turn(
    turn: object, number: int, *, said_at: datetime | None, name: str, source: Source, done: float
) -> Reading:
    if not isinstance(turn, dict):
        return Problem(number, f"{name}: expected a turn, got {type(turn).__name__}")
    place = name_in(turn, "dia_id") or source.place(number)
    text, caption = turn.get("text"), turn.get("blip_caption")
    if caption and (text is None or isinstance(text, str)):
        text = f"{text or ''} [shares {caption}]".strip()
    fields = {
        "text": text,
        "speaker": name_in(turn, "speaker"),
        "said_at": said_at,
        "conversation": name,
        "source": place,
    }
    return as_record(number, fields, done=done, where=f"turn {place} of {name}: ")
