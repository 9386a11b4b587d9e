"""Keys, what belongs to them, and statistics: the `KeyStore`, `FragmentStore` and `StatisticsStore` of SQLite."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aspen.repository import _incoming as incoming
from aspen.repository import _rows as rows
from aspen.repository._sqlite import _keys as keying
from aspen.repository._sqlite import _steps as steps
from aspen.repository._sqlite._open_store import OpenStore
from aspen.repository.values import KeyStamp
from aspen.types import Memory, Seqs


class KeyStore(OpenStore):
    """The part of the repository that is about keys."""

    def stamp(self) -> KeyStamp | None:
        with self._reading() as session:
            row = session.row("current_stamp")
        return rows.stamp_of(row) if row else None

    def set_stamp(self, stamp: KeyStamp) -> None:
        incoming.check_stamp(stamp)
        with self._writing() as session:
            row = session.row("current_stamp")
            if row is None:
                number = keying.stamp_number(session, stamp)
                session.run("make_stamp_current", stamp=number, revision=session.value("next_revision"))
            elif rows.stamp_of(row).identity != stamp.identity:
                raise incoming.stamp_mismatch(rows.stamp_of(row), stamp, location=self.location)

    def missing_keys(self, stamp: KeyStamp, *, limit: int) -> list[Memory]:
        incoming.check_stamp(stamp)
        incoming.checked_limit(limit)
        with self._reading() as session:
            found = session.rows("missing_keys", stamp=keying.find_stamp(session, stamp), limit=limit)
        return [rows.memory_of(row) for row in found]

    def keys(self, stamp: KeyStamp, *, after: int = 0) -> tuple[Seqs, NDArray[np.uint8]]:
        incoming.check_stamp(stamp)
        with self._reading() as session:
            found = session.rows("keys_after", stamp=keying.find_stamp(session, stamp), after=after)
        size = len(found[0][1]) if found else 0
        body = np.frombuffer(b"".join(key for _, key in found), dtype=np.uint8)
        return np.array([seq for seq, _ in found], dtype=np.int64), body.reshape(len(found), size)

    def add_keys(
        self,
        stamp: KeyStamp,
        keys: Mapping[int, bytes],
        *,
        head_keys: Mapping[int, bytes] | None = None,
        traits: Mapping[int, Mapping[str, float]] | None = None,
    ) -> None:
        incoming.check_stamp(stamp)
        heads = incoming.checked_head_keys(head_keys, keys)
        new_traits = incoming.checked_traits(traits, keys)
        with self._writing() as session:
            size = session.value("key_size", stamp=keying.find_stamp(session, stamp))
            checked = incoming.checked_key_mapping(keys, size)
            known = steps.existing(session, checked)
            kept = {seq: body for seq, body in checked.items() if seq in known}
            if kept:
                keying.put_keys(
                    session,
                    keying.stamp_number(session, stamp),
                    keys=kept,
                    head_keys={seq: body for seq, body in heads.items() if seq in kept},
                    traits={seq: own for seq, own in new_traits.items() if seq in kept},
                    revision=session.value("next_revision"),
                )

    def head_keys(self, seqs: Sequence[int]) -> dict[int, bytes]:
        wanted = incoming.storable_seqs(seqs)
        with self._reading() as session:
            stamp = session.row("current_stamp")
            found = session.rows("head_keys", stamp=stamp[0], seqs=json.dumps(wanted)) if stamp else []
        bodies: dict[int, bytes] = dict(found)
        return {seq: bodies[seq] for seq in wanted if seq in bodies}

    def activate(self, stamp: KeyStamp) -> bool:
        incoming.check_stamp(stamp)
        with self._writing() as session:
            return keying.activate(session, stamp)

    def statistics(self, name: str) -> bytes | None:
        incoming.check_sought(name, what="statistics name")
        with self._reading() as session:
            body: bytes | None = session.value("statistics", name=name) if incoming.findable(name) else None
        return body

    def save_statistics(self, name: str, body: bytes, *, as_of: int) -> bool:
        incoming.check_statistics(name, body, as_of=as_of)
        with self._writing() as session:
            if as_of > session.value("revision") or session.value("statistics_outdated", as_of=as_of):
                return False
            session.run("next_revision")
            session.run("save_statistics", name=name, body=body)
            return True

    def fragments(self, places: Collection[tuple[int, str]]) -> dict[tuple[int, str], bytes]:
        wanted = incoming.fragment_places(places)
        with self._reading() as session:
            return keying.fragments(session, wanted)

    def save_fragments(self, stamp: KeyStamp, fragments: Mapping[tuple[int, str], bytes]) -> None:
        incoming.check_stamp(stamp)
        checked = incoming.checked_fragments(fragments)
        with self._writing() as session:
            number = keying.current_number(session, stamp, location=self.location)
            known = steps.existing(session, (seq for seq, _ in checked))
            kept = {place: body for place, body in checked.items() if place[0] in known}
            if kept:
                session.run("next_revision")
                keying.put_fragments(session, number, kept)
