"""How familiar a store finds what it cannot know: questions about strangers, which ship with Aspen, put to it.

Familiarity was fitted on conversations of some hundred turns. A large store, or one that speaks of everything, finds
anything a little familiar; whoever acts on familiarity should know how much of it means nothing there.
"""

from __future__ import annotations

import contextlib
import json

import numpy as np

from aspen.activation_db import calibration_text
from aspen.engine import Engine
from aspen.errors import StoreBusy, StoreNotWritable
from aspen.resonance_search import Query

FEWEST = 200
"""Memories from which on it is measured."""
_QUESTIONS = 24
_QUANTILE = 0.75
_GROWTH = 2  # measured again when the store has grown by this factor


def unknown_familiarity(engine: Engine, *, memories: int) -> float | None:
    """The upper quartile of the familiarity of such questions, in [0, 1]; None with fewer than FEWEST memories.

    Takes a second or two, once: it is kept with the store's statistics, where the store can be written.
    """
    if memories < FEWEST:
        return None
    name = f"unknown_familiarity:{engine.stamp.model_id}:{engine.stamp.key_version}"
    body = engine.repository.statistics(name)
    if body is not None:
        kept = json.loads(body)
        if memories < _GROWTH * kept["memories"]:
            return float(kept["familiarity"])
    revision, found = engine.repository.revision(), []
    _, questions = calibration_text()
    for question in questions[:: len(questions) // _QUESTIONS][:_QUESTIONS]:
        encoded, _ = engine.encoder.encode_query(question)
        query = Query(question, encoded.pooled, encoded.heads)
        found.append(engine.search.search(query, limit=1).overall_familiarity)
    familiarity = float(np.quantile(found, _QUANTILE))
    measured = json.dumps({"memories": memories, "familiarity": familiarity}).encode()
    with contextlib.suppress(StoreNotWritable, StoreBusy):
        engine.repository.save_statistics(name, measured, as_of=revision)
    return familiarity
