"""All that needs the model, put together once it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from aspen.activation_db import EncodedText, KeyEncoder, load_calibration, recipe_for
from aspen.engine.closeness import KeyComparison
from aspen.errors import ModelMismatch, StoreNotWritable
from aspen.models import LanguageModel
from aspen.repository import KeyStamp, NewMemory, Repository
from aspen.resonance_search import (
    Embedder,
    ModelKeys,
    ResonanceSearch,
    VectorArm,
    analyse,
    dated_text,
    mentions_in,
    spoken_text,
    subject_of,
    traits_of,
)
from aspen.types import MemoryItem, Provenance

_AT_ONCE = 128
"""Texts encoded between two reports of progress."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A loaded model, what makes keys with it, what searches a store by them, and what compares its keys with them."""

    model: LanguageModel
    stamp: KeyStamp
    encoder: KeyEncoder
    search: ResonanceSearch
    repository: Repository
    comparison: KeyComparison

    @classmethod
    def start(
        cls,
        model: LanguageModel,
        *,
        repository: Repository,
        cache_dir: Path,
        notify: Callable[[str], None],
        embedder: Embedder | None = None,
        rekey: str = "Aspen.rekey",
    ) -> Self:
        """Calibrate `model` if need be, and make ready to search `repository` with it.

        `rekey` is what errors tell a person to run, to make the keys anew with this model.
        """
        recipe = recipe_for(model.info)
        calibration = load_calibration(model, recipe=recipe, cache_dir=cache_dir, notify=notify)
        version = calibration.key_version(recipe.version, runtime=model.fingerprint.runtime)
        stamp = KeyStamp(model.fingerprint.model_id, model.info.name, str(version))
        keys = ModelKeys(stamp, recipe, calibration)
        comparison = KeyComparison(model, keys=keys, repository=repository, cache_dir=cache_dir, rekey=rekey)
        arms = [VectorArm(embedder, repository=repository)] if embedder else []
        search = ResonanceSearch(repository, keys=keys, extra_arms=arms, mismatch=comparison.mismatch)
        encoder = KeyEncoder(model, recipe=recipe, calibration=calibration)
        return cls(model, stamp, encoder, search, repository, comparison)

    def claim_store(self) -> None:
        """Stamp a new store with this model; ModelMismatch if its keys are another model's, with how
        close these come to those of this model.

        StoreNotWritable before anything is computed that could not be kept.
        """
        if not self.repository.writable:
            raise StoreNotWritable(
                f"The store {self.repository.location} can only be read.",
                hint="Allow writing to the file and its folder, or answer without remembering.",
            )
        stored = self.repository.stamp()
        if stored is None:
            self.repository.set_stamp(self.stamp)
        elif stored.identity != self.stamp.identity:
            raise self.comparison.mismatch(stored)

    def fragments(self, places: Collection[tuple[int, str]]) -> dict[tuple[int, str], bytes]:
        """Encoded KV fragments by memory (seq) and name, of those that are there."""
        return self.repository.fragments(places)

    def keep_fragments(self, fragments: Mapping[tuple[int, str], bytes]) -> None:
        """Store KV fragments of this model. They are a cache: where the store cannot take them, it goes without."""
        stored = self.repository.stamp()
        if self.repository.writable and stored is not None and stored.identity == self.stamp.identity:
            with suppress(ModelMismatch):  # re-keyed this very moment
                self.repository.save_fragments(self.stamp, fragments)

    def encode(
        self, items: Sequence[tuple[str, MemoryItem]], *, progress: Callable[[int], None] = lambda done: None
    ) -> list[NewMemory]:
        """Memories ready to be stored, from (id, checked item) pairs, in order."""
        now = datetime.now(UTC)
        new: list[NewMemory] = []
        for part in _parts(items):
            texts = [spoken_text(item.text, speaker=item.speaker) for _, item in part]
            for (id_, item), text in zip(part, self.encoder.encode(texts), strict=True):
                terms = analyse(dated_text(item.text, speaker=item.speaker, said_at=item.said_at))
                new.append(
                    NewMemory(
                        id_,
                        item,
                        now,
                        text.token_count,
                        terms,
                        text.key,
                        subject=subject_of(item.text, speaker=item.speaker),
                        mentions=mentions_in(item.text, speaker=item.speaker, n_terms=len(terms)),
                        traits=_traits(item.text, item.provenance, text),
                        head_keys=text.head_keys,
                    )
                )
            progress(len(new))
        return new

    def rekey(self, *, progress: Callable[[int], None] = lambda done: None) -> int:
        """Make every key anew with this model; returns how many. May be interrupted and goes on where it was.

        Until the last key is made the store stays as it was, also for others.
        """
        done = 0
        while True:
            missing = self.repository.missing_keys(self.stamp, limit=_AT_ONCE)
            if not missing and self.repository.activate(self.stamp):
                return done
            texts = [spoken_text(memory.text, speaker=memory.speaker) for memory in missing]
            encoded = self.encoder.encode(texts)
            made = {memory.seq: text for memory, text in zip(missing, encoded, strict=True)}
            keys = {seq: text.key for seq, text in made.items()}
            head_keys = {seq: text.head_keys for seq, text in made.items() if text.head_keys is not None}
            traits = {
                memory.seq: _traits(memory.text, memory.provenance, made[memory.seq]) for memory in missing
            }
            self.repository.add_keys(self.stamp, keys, head_keys=head_keys, traits=traits)
            done += len(keys)
            progress(done)


def _traits(text: str, provenance: Provenance, encoded: EncodedText) -> dict[str, float]:
    """What the words show, and what the model knows; what it said itself is no wish of anybody's."""
    known = {} if provenance is Provenance.GENERATED else encoded.traits
    return {**traits_of(text), **known}


def _parts(items: Sequence[tuple[str, MemoryItem]]) -> Iterator[Sequence[tuple[str, MemoryItem]]]:
    # Sorting by length across parts would pad less, but progress would then run unevenly; within a part the
    # encoder sorts by itself.
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
