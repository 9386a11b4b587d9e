from collections.abc import Callable

import numpy as np
import pytest
from tests.fake_traces import recorded

from aspen.activation_logger import Recording, record
from aspen.activation_logger.digest import states_digest
from aspen.errors import InvalidInput
from aspen.testing.fake_model import FakeModel
from aspen.types import Segment


def test_gives_tokens_activations_and_digests_after_the_context() -> None:
    model = FakeModel()
    recording, generation = recorded(model)
    fed = len(recording.token_ids)
    assert recording.hidden_states.shape == (4, fed, 32)
    assert recording.hidden_states.dtype == np.float32
    np.testing.assert_array_equal(
        recording.token_ids[-len(generation.token_ids) + 1 :], generation.token_ids[:-1]
    )
    assert recording.digest == states_digest(recording.hidden_states)
    assert recording.state_digests.shape == (4, fed)


def test_the_same_inference_has_the_same_digest_and_another_another() -> None:
    first, second = (recorded(FakeModel())[0].digest for _ in range(2))
    assert first == second
    assert recorded(FakeModel(), seed=8)[0].digest != first


def test_shows_what_was_fed_so_far() -> None:
    model = FakeModel()
    with record(model) as recording:
        session = model.start_session()
        session.prefill(model.tokenize("abc"))
        assert recording.hidden_states.shape[1] == 3
        session.decode(65)
        assert recording.hidden_states.shape[1] == 4
    assert len(recording.token_ids) == 4


def test_what_was_rewound_is_not_remembered_though_as_many_tokens_follow() -> None:
    model = FakeModel()
    with record(model) as recording:
        session = model.start_session()
        session.prefill(model.tokenize("abc"))
        before = recording.hidden_states.copy()
        session.rewind(1)
        session.prefill(model.tokenize("xy"))
        assert not np.array_equal(recording.hidden_states[:, 1:], before[:, 1:])
        np.testing.assert_array_equal(recording.hidden_states[:, :1], before[:, :1])


def test_pooled_vectors_leave_the_first_token_out() -> None:
    recording, _ = recorded(FakeModel())
    states = recording.hidden_states.astype(np.float64)
    pooled = recording.pooled(20)
    np.testing.assert_allclose(pooled.prompt, states[:, 1:20].mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(pooled.reply, states[:, 20:].mean(axis=1), rtol=1e-6)
    whole = recording.pooled(states.shape[1])
    assert not whole.reply.any()
    assert not recording.pooled(1).prompt.any()
    with pytest.raises(InvalidInput, match="prompt's length"):
        recording.pooled(states.shape[1] + 1)


def test_the_attention_matrix_is_causal_and_its_rows_sum_to_one() -> None:
    model = FakeModel(softcap=5.0)
    with record(model) as recording:
        model.start_session().prefill(model.tokenize("Mara lives"))
    matrix = recording.attention_matrix(1)
    assert matrix.shape == (4, 10, 10)
    np.testing.assert_allclose(matrix.sum(axis=-1), 1, rtol=1e-6)
    assert not np.triu(matrix, k=1).any()
    np.testing.assert_array_equal(recording.attention_matrix(1, query_start=7), matrix[:, 7:])
    summary = recording.attention_summary([Segment("user", 1, 7)], query_start=7)
    assert summary.segments == ("sink", "user", "reply")
    np.testing.assert_allclose(
        summary.mass[1, ..., 1].astype(float), matrix[:, 7:, 1:7].sum(axis=-1), atol=1e-3
    )
    with pytest.raises(InvalidInput, match=r"0\.\.2"):
        recording.attention_matrix(3)
    with pytest.raises(InvalidInput, match="query_start"):
        recording.attention_matrix(0, query_start=11)


READS: list[Callable[[Recording], object]] = [
    lambda r: r.token_ids,
    lambda r: r.hidden_states,
    lambda r: r.digest,
    lambda r: r.state_digests,
    lambda r: r.pooled(1),
    lambda r: r.attention_matrix(0),
    lambda r: r.attention_summary([], query_start=1),
]


@pytest.mark.parametrize("read", READS)
def test_says_so_where_nothing_was_recorded(read: Callable[[Recording], object]) -> None:
    model = FakeModel()
    before = model.start_session()
    with record(model) as recording:
        before.prefill(model.tokenize("a session from before is not the one recorded"))
    with pytest.raises(InvalidInput, match="Nothing was recorded"):
        read(recording)
