from collections import Counter

import numpy as np
import pytest
from tests.builders import drawn

from aspen.activation_db.keys import KeyRecipe
from aspen.activation_db.moments import Moments
from aspen.activation_db.trait_probe import TRAITS, TraitProbe, labelled_utterances
from aspen.activation_db.whitening import KeySpace
from aspen.types import FloatArray

RECIPE = KeyRecipe(layers=(0, 2), dims=(12, 12), width=12)
POOLED = drawn(400, 2, 12)
SPACE = KeySpace.fit(Moments.of(POOLED), prompt_offset=np.zeros((2, 12), dtype=np.float32), recipe=RECIPE)


def labelled(pooled: FloatArray) -> list[str]:
    """Who points in the direction of dimension i of the deepest layer has trait i."""
    strongest = pooled[:, 1, : len(TRAITS)].argmax(axis=1)
    stands_out = pooled[:, 1, : len(TRAITS)].max(axis=1) > 1
    return [TRAITS[i] if out else "other" for i, out in zip(strongest, stands_out, strict=True)]


def test_it_learns_what_a_linear_classifier_can_tell() -> None:
    probe = TraitProbe.fit(POOLED[:300], labelled(POOLED[:300]), space=SPACE)
    strengths, labels = probe.strengths(POOLED[300:]), labelled(POOLED[300:])
    assert strengths.shape == (100, len(TRAITS))
    assert strengths.dtype == np.float32
    assert ((strengths >= 0) & (strengths <= 1)).all()
    for column, trait in enumerate(TRAITS):
        own = np.array([label == trait for label in labels])
        assert strengths[own, column].mean() > 2 * strengths[~own, column].mean()


def test_a_probe_survives_as_tensors() -> None:
    probe = TraitProbe.fit(POOLED, labelled(POOLED), space=SPACE)
    back = TraitProbe.from_tensors(probe.to_tensors())
    np.testing.assert_allclose(back.strengths(POOLED), probe.strengths(POOLED), atol=0.01)


def test_without_examples_of_a_trait_nothing_has_it() -> None:
    strengths = TraitProbe.fit(POOLED, ["other"] * 400, space=SPACE).strengths(POOLED)
    assert strengths.max() == pytest.approx(0, abs=1e-3)


def test_the_utterances_that_ship_are_labelled_and_split() -> None:
    utterances = labelled_utterances()
    count = Counter((own.trait, own.split) for own in utterances)
    assert set(count) == {(trait, split) for trait in (*TRAITS, "other") for split in ("train", "test")}
    assert min(count.values()) >= 35
    assert len({own.text for own in utterances}) == len(utterances)
