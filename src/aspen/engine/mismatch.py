"""The words for a store whose keys are not those of the model in use."""

from __future__ import annotations

from aspen.activation_db import KeyVersion
from aspen.errors import ModelMismatch
from aspen.repository import KeyStamp


def mismatch_of(stored: KeyStamp, present: KeyStamp, *, location: str, rekey: str) -> ModelMismatch:
    """The error for a store at `location` with keys of `stored`, where the model in use makes those of `present`.

    `rekey` is what a person runs to make them anew with that model.
    """
    was, now = _runtime(stored), _runtime(present)
    same_weights = _weights(stored) == _weights(present)
    former, current = (_named(stamp, runtime) for stamp, runtime in ((stored, was), (present, now)))
    instead = ""
    if same_weights and was and now and was != now:
        current = f"the same weights in {now}"
        instead = f", or open the store with the runtime that made them (`ASPEN_RUNTIME={was}`)"
    elif not same_weights:
        instead = f", or open the store with the model that made them, {former}"
    if former == current:  # what people read does not tell them apart
        one = "model_id" if stored.model_id != present.model_id else "key_version"
        former, current = (
            f"{name} ({one} {getattr(stamp, one)})" for name, stamp in ((former, stored), (current, present))
        )
    return ModelMismatch(
        f"The store's keys were made by {former}, the model in use is {current}.",
        hint=f"Make the keys anew (`{rekey}`){instead}.",
        stored=stored.model_id,
        current=present.model_id,
        location=location,
    )


def _runtime(stamp: KeyStamp) -> str | None:
    version = KeyVersion.parse(stamp.key_version)
    return None if version is None else version.runtime


def _weights(stamp: KeyStamp) -> str:
    return stamp.model_id.partition("-")[0]


def _named(stamp: KeyStamp, runtime: str | None) -> str:
    return f"{stamp.model_name} in {runtime}" if runtime else stamp.model_name
