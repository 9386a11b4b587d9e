import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from aspen.activation_logger.attention import (
    STRONGEST,
    attention_weights,
    segment_tokens,
    summarise_attention,
)
from aspen.errors import InvalidInput, ModelError
from aspen.models.interface import AttentionInputs
from aspen.types import AttentionSummary, Segment


def inputs(
    *,
    length: int,
    heads: int = 4,
    kv_heads: int = 2,
    window: int | None = None,
    softcap: float | None = None,
    seed: int = 0,
) -> AttentionInputs:
    random = np.random.default_rng(seed)
    return AttentionInputs(
        queries=random.standard_normal((heads, length, 8), dtype=np.float32) * 2,
        keys=random.standard_normal((kv_heads, length, 8), dtype=np.float32) * 2,
        scale=0.3,
        softcap=softcap,
        window=window,
    )


def naive(given_inputs: AttentionInputs) -> NDArray[np.float64]:
    """Attention as it is written down in AttentionInputs, one score at a time, in float64."""
    queries, keys = given_inputs.queries.astype(np.float64), given_inputs.keys.astype(np.float64)
    heads, length, _ = queries.shape
    weights = np.zeros((heads, length, length))
    for head in range(heads):
        key_head = head // (heads // len(keys))
        for query in range(length):
            first = 0 if given_inputs.window is None else max(0, query - given_inputs.window + 1)
            for position in range(first, query + 1):
                score = given_inputs.scale * queries[head, query] @ keys[key_head, position]
                if given_inputs.softcap is not None:
                    score = given_inputs.softcap * np.tanh(score / given_inputs.softcap)
                weights[head, query, position] = np.exp(score)
    normalised: NDArray[np.float64] = weights / weights.sum(axis=-1, keepdims=True)
    return normalised


def summary_of(given_inputs: AttentionInputs, segments: tuple[Segment, ...], start: int) -> AttentionSummary:
    heads = len(given_inputs.queries)
    return summarise_attention(
        lambda layer: given_inputs, n_layers=1, n_heads=heads, segments=segments, query_start=start
    )


@settings(max_examples=40, deadline=None)
@given(
    length=st.integers(1, 24),
    groups=st.sampled_from([(4, 4), (4, 2), (6, 2), (3, 1)]),
    window=st.none() | st.integers(1, 30),
    softcap=st.none() | st.floats(0.5, 50),
    seed=st.integers(0, 100),
    data=st.data(),
)
def test_equals_naive_attention(
    length: int,
    groups: tuple[int, int],
    window: int | None,
    softcap: float | None,
    seed: int,
    data: st.DataObject,
) -> None:
    heads, kv_heads = groups
    given_inputs = inputs(
        length=length, heads=heads, kv_heads=kv_heads, window=window, softcap=softcap, seed=seed
    )
    start = data.draw(st.integers(1, length))
    cut = data.draw(st.integers(1, start))
    expected = naive(given_inputs)[:, start:]
    np.testing.assert_allclose(attention_weights(given_inputs, query_start=start), expected, atol=2e-6)

    segments = segment_tokens([Segment("user", 1, cut)], length=length, reply_start=start)
    summary = summary_of(given_inputs, segments, start)
    assert summary.mass.shape == (1, heads, length - start, len(summary.segments))
    for index, name in enumerate(summary.segments):
        part = sum(expected[..., s.start : s.stop].sum(axis=-1) for s in segments if s.name == name)
        np.testing.assert_allclose(summary.mass[0, ..., index].astype(float), part, atol=1e-3)
    np.testing.assert_allclose(summary.mass.astype(float).sum(axis=-1), 1, atol=2e-3)

    kept = min(STRONGEST, length)
    best = -np.sort(-expected, axis=-1)[..., :kept]
    np.testing.assert_allclose(summary.top_mass[0, ..., :kept].astype(float), best, atol=1e-3)
    positions = summary.top_positions[0]
    seen = positions >= 0
    assert (seen.sum(axis=-1) == np.minimum(STRONGEST, (expected > 0).sum(axis=-1))).all()
    found = np.take_along_axis(expected, np.where(seen, positions, 0)[..., :length], axis=-1)
    np.testing.assert_allclose(
        np.where(seen[..., :length], found, 0), summary.top_mass[0][..., :length].astype(float), atol=1e-3
    )


def test_strongest_come_first_and_ties_go_by_position() -> None:
    same = AttentionInputs(
        queries=np.zeros((1, 12, 8), dtype=np.float32), keys=np.zeros((1, 12, 8), dtype=np.float32), scale=1
    )
    segments = segment_tokens([], length=12, reply_start=2)
    summary = summary_of(same, segments, 2)
    np.testing.assert_array_equal(summary.top_positions[0, 0, 0], [0, 1, 2, -1])
    np.testing.assert_array_equal(summary.top_positions[0, 0, 1], [0, 1, 2, 3])
    assert (np.diff(summary.top_mass.astype(float), axis=-1) <= 0).all()


def test_masses_of_runs_with_one_name_are_added() -> None:
    segments = segment_tokens([Segment("user", 2, 4)], length=8, reply_start=6)
    assert [s.name for s in segments] == ["sink", "template", "user", "template", "reply"]
    assert summary_of(inputs(length=8), segments, 6).segments == ("sink", "template", "user", "reply")


def test_a_reply_that_was_not_fed_has_no_queries() -> None:
    segments = segment_tokens([], length=5, reply_start=5)
    summary = summary_of(inputs(length=5), segments, 5)
    assert summary.mass.shape == (1, 4, 0, 2)
    assert summary.top_positions.shape == (1, 4, 0, STRONGEST)


def test_blocks_with_attention_of_another_kind_have_zeros() -> None:
    def of(layer: int) -> AttentionInputs:
        if layer == 1:
            raise ModelError("It is of the kind linear_attention.")
        return inputs(length=6)

    summary = summarise_attention(
        of, n_layers=2, n_heads=4, segments=segment_tokens([], length=6, reply_start=4), query_start=4
    )
    assert summary.mass[0].any()
    assert not summary.mass[1].any()
    assert (summary.top_positions[1] == -1).all()


def test_huge_scores_do_not_overflow() -> None:
    loud = AttentionInputs(
        queries=np.full((1, 3, 8), 1e4, dtype=np.float32),
        keys=np.full((1, 3, 8), 1e4, dtype=np.float32),
        scale=1,
    )
    assert np.isfinite(attention_weights(loud)).all()


def test_segments_cover_everything_once_and_later_ones_win() -> None:
    segments = segment_tokens(
        [Segment("system", 0, 6), Segment("note", 3, 6), Segment("user", 8, 9)], length=12, reply_start=10
    )
    assert segments == (
        Segment("sink", 0, 1),
        Segment("system", 1, 3),
        Segment("note", 3, 6),
        Segment("template", 6, 8),
        Segment("user", 8, 9),
        Segment("template", 9, 10),
        Segment("reply", 10, 12),
    )


def test_impossible_segments_are_refused() -> None:
    with pytest.raises(InvalidInput, match="'user'"):
        segment_tokens([Segment("user", 3, 9)], length=8, reply_start=8)
    with pytest.raises(InvalidInput, match="reply"):
        segment_tokens([], length=8, reply_start=9)
    with pytest.raises(InvalidInput, match="cover 5 tokens"):
        summary_of(inputs(length=6), segment_tokens([], length=5, reply_start=5), 5)
