from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.builders import drawn

from aspen.activation_db import head_choice, recipe_for
from aspen.activation_db.calibration import Calibration, calibrate
from aspen.activation_db.head_choice import (
    MOST_HEADS,
    HeadTrial,
    Pair,
    asking_turns,
    choose_heads,
    head_merits,
    most_alike,
)
from aspen.activation_db.moments import Moments
from aspen.activation_db.whitening import KeySpace
from aspen.errors import ModelError
from aspen.models import HeadAttention, HeadRef
from aspen.testing.fake_model import FakeModel

INFO = FakeModel(n_heads=4, n_kv_heads=2).info


class Closed(FakeModel):
    """A runtime that cannot tell heads apart."""

    def head_attention(self, block: int) -> HeadAttention:
        raise ModelError("Queries and keys of single heads cannot be read from it.")


def merits(**by_head: float) -> dict[HeadRef, float]:
    """Of `b1h2=0.3`, head 2 of block 1; of the others by chance."""
    named = {HeadRef(int(name[1]), int(name[3])): merit for name, merit in by_head.items()}
    return {HeadRef(block, head): 0.01 for block in range(3) for head in range(4)} | named


def test_the_best_are_chosen_in_order_of_blocks() -> None:
    chosen = choose_heads(merits(b2h0=0.5, b0h3=0.4, b1h1=0.3), info=INFO)
    assert chosen == (HeadRef(0, 3), HeadRef(1, 1), HeadRef(2, 0))


def test_of_the_best_four_those_are_chosen_that_share_keys() -> None:
    chosen = choose_heads(merits(b2h0=0.5, b0h3=0.4, b1h1=0.3, b2h1=0.29), info=INFO)
    assert chosen == (HeadRef(0, 3), HeadRef(2, 0), HeadRef(2, 1))
    # Behind the fourth it is too late; without anything to share the best are taken.
    assert (
        len(choose_heads(merits(b2h0=0.5, b0h3=0.4, b1h1=0.3, b1h2=0.29, b2h1=0.28), info=INFO)) == MOST_HEADS
    )
    assert HeadRef(2, 1) not in choose_heads(
        merits(b2h0=0.5, b0h3=0.4, b1h1=0.3, b0h0=0.29, b2h1=0.28), info=INFO
    )


def test_heads_that_find_little_are_not_chosen() -> None:
    assert choose_heads(merits(b2h0=0.5, b0h3=0.1), info=INFO) == (HeadRef(2, 0),)
    assert choose_heads(merits(), info=INFO) == ()


def test_a_head_that_finds_every_turn_has_merit_one_and_others_none() -> None:
    attention = [HeadAttention(scale=1.0, softcap=None, rotary=None)] * 2
    # Turn i says symbol i, in the keys of head 2 of block 1 alone; prompts ask for theirs there.
    symbols = drawn(120, 32)
    symbols *= 4 / np.linalg.norm(symbols, axis=1, keepdims=True)

    def halves(values: Any) -> Any:
        return np.asarray(values, dtype=np.float16)

    turns, pairs = [], []
    for i in range(120):
        keys = drawn(4, 6, 32, seed=i)
        keys[3, 1:] = symbols[i]
        turns.append(halves(keys))
    for i in range(40):
        queries = drawn(8, 5, 32, seed=1000 + i)
        queries[6] = symbols[3 * i]
        pairs.append(Pair(halves(queries), halves(drawn(4, 5, 32, seed=2000 + i)), 3 * i))
    null = (halves(np.zeros((8, 3, 32))), halves(np.zeros((4, 3, 32))))
    found = head_merits(turns, [pairs, pairs[::2]], null=null, attention=attention, info=INFO)
    assert len(found) == 8
    good = HeadRef(1, 2)
    assert found.pop(good) > 0.95
    assert max(map(abs, found.values())) < 0.2


def test_asking_turns_are_answered_by_the_next() -> None:
    turns = [
        "Ann: I moved. Where do you live now?",
        "Bob: Lisbon. And you?",
        "Ann: Here: why do you ask?",
        "Bob: No idea.",
        "Ann: Really?",
    ]
    assert asking_turns(turns) == {"Where do you live now?": 1, "And you?": 2, "why do you ask?": 3}


def test_the_nearest_key_is_most_alike() -> None:
    pooled = drawn(40, 2, 6)
    recipe = recipe_for(FakeModel(n_layers=2, width=6, n_heads=1, n_kv_heads=1).info)
    space = KeySpace.fit(Moments.of(pooled), prompt_offset=np.zeros((2, 6), dtype=np.float32), recipe=recipe)
    assert most_alike(pooled[[7, 3]] + 0.01, pooled, space=space) == [7, 3]


def test_random_heads_are_not_used_and_the_reason_is_told() -> None:
    model = FakeModel(n_layers=1, width=8, n_heads=1, n_kv_heads=1)
    calibration = calibrate(model, recipe=recipe_for(model.info))
    assert calibration.heads is None
    assert "look things up" in calibration.no_heads
    assert Calibration.from_bytes(calibration.to_bytes()).no_heads == calibration.no_heads


def test_a_runtime_without_heads_is_calibrated_and_the_reason_is_told() -> None:
    model = Closed(n_layers=1, width=8, n_heads=1, n_kv_heads=1)
    calibration = calibrate(model, recipe=recipe_for(model.info))
    assert calibration.heads is None
    assert calibration.no_heads == "Queries and keys of single heads cannot be read from it."


def test_heads_that_are_found_are_kept_with_the_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_choice, "_LEAST_MERIT", -1.0)
    model = FakeModel(n_layers=2, width=8, n_heads=2, n_kv_heads=1)
    calibration = calibrate(model, recipe=recipe_for(model.info))
    assert calibration.heads is not None
    assert len(calibration.heads.heads) == MOST_HEADS
    assert calibration.no_heads == ""
    back = Calibration.from_bytes(calibration.to_bytes()).heads
    assert back is not None
    assert back.version == calibration.heads.version
    np.testing.assert_array_equal(back.null.queries, calibration.heads.null.queries)


def test_heads_of_every_block_up_to_the_depth_are_tried() -> None:
    trial = HeadTrial(FakeModel(n_layers=3), depth=1)
    assert trial.refs == [HeadRef(block, head) for block in (0, 1) for head in range(4)]
    assert len(HeadTrial(FakeModel(n_layers=1), depth=1).refs) == 4
