import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspen.memory_injector.gate import USUAL, judge

shares = st.floats(0, 1)
nats = st.floats(0, 12)


def test_what_the_store_knows_and_the_model_does_not_needs_memories() -> None:
    assert judge(0.95, entropy=3.0, unknown_familiarity=None).needed
    assert not judge(0.02, entropy=3.0, unknown_familiarity=None).needed


@given(shares, shares, nats)
def test_more_familiar_is_never_less_needed(one: float, other: float, entropy: float) -> None:
    less, more = sorted((one, other))
    needs = [judge(share, entropy=entropy, unknown_familiarity=None).need for share in (less, more)]
    assert 0 <= needs[0] <= needs[1] <= 1


@given(shares, nats, nats)
def test_less_sure_is_never_less_needed(familiarity: float, one: float, other: float) -> None:
    less, more = sorted((one, other))
    needs = [judge(familiarity, entropy=entropy, unknown_familiarity=None).need for entropy in (less, more)]
    assert needs[0] <= needs[1]


@given(shares, nats, shares)
def test_a_store_that_finds_everything_familiar_has_to_show_more(
    familiarity: float, entropy: float, unknown: float
) -> None:
    usual = judge(familiarity, entropy=entropy, unknown_familiarity=None)
    measured = judge(familiarity, entropy=entropy, unknown_familiarity=unknown)
    assert measured.need <= usual.need
    assert (measured.offset == 0) == (unknown <= USUAL)


def test_the_offset_undoes_what_the_store_finds_too_familiar() -> None:
    # A question as familiar as those that the store cannot answer counts as one of usual familiarity would.
    measured = judge(0.6, entropy=1.0, unknown_familiarity=0.6)
    assert measured.need == pytest.approx(judge(USUAL, entropy=1.0, unknown_familiarity=None).need)
