"""Stamps, keys, head keys, traits and KV fragments: steps inside one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aspen.repository import _incoming as incoming
from aspen.repository import _rows as rows
from aspen.repository._postgres import _columns as columns
from aspen.repository._postgres._pool import Session
from aspen.repository._rows import Row
from aspen.repository.values import NO_TIME, KeyStamp, MemoryRows, NewMemory, TraitRows
from aspen.types import Seqs

_NO_STAMP = -1
"""The number of a stamp that the store does not know: no row matches it."""


def find_stamp(session: Session, stamp: KeyStamp) -> int:
    """The number of a stamp by its identity."""
    number: int | None = session.value("find_stamp", model_id=stamp.model_id, key_version=stamp.key_version)
    return _NO_STAMP if number is None else number


def stamp_number(session: Session, stamp: KeyStamp) -> int:
    """The number of a stamp, which is stored if it is new."""
    number = find_stamp(session, stamp)
    if number == _NO_STAMP:
        number = session.value(
            "add_stamp", model_id=stamp.model_id, model_name=stamp.model_name, key_version=stamp.key_version
        )
    return number


def current_number(session: Session, stamp: KeyStamp | None, *, location: str) -> int:
    """The number of the current stamp, which `stamp` must be where it is given."""
    row = session.row("current_stamp")
    incoming.current_stamp(rows.stamp_of(row) if row else None, stamp, location=location)
    number: int = row[0] if row else _NO_STAMP
    return number


def check_keys(
    session: Session, memories: Sequence[NewMemory], stamp: KeyStamp | None, *, location: str
) -> int:
    """The number of the current stamp, once the keys are known to fit it."""
    number = current_number(session, stamp, location=location)
    incoming.check_keys([new.key for new in memories], session.value("key_size", stamp=number))
    return number


def put_keys(
    session: Session,
    stamp: int,
    *,
    keys: Mapping[int, bytes],
    head_keys: Mapping[int, bytes],
    traits: Mapping[int, Mapping[str, float]],
    revision: int,
) -> None:
    """Add or replace keys and head keys of a stamp, by seq, and add traits where there are none."""
    session.run_many("put_keys", _by_seq(keys), stamp=stamp, revision=revision)
    session.run_many("put_head_keys", _by_seq(head_keys), stamp=stamp)
    session.run_many(
        "add_traits", [values for seq, own in traits.items() for values in rows.trait_values(seq, stamp, own)]
    )


def _by_seq(bodies: Mapping[int, bytes]) -> list[dict[str, int | bytes]]:
    return [{"seq": seq, "body": body} for seq, body in bodies.items()]


def fragments(session: Session, places: Sequence[tuple[int, str]]) -> dict[tuple[int, str], bytes]:
    """Those that the current stamp has, by seq and name."""
    row = session.row("current_stamp")
    if row is None or not places:
        return {}
    seqs, names = zip(*places, strict=True)
    found = session.rows("fragments", stamp=row[0], seqs=list(seqs), names=list(names))
    by_place = {(seq, name): body for seq, name, body in found}
    return {place: by_place[place] for place in places if place in by_place}


def put_fragments(session: Session, stamp: int, bodies: Mapping[tuple[int, str], bytes]) -> None:
    """Add or replace fragments of a stamp."""
    rows_of = [{"seq": seq, "fragment": name, "body": body} for (seq, name), body in bodies.items()]
    session.run_many("put_fragments", rows_of, stamp=stamp)


def activate(session: Session, stamp: KeyStamp) -> bool:
    """Make a stamp the current one and delete all other keys; False, and no change, while keys are missing."""
    if session.rows("missing_keys", stamp=find_stamp(session, stamp), limit=1):
        return False
    number = stamp_number(session, stamp)
    current = session.row("current_stamp")
    changed = current is None or current[0] != number
    if changed or session.rows("other_keys", stamp=number):
        revision = session.value("next_revision")
        session.deleted = True
        if changed:
            session.run("retire_stamp")
            session.run("make_stamp_current", stamp=number, revision=revision)
            session.run("delete_statistics")
    session.run("delete_other_stamps", stamp=number)
    return True


def keys_after(session: Session, stamp: KeyStamp, *, after: int) -> tuple[Seqs, NDArray[np.uint8]]:
    """Seqs and keys of a stamp, ascending by seq."""
    number = find_stamp(session, stamp)
    seqs, bodies = [columns.int64_of(None)], []
    while True:
        (packed_seqs, packed_keys) = session.rows(
            "keys_after", stamp=number, after=after, limit=columns.BLOCK
        )[0]
        if packed_seqs is None:
            break
        seqs.append(columns.int64_of(packed_seqs))
        bodies.append(packed_keys)
        after = int(seqs[-1][-1])
    joined, body = np.concatenate(seqs), b"".join(bodies)
    return joined, columns.keys_of(body, count=len(joined), size=len(body) // max(1, len(joined)))


def changed_rows(session: Session, since: int) -> tuple[MemoryRows, TraitRows]:
    """Rows and traits of memories that are new, or have a new key, after revision `since`."""
    current = session.row("current_stamp")
    number, activated = (current[0], current[4]) if current else (_NO_STAMP, 0)
    size = session.value("key_size", stamp=number) or 0
    values = {"stamp": number, "no_time": NO_TIME, "limit": columns.BLOCK}

    def all_after(seq: int) -> Row:
        return session.rows("all_rows", after=seq, **values)[0]

    def new_after(seq: int) -> Row:
        return session.rows("new_rows", after=seq, since=since, **values)[0]

    if since < activated:
        memories = columns.memory_rows_of(all_after, key_size=size)
        (traits,) = session.rows("all_traits", stamp=number)
    else:
        memories = columns.memory_rows_of(new_after, key_size=size)
        (traits,) = session.rows("traits_of_new_rows", stamp=number, since=since)
    return memories, columns.trait_rows_of(traits)
