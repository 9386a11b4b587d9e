"""Keys, what belongs to them, and statistics: the `KeyStore`, `FragmentStore` and `StatisticsStore` in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from aspen.repository import _incoming as incoming
from aspen.repository._in_memory._open_store import OpenStore
from aspen.repository.values import KeyStamp
from aspen.types import Memory, Seqs


class KeyStore(OpenStore):
    """The part of the repository that is about keys."""

    def stamp(self) -> KeyStamp | None:
        with self._lock:
            return self._stamp

    def set_stamp(self, stamp: KeyStamp) -> None:
        incoming.check_stamp(stamp)
        with self._lock:
            if self._stamp is None:
                self._revision += 1
                self._stamp, self._activated = stamp, self._revision
            elif self._stamp.identity != stamp.identity:
                raise incoming.stamp_mismatch(self._stamp, stamp, location=self.location)

    def _without_key(self, stamp: KeyStamp) -> list[Memory]:
        keys = self._keys.of(stamp)
        return [memory for memory in self._memories if memory.seq not in keys]

    def missing_keys(self, stamp: KeyStamp, *, limit: int) -> list[Memory]:
        incoming.check_stamp(stamp)
        incoming.checked_limit(limit)
        with self._lock:
            return self._without_key(stamp)[:limit]

    def keys(self, stamp: KeyStamp, *, after: int = 0) -> tuple[Seqs, NDArray[np.uint8]]:
        incoming.check_stamp(stamp)
        with self._lock:
            found = {seq: key for seq, key in sorted(self._keys.of(stamp).items()) if seq > after}
            body = np.frombuffer(b"".join(found.values()), dtype=np.uint8)
            seqs = np.array(list(found), dtype=np.int64)
            return seqs, body.reshape(len(found), self._keys.length(stamp) or 0)

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
        with self._lock:
            checked = incoming.checked_key_mapping(keys, self._keys.length(stamp))
            kept = {seq: body for seq, body in checked.items() if seq in self._memories}
            if not kept:
                return
            self._revision += 1
            self._keys.put(
                stamp,
                kept,
                head_keys={seq: body for seq, body in heads.items() if seq in kept},
                traits={seq: own for seq, own in new_traits.items() if seq in kept},
            )
            if self._stamp is not None and self._stamp.identity == stamp.identity:
                self._row_revisions.update(dict.fromkeys(kept, self._revision))

    def head_keys(self, seqs: Sequence[int]) -> dict[int, bytes]:
        wanted = incoming.storable_seqs(seqs)
        with self._lock:
            stored = self._keys.heads_of(self._stamp)
            return {seq: stored[seq] for seq in wanted if seq in stored}

    def activate(self, stamp: KeyStamp) -> bool:
        incoming.check_stamp(stamp)
        with self._lock:
            if self._without_key(stamp):
                return False
            changed = self._stamp is None or self._stamp.identity != stamp.identity
            if self._keys.keep_only(stamp) or changed:
                self._revision += 1
            if changed:
                self._stamp, self._activated = stamp, self._revision
                self._statistics.clear()
                self._row_revisions = dict.fromkeys(self._memories.of(None), self._revision)
            return True

    def statistics(self, name: str) -> bytes | None:
        incoming.check_sought(name, what="statistics name")
        with self._lock:
            return self._statistics.get(name)

    def save_statistics(self, name: str, body: bytes, *, as_of: int) -> bool:
        incoming.check_statistics(name, body, as_of=as_of)
        with self._lock:
            last_deletion = max(self._activated, *self._forgotten.values(), 0)
            if not last_deletion <= as_of <= self._revision:
                return False
            self._revision += 1
            self._statistics[name] = body
            return True

    def fragments(self, places: Collection[tuple[int, str]]) -> dict[tuple[int, str], bytes]:
        wanted = incoming.fragment_places(places)
        with self._lock:
            stored = self._keys.fragments_of(self._stamp)
            return {(seq, name): stored[seq][name] for seq, name in wanted if name in stored.get(seq, {})}

    def save_fragments(self, stamp: KeyStamp, fragments: Mapping[tuple[int, str], bytes]) -> None:
        incoming.check_stamp(stamp)
        checked = incoming.checked_fragments(fragments)
        with self._lock:
            current = incoming.current_stamp(self._stamp, stamp, location=self.location)
            kept = [(seq, name) for seq, name in checked if seq in self._memories]
            if kept:
                self._revision += 1
            for seq, name in kept:
                self._keys.put_fragment(current, seq, name=name, body=checked[seq, name])
