"""Looking through memories: pages of them, conversations, duplicates, and how the store grows."""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import takewhile

import numpy as np

from aspen.front_door._pages import Cursor, Ordered
from aspen.front_door.base import FrontDoor
from aspen.memory_graph import nearest_before, priorities_of
from aspen.repository import (
    MAX_LIMIT,
    MAX_TERM_LENGTH,
    Conversation,
    DayCount,
    MemoryFilter,
)
from aspen.resonance_search import analyse
from aspen.summaries import whitened
from aspen.types import (
    DuplicatePair,
    FloatArray,
    Memory,
    MemoryPage,
    MemorySort,
    MemoryType,
    Provenance,
    RelationType,
    Stability,
)
from aspen.validation import (
    check_choice,
    check_count,
    check_kind,
    check_name,
    check_share,
    check_text,
    check_time,
)

ALIKE = 0.9
"""Cosine of whitened keys from which two memories seem to say the same. With the bundled model sentences in other words
or another order reach 0.90 to 0.97, the same sentence of another place or animal 0.83 to 0.91, unrelated ones 0.53."""
_MOST_TEXT = 1000
"""Characters of a text that is looked for."""
_SHORTEST = 3
"""Characters of a beginning that a longer word is looked for by."""
_LETTERS = frozenset(string.ascii_lowercase)
_WORD = re.compile(r"\w+")


class Browsing(FrontDoor):
    """What looks through memories without a question to answer."""

    def page(
        self,
        *,
        text: str | None = None,
        type: MemoryType | str | None = None,  # noqa: A002 - the word of the field
        tag: str | None = None,
        speaker: str | None = None,
        conversation: str | None = None,
        provenance: Provenance | str | None = None,
        stability: Stability | str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        min_priority: float | None = None,
        sort: MemorySort | str = MemorySort.NEWEST,
        cursor: str | None = None,
        limit: int = 50,
    ) -> MemoryPage:
        """Memories that fit everything that is given, `limit` in [1, 10,000] at a time. No model is needed.

        The `next` of a page is the `cursor` of the one after it. Memories that are stored or forgotten while somebody
        turns the pages move none of the others: each comes once. One that is used or amended meanwhile may change its
        place, where the list is sorted by that. InvalidInput for a cursor of another list.

        Parameters
        ----------
        text:
            Words that all have to occur, in any order and inflection, the smallest ones ("the") aside; of the last one,
            unless a blank follows it, two letters of its beginning are enough. They are looked up in the index of
            words, to which speaker and date belong; case does not matter.
        type, tag, speaker, conversation, provenance, stability:
            What a memory must be, or have.
        since, until:
            Said, or where nobody knows when stored, at `since` or later and before `until` (UTC without a zone).
        min_priority:
            Least priority, in [0, 1].
        sort:
            "newest" or "oldest" by the moment of storing, "priority", or "used": used last.
        """
        check_count(limit, what="limit", maximum=MAX_LIMIT)
        order = check_choice(sort, MemorySort, what="sort")
        words, beginning = _sought(text)
        wanted = MemoryFilter(
            words=words,
            beginning=beginning,
            type=None if type is None else check_choice(type, MemoryType, what="type"),
            tag=check_name(tag, what="tag"),
            speaker=check_name(speaker, what="speaker"),
            conversation=check_name(conversation, what="conversation"),
            provenance=None
            if provenance is None
            else check_choice(provenance, Provenance, what="provenance"),
            stability=None if stability is None else check_choice(stability, Stability, what="stability"),
            since=check_time(since, what="since"),
            until=check_time(until, what="until"),
        )
        least = None if min_priority is None else check_share(min_priority, what="min_priority")
        question = _digest(order, wanted, least)
        start = None if cursor is None else Cursor.read(cursor, question=question)
        now = start.now if start else datetime.now(UTC)
        if least is None and order in (MemorySort.NEWEST, MemorySort.OLDEST):
            newest_first = order is MemorySort.NEWEST
            beyond = start.seq if start else None
            most = min(limit + 1, MAX_LIMIT)
            found = self.repository.page(wanted, newest_first=newest_first, beyond=beyond, limit=most)
            memories, more, total = found[:limit], len(found) == most, self.repository.count(wanted)
            last = (memories[-1].seq, memories[-1].seq) if memories else (0, 0)
        else:
            rows = self.repository.priority_rows(wanted)
            everything = Ordered.of(rows, sort=order, least=least or 0.0, now=now)
            left = everything.behind(start) if start else everything
            seqs = left.seqs[:limit].tolist()
            memories, more, total = (
                self.repository.get_by_seq(seqs),
                len(left.seqs) > limit,
                len(everything.seqs),
            )
            last = (left.values[len(seqs) - 1].item(), seqs[-1]) if seqs else (0, 0)
        return MemoryPage(
            memories=tuple(memories),
            priorities=tuple(priorities_of(memories, now=now).tolist()),
            next=str(Cursor(question, now, *last)) if more else None,
            total=total,
        )

    def conversations(self) -> tuple[Conversation, ...]:
        """All conversations, in the order of their last memory, newest first."""
        return tuple(self.repository.conversations())

    def growth(self) -> tuple[DayCount, ...]:
        """Of each day (in UTC) how many of the memories and traces that are there were stored on it, ascending.

        Days on which nothing was stored are left out.
        """
        return tuple(self.repository.growth())

    def duplicates(
        self, *, threshold: float = ALIKE, limit: int = 50, among: int = 20_000
    ) -> tuple[DuplicatePair, ...]:
        """Memories that seem to say the same as an older one of the same speaker, the most alike first.

        Each stands beside the one before it that is most like it, in at most one pair. What was corrected is left out.
        The keys that the store holds are compared, and the words as they are written, case and punctuation aside; no
        text runs through the model, which is loaded for what it knows of its keys. ModelMismatch where these are those
        of another model.

        Parameters
        ----------
        threshold:
            Least cosine of whitened keys, in [0, 1]; equal words pass any.
        limit:
            Most pairs, in [1, 10,000].
        among:
            Most memories that are looked at, the newest, in [2, 100,000]. The time goes with the square.
        """
        least = check_share(threshold, what="threshold")
        check_count(limit, what="limit", maximum=MAX_LIMIT)
        check_count(among, what="among", minimum=2, maximum=100_000)
        stamp = self.repository.stamp()
        if stamp is None:
            return ()
        if stamp.identity != self.engine.stamp.identity:
            raise self.engine.comparison.mismatch(stamp)
        memories = self._holding(among)
        vectors = self._vectors([memory.seq for memory in memories])
        by_speaker: dict[str | None, list[int]] = {}
        for row, memory in enumerate(memories):
            by_speaker.setdefault(memory.speaker, []).append(row)
        pairs: list[DuplicatePair] = []
        for rows in by_speaker.values():
            own = [memories[row] for row in rows]
            pairs += _pairs(own, vectors[rows], least=least)
        # Of equal ones those that say more: "Thanks!" is said often.
        pairs.sort(key=lambda pair: (-pair.similarity, -pair.second.token_count, -pair.second.seq))
        return tuple(pairs[:limit])

    def _holding(self, most: int) -> list[Memory]:
        """The newest `most` memories, ascending, without those that were corrected."""
        memories: list[Memory] = []
        while len(memories) < most:
            before = memories[-1].seq if memories else None
            page = self.repository.list(before=before, limit=min(MAX_LIMIT, most - len(memories)))
            if not page:
                break
            memories += page
        kind = RelationType.HISTORICAL_VERSION_OF.value
        seqs = [memory.seq for memory in memories]
        corrected = set(self.repository.out_edges(seqs, fan=1, types=[kind]).sources.tolist())
        return [memory for memory in reversed(memories) if memory.seq not in corrected]

    def _vectors(self, seqs: Sequence[int]) -> FloatArray:
        """Whitened keys of memories, float32 [n, d] of length 1, in ascending order; zeros where there is none."""
        known, keys = self.repository.keys(self.engine.stamp, after=seqs[0] - 1 if seqs else 0)
        rows = np.searchsorted(known, seqs)
        there = rows < len(known)
        there[there] = known[rows[there]] == np.array(seqs)[there]
        found = whitened(keys[rows[there]], code=self.engine.encoder.key_code)
        vectors = np.zeros((len(seqs), found.shape[1]), dtype=np.float32)
        vectors[there] = found
        return vectors


def _pairs(memories: Sequence[Memory], vectors: FloatArray, *, least: float) -> list[DuplicatePair]:
    """Each memory beside the one before it that is most like it, where they are alike enough."""
    nearest, cosines = nearest_before(vectors)
    first_with: dict[tuple[str, ...], Memory] = {}
    pairs = []
    for row, memory in enumerate(memories):
        words = tuple(_WORD.findall(memory.text.casefold())) or (memory.text.strip(),)
        before = first_with.setdefault(words, memory)
        if before is not memory:
            pairs.append(DuplicatePair(before, memory, 1.0))
        elif cosines[row] >= least:
            below = float(np.nextafter(np.float32(1), np.float32(0)))
            similarity = min(float(cosines[row]), below)
            pairs.append(DuplicatePair(memories[nearest[row]], memory, similarity))
    return pairs


def _sought(text: str | None) -> tuple[tuple[str, ...], str | None]:
    """Terms that have to occur, and what a term has to begin with: the last word may still be in the making."""
    if text is None:
        return (), None
    check_kind(text, str, what="text")
    if not text.strip():
        return (), None
    lower = check_text(text, what="text", max_length=_MOST_TEXT).lower()
    last = re.search(r"\w+$", lower)
    if last is None or last[0] in _LETTERS:  # nearly every memory has a word that begins with some letter
        return tuple(dict.fromkeys(analyse(lower))), None
    return tuple(dict.fromkeys(analyse(lower[: last.start()]))), _beginning(last[0])


def _beginning(word: str) -> str:
    """What a word and its stem have in common: "moving" becomes "move", "mov" finds both, and "moved"."""
    stem = "".join(analyse(word))  # none of one of the smallest words
    common = "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], zip(word, stem, strict=False)))
    if stem and len(common) < min(_SHORTEST, len(word)):
        return stem  # "lying" becomes "lie"
    return (common or word)[:MAX_TERM_LENGTH]


def _digest(order: MemorySort, wanted: MemoryFilter, least: float | None) -> str:
    return hashlib.blake2b(repr((order, wanted, least)).encode(), digest_size=8).hexdigest()
