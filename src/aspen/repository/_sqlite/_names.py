"""Subjects and mentions: steps inside one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from aspen.repository import _incoming as incoming
from aspen.repository import _rows as rows
from aspen.repository._rows import Row
from aspen.repository._sqlite._pool import Session
from aspen.repository.values import MentionRows, NewMemory


def add_names(session: Session, new_by_seq: Mapping[int, NewMemory]) -> None:
    """Store the mentions of memories; a subject lies in the memory's own row."""
    mentions = [
        values for seq, new in new_by_seq.items() for values in rows.mention_values(seq, new.mentions)
    ]
    # In the order of the table: a page that is changed twice is then still at hand. Equal ones stay as they came,
    # and the first is kept.
    session.run_many("add_mention", sorted(mentions, key=lambda values: (values["name"], values["seq"])))


def mentioning(
    session: Session, names: Sequence[str], *, conversation: str | None, limit: int
) -> MentionRows:
    """The first mention of each name in each of the `limit` oldest memories that have one."""
    if conversation is None:
        return _for_each(names, lambda name: session.rows("mentioning", name=name, limit=limit))
    first, last = session.rows("span_of_conversation", conversation=conversation)[0]
    values = {"conversation": conversation, "first": first, "last": last, "limit": limit}
    return _for_each(names, lambda name: session.rows("mentioning_in_conversation", name=name, **values))


def about(session: Session, names: Sequence[str], *, conversation: str | None, limit: int) -> MentionRows:
    """The `limit` oldest memories whose subject each name is."""
    if conversation is None:
        return _for_each(names, lambda name: session.rows("about", name=name, limit=limit))
    values = {"conversation": conversation, "limit": limit}
    return _for_each(names, lambda name: session.rows("about_in_conversation", name=name, **values))


def _for_each(names: Sequence[str], find: Callable[[str], list[Row]]) -> MentionRows:
    return rows.mention_rows_of([row for name in names if incoming.findable(name) for row in find(name)])
