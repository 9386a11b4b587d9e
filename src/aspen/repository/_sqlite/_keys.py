"""Stamps, keys, head keys, traits and KV fragments: steps inside one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aspen.repository import _incoming as incoming
from aspen.repository import _rows as rows
from aspen.repository._sqlite._pool import Session
from aspen.repository.values import KeyStamp, MemoryRows, NewMemory, TraitRows

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
    stored = rows.stamp_of(row) if row else None
    return find_stamp(session, incoming.current_stamp(stored, stamp, location=location))


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
    """Add or replace keys, head keys and traits of a stamp, by seq."""
    session.run_many(
        "put_key",
        [{"seq": seq, "stamp": stamp, "revision": revision, "body": body} for seq, body in keys.items()],
    )
    session.run_many(
        "put_head_key",
        [{"seq": seq, "stamp": stamp, "body": body} for seq, body in head_keys.items()],
    )
    session.run_many("delete_traits", [{"seq": seq, "stamp": stamp} for seq in traits])
    session.run_many(
        "add_trait", [values for seq, own in traits.items() for values in rows.trait_values(seq, stamp, own)]
    )


def fragments(session: Session, places: Sequence[tuple[int, str]]) -> dict[tuple[int, str], bytes]:
    """Those that the current stamp has, by seq and name."""
    row = session.row("current_stamp")
    if row is None:
        return {}
    found: dict[tuple[int, str], bytes] = {}
    for seq, name in places:
        body = session.value("fragment", stamp=row[0], seq=seq, fragment=name)
        if body is not None:
            found[seq, name] = body
    return found


def put_fragments(session: Session, stamp: int, bodies: Mapping[tuple[int, str], bytes]) -> None:
    """Add or replace fragments of a stamp."""
    session.run_many(
        "put_fragment",
        [
            {"seq": seq, "stamp": stamp, "fragment": name, "body": body}
            for (seq, name), body in bodies.items()
        ],
    )


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


def changed_rows(session: Session, since: int) -> tuple[MemoryRows, TraitRows]:
    """Rows and traits of memories that are new, or have a new key, after revision `since`."""
    row = session.row("current_stamp")
    number, activated = (row[0], row[4]) if row else (_NO_STAMP, 0)
    size = session.value("key_size", stamp=number) or 0
    if since < activated:
        count = session.value("count_all_rows", stamp=number)
        memories = rows.memory_rows_of(session.iterate("all_rows", stamp=number), count=count, key_size=size)
        traits = session.rows("all_traits", stamp=number)
    else:
        count = session.value("count_new_rows", stamp=number, since=since)
        found = session.iterate("new_rows", stamp=number, since=since)
        memories = rows.memory_rows_of(found, count=count, key_size=size)
        traits = session.rows("traits_of_new_rows", stamp=number, since=since)
    return memories, rows.trait_rows_of(traits)
