"""Subjects and mentions: steps inside one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aspen.repository import _incoming as incoming
from aspen.repository import _rows as rows
from aspen.repository._postgres._pool import Session
from aspen.repository.values import MentionRows, NewMemory


def add_names(session: Session, new_by_seq: Mapping[int, NewMemory]) -> None:
    """Store the mentions of memories; a subject lies in the memory's own row."""
    mentions = [
        values for seq, new in new_by_seq.items() for values in rows.mention_values(seq, new.mentions)
    ]
    # In the order of the index. Equal ones stay as they came, and the first is kept.
    mentions.sort(key=lambda values: (values["name"], values["seq"]))
    session.run_many("add_mentions", mentions)


def mentioning(
    session: Session, names: Sequence[str], *, conversation: str | None, limit: int
) -> MentionRows:
    """The first mention of each name in each of the `limit` oldest memories that have one."""
    sought = [name for name in names if incoming.findable(name)]
    if conversation is None:
        found = session.rows("mentioning", names=sought, limit=limit)
    else:
        found = session.rows(
            "mentioning_in_conversation", names=sought, conversation=conversation, limit=limit
        )
    return rows.mention_rows_of(found)


def about(session: Session, names: Sequence[str], *, conversation: str | None, limit: int) -> MentionRows:
    """The `limit` oldest memories whose subject each name is."""
    sought = [name for name in names if incoming.findable(name)]
    if conversation is None:
        found = session.rows("about", names=sought, limit=limit)
    else:
        found = session.rows("about_in_conversation", names=sought, conversation=conversation, limit=limit)
    return rows.mention_rows_of(found)
