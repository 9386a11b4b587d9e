"""The heads arm, with two heads of the fake model."""

from dataclasses import replace

import numpy as np
import pytest
from tests.builders import NOON, head_set

from aspen.activation_db import Calibration, HeadSet, KeyEncoder, head_match, recipe_for
from aspen.models import HeadRef
from aspen.repository import InMemoryRepository, KeyStamp, NewMemory, Repository
from aspen.resonance_search.arms import Query, Unavailable
from aspen.resonance_search.heads import HeadMatchArm
from aspen.resonance_search.snapshot import Candidates, Snapshot
from aspen.testing.fake_model import FakeModel
from aspen.types import MemoryItem

TEXTS = ("Mara moved to Lisbon.", "The cat is called Biscuit.", "The boiler hums.", "It rained. " * 30)
EVERYTHING = np.arange(len(TEXTS))


@pytest.fixture(scope="module")
def heads() -> HeadSet:
    return head_set(FakeModel(), [HeadRef(1, 0), HeadRef(2, 3)])


@pytest.fixture
def encoder(calibration: Calibration, heads: HeadSet) -> KeyEncoder:
    model = FakeModel()
    return KeyEncoder(
        model, recipe=recipe_for(model.info), calibration=replace(calibration, heads=heads, no_heads="")
    )


def store_of(encoder: KeyEncoder, *, without: int | None = None) -> tuple[Repository, Candidates]:
    """A store of TEXTS; the memory `without` has no head keys."""
    repository = InMemoryRepository()
    repository.set_stamp(KeyStamp("model", "a model", "1"))
    new = []
    for number, (text, encoded) in enumerate(zip(TEXTS, encoder.encode(TEXTS), strict=True)):
        head_keys = None if number == without else encoded.head_keys
        item = MemoryItem(text)
        new.append(
            NewMemory(str(number), item, NOON, encoded.token_count, (), encoded.key, head_keys=head_keys)
        )
    repository.add(new)
    snapshot = Snapshot()
    snapshot.apply(repository.changes(0))
    return repository, snapshot.candidates(None)


def asked(encoder: KeyEncoder, text: str = "Where is Mara?") -> Query:
    prompt, _ = encoder.encode_query(text)
    return Query(text, prompt.pooled, prompt.heads)


def test_each_head_counts_alike_and_a_long_memory_less(encoder: KeyEncoder, heads: HeadSet) -> None:
    repository, candidates = store_of(encoder)
    query = asked(encoder)
    assert query.heads is not None
    score = HeadMatchArm(repository, heads=heads).score(query, candidates, shortlist=EVERYTHING)
    assert not isinstance(score, Unavailable)
    bodies = repository.head_keys([1, 2, 3, 4])
    match = head_match(query.heads, [bodies[seq] for seq in (1, 2, 3, 4)], heads=heads)
    summed = ((match - match.mean(axis=0)) / match.std(axis=0)).sum(axis=1)
    expected = (summed - summed.mean()) / summed.std()
    expected[3] *= 120 / len(TEXTS[3])  # the fake model has a token for each byte
    np.testing.assert_allclose(score, expected, rtol=1e-3, atol=1e-3)


def test_what_is_not_looked_at_counts_as_the_least_of_what_is(encoder: KeyEncoder, heads: HeadSet) -> None:
    repository, candidates = store_of(encoder, without=1)
    arm = HeadMatchArm(repository, heads=heads)
    score = arm.score(asked(encoder), candidates, shortlist=np.array([0, 1, 2]))
    assert not isinstance(score, Unavailable)
    assert score[1] <= score[[0, 2]].min()  # it has no head keys
    assert score[3] == pytest.approx(score[1] * 120 / len(TEXTS[3]), rel=1e-4)


def test_it_says_why_it_does_not_run(encoder: KeyEncoder, heads: HeadSet) -> None:
    repository, candidates = store_of(encoder)
    query = asked(encoder)
    cases = {
        "of that kind": (HeadMatchArm(repository, heads=None, refusal="of that kind"), query),
        "no forward pass": (HeadMatchArm(repository, heads=heads), Query("x", None)),
        "no memory has": (
            HeadMatchArm(repository, heads=head_set(FakeModel(), [HeadRef(0, 1)])),
            query,  # the keys in the store are of other heads
        ),
    }
    for reason, (arm, prompt) in cases.items():
        outcome = arm.score(prompt, candidates, shortlist=EVERYTHING)
        assert isinstance(outcome, Unavailable)
        assert reason in outcome.reason
