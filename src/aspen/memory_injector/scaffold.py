"""The scaffold: what was asked the last time, what was done, and how it ended. It guides, and forces nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from aspen.dates import written_date
from aspen.memory_injector.framing import Line, Note, fitting_note, frame_tokens, memory_line, when_said
from aspen.memory_injector.interface import Prepared, Situation, StrategyName
from aspen.memory_injector.note import note_for, worth_telling
from aspen.memory_injector.text import prepare_text
from aspen.memory_rephraser import shortened, speaker_of
from aspen.types import Hit, Memory, Provenance, Role

_MOST = 3
"""Lines of a scaffold: a story says more than a line of a note."""
_FAILED = re.compile(
    r"\b(fail(s|ed)?|still (not|the same|broken|fails)|no luck|wrong|worse|useless|in vain|unfortunately"
    r"|((did|does|do|was|is|has|have|would|could|can)(n['\u2019]?t| not)|not|never) (\w+ )?"
    r"(work|help|fix|solve|right|correct|true)\w*)\b",
    re.IGNORECASE,
)
_WORKED = re.compile(
    r"\b(thank(s| you)|work(s|ed)|fixed|solved|helped|perfect|brilliant|great|exactly|that did it|success(ful)?"
    r"|you(['\u2019]re| are| were) right)\b",
    re.IGNORECASE,
)


class Ending(StrEnum):
    """How it ended, by the words of whoever had asked."""

    WORKED = "It worked"
    FAILED = "It did not work"
    OPEN = "Then"  # those words do not tell


_ADVICE = {
    Ending.WORKED: "Consider doing the same.",
    Ending.FAILED: "Consider another way.",
    Ending.OPEN: "Consider whether it helps now.",
}


@dataclass(frozen=True, slots=True)
class Story:
    """One turn of a conversation: what was asked, what was answered or done, what was said then, if anything was."""

    asked: Memory
    done: Memory
    ended: Memory | None

    @property
    def ending(self) -> Ending:
        """How it ended."""
        return Ending.OPEN if self.ended is None else ending_of(self.ended.text)

    @property
    def memories(self) -> tuple[Memory, ...]:
        """All memories it is made of, in order."""
        return (self.asked, self.done) if self.ended is None else (self.asked, self.done, self.ended)


class Scaffold:
    """Tells the turns that recalled memories belong to, or the memories where they belong to none."""

    def prepare(self, situation: Situation) -> Prepared:
        """See `Strategy`. A note where no hit has a story that fits."""
        hits = situation.recall(situation.message).hits
        stories = {
            hit.memory.id: story
            for hit in hits
            if hit.corrected_by is None
            and (story := story_of(hit.memory, situation.around(hit.memory))) is not None
        }
        note = write_scaffold(
            hits,
            stories=stories,
            prompt=situation.message,
            budget=situation.budget,
            count_tokens=situation.count_tokens,
        )
        if note is not None:
            return prepare_text(
                situation,
                note,
                strategy=StrategyName.SCAFFOLD,
                figures={"stories": len({story.done.id for story in stories.values()} & {*note.memory_ids})},
            )
        note = note_for(situation, hits)
        why = (
            "nothing worth telling belongs to a turn whose end is known, or its story does not fit the budget"
        )
        return prepare_text(
            situation,
            note,
            strategy=StrategyName.NOTE,
            asked=StrategyName.SCAFFOLD,
            reason=why if note else "",
        )


def story_of(memory: Memory, around: Sequence[Memory]) -> Story | None:
    """The story that a memory is part of; None where there is none.

    `around` are the turns it stands among, in order, with it. Somebody asks a person, or tells the model something;
    another answers; the first one then says how it ended. What the model itself answered is no story before somebody
    said whether it worked: it would come back as if it had.
    """
    place = next((place for place, one in enumerate(around) if one.seq == memory.seq), None)
    if place is None:
        return None
    starts = [place, place - 1]
    if ending_of(memory.text) is not Ending.OPEN:
        starts.insert(0, place - 2)
    return next((story for start in starts if (story := _story_at(start, around)) is not None), None)


def _story_at(start: int, around: Sequence[Memory]) -> Story | None:
    if start < 0 or len(around) < start + 2:
        return None
    asked, done = around[start], around[start + 1]
    by_model = done.provenance is Provenance.GENERATED
    if asked.provenance is Provenance.GENERATED or asked.speaker == done.speaker:
        return None
    if by_model and asked.trace_id != done.trace_id:
        return None
    if not by_model and not asked.text.rstrip(" .!\"')").endswith(("?", "\uff1f")):
        return None
    then = around[start + 2] if len(around) > start + 2 else None
    if then is None or then.provenance is Provenance.GENERATED or then.speaker != asked.speaker:
        then = None
    story = Story(asked, done, then)
    return None if by_model and story.ending is Ending.OPEN else story


def ending_of(text: str) -> Ending:
    """What the words of whoever had asked say of the end; English words only."""
    if _FAILED.search(text):
        return Ending.FAILED
    return Ending.WORKED if _WORKED.search(text) else Ending.OPEN


def write_scaffold(
    hits: Sequence[Hit],
    *,
    stories: dict[str, Story],
    prompt: str,
    budget: int,
    count_tokens: Callable[[str], int],
) -> Note | None:
    """A note of at most `budget` tokens from the best hits, with the stories that they are part of, by their ids.

    None where there is no story among what fits: then a note says as much.
    """
    longest = (budget - frame_tokens(count_tokens)) * 2 // 3
    told: set[str] = set()

    def lines() -> Iterator[Line]:
        for hit in worth_telling(hits, prompt=prompt, answered=stories):
            if hit.memory.id in told:
                continue
            story = stories.get(hit.memory.id)
            if story is None:
                text = memory_line(hit.memory, budget=longest // 2, count_tokens=count_tokens)
                yield Line(text, (hit.memory.id,), when_said(hit.memory))
                continue
            ids = tuple(memory.id for memory in story.memories)
            told.update(ids)
            text = story_line(story, budget=longest, count_tokens=count_tokens)
            yield Line(text, ids, when_said(story.asked))

    note = fitting_note(lines(), budget=budget, count_tokens=count_tokens, most=_MOST)
    fits = note is not None and any(story.done.id in note.memory_ids for story in stories.values())
    return note if fits else None


def story_line(story: Story, *, budget: int, count_tokens: Callable[[str], int]) -> str:
    """A story as one line, each of its texts cut so that it takes no more than its share of `budget` tokens."""

    def words(memory: Memory, share: float) -> str:
        return shortened(memory.text, lambda text: count_tokens(text) <= budget * share)

    date = f" ({written_date(story.asked.said_at)})" if story.asked.said_at else ""
    asker = speaker_of(story.asked)
    if story.asked.speaker == Role.USER:
        asker = "the user"
    done = f'{speaker_of(story.done)} answered: "{words(story.done, 0.4)}"'
    parts = [f'- Last time{date} {asker} said: "{words(story.asked, 0.2)}"', done]
    if story.ended is not None:
        parts.append(f'{story.ending}: "{words(story.ended, 0.2)}"')
    return " ".join([*parts, _ADVICE[story.ending]])
