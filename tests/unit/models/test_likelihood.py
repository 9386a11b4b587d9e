import math

import numpy as np
import pytest

from aspen.errors import InvalidInput
from aspen.models import log_likelihoods, uncertainty
from aspen.models.likelihood import log_softmax
from aspen.testing.fake_model import FakeModel


def test_nothing_is_less_sure_than_a_uniform_distribution() -> None:
    even = uncertainty(np.zeros(8, dtype=np.float32))
    assert even.entropy == pytest.approx(math.log(8))
    assert even.margin == 0


def test_a_certain_token_has_no_entropy_and_its_margin_is_in_nats() -> None:
    logits = np.full(5, -np.inf, dtype=np.float32)
    logits[2] = 3
    sure = uncertainty(logits)
    assert (sure.entropy, sure.margin) == (0, math.inf)
    logits[4] = 1.5
    assert uncertainty(logits).margin == pytest.approx(1.5)


def test_large_logits_do_not_overflow() -> None:
    sure = uncertainty(np.array([10_000, 0, -10_000], dtype=np.float32))
    assert (sure.entropy, sure.margin) == (0, 10_000)


def test_the_likelihood_of_a_text_is_that_of_its_tokens_one_after_the_other() -> None:
    model = FakeModel()
    prompt, text = model.tokenize("Where? "), model.tokenize("Here.")
    session = model.start_session()
    found = log_likelihoods(session, session.prefill(prompt), text)
    assert session.length == len(prompt)
    for place, token in enumerate(text):
        fresh = model.start_session()
        logits = fresh.prefill(np.concatenate([prompt, text[:place]])).astype(np.float64)
        expected = logits[token] - np.log(np.exp(logits).sum())
        assert found[place] == pytest.approx(expected, abs=1e-4)


def test_the_session_goes_on_as_if_nothing_had_been_weighed() -> None:
    model = FakeModel()
    session, other = model.start_session(), model.start_session()
    logits = session.prefill(model.tokenize("Where?"))
    other.prefill(model.tokenize("Where?"))
    log_likelihoods(session, logits, model.tokenize("Nowhere."))
    assert np.array_equal(session.decode(65), other.decode(65))


def test_an_empty_text_is_refused() -> None:
    session = FakeModel().start_session()
    with pytest.raises(InvalidInput):
        log_likelihoods(session, np.zeros(258, dtype=np.float32), np.zeros(0, dtype=np.int32))


def test_log_probabilities_of_great_logits_are_those_of_the_softmax() -> None:
    logits = np.array([[1000.0, 1000.0 + math.log(3), -np.inf]], dtype=np.float32)
    logs = log_softmax(logits)[0]
    assert math.exp(logs[0]) == pytest.approx(0.25, rel=1e-4)
    assert math.exp(logs[1]) == pytest.approx(0.75, rel=1e-4)
