from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.fake_traces import MESSAGES, SAMPLER

from aspen.activation_logger import record
from aspen.errors import InvalidInput
from aspen.models import generate
from aspen.models.likelihood import log_softmax
from aspen.seed_manager import choose_seeds, compare_candidates, sample_after
from aspen.seed_manager.sampling import activation_cosines
from aspen.testing.fake_model import FakeModel
from aspen.types import PooledActivations, TokenIds

LAYERS, WIDTH = 7, 16
RANDOM = np.random.default_rng(0)
PROMPT = RANDOM.standard_normal((LAYERS, WIDTH)).astype(np.float32) * 10


def pooled(direction: NDArray[np.float64]) -> PooledActivations:
    return PooledActivations(PROMPT, (PROMPT + direction).astype(np.float32))


def ids(text: str) -> TokenIds:
    return np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32)


def test_seeds_are_drawn_or_taken() -> None:
    assert len(set(choose_seeds(8))) == 8
    assert choose_seeds(8) != choose_seeds(8)
    assert choose_seeds([3, 1, 2]) == [3, 1, 2]
    assert choose_seeds(range(4)) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "seeds", [0, 1, 65, True, [], [7], [7, 7], [1, -1], [1, 2**53], "12", 2.0, list(range(65))]
)
def test_seeds_that_cannot_be_compared_are_refused(seeds: object) -> None:
    with pytest.raises(InvalidInput):
        choose_seeds(seeds)  # type: ignore[arg-type]


def test_samples_after_one_prefill_are_those_of_a_session_each() -> None:
    model = FakeModel()
    prompt_ids = model.apply_chat_template(MESSAGES).token_ids
    arguments: dict[str, Any] = {"prompt_ids": prompt_ids, "settings": SAMPLER, "max_tokens": 20}
    with record(model) as recording:
        session = model.start_session()
        logits = session.prefill(prompt_ids)
        model.blocks_run = 0
        shared = []
        for seed in (3, 4, 5):
            session.rewind(len(prompt_ids))
            generation, likelihood = sample_after(
                model, session=session, logits=logits, seed=seed, **arguments
            )
            shared.append((generation, likelihood, recording.hidden_states.copy()))
        tokens = sum(len(generation.token_ids) - 1 for generation, _, _ in shared)
        assert model.blocks_run == 3 * tokens  # the prompt never ran again
    assert len({tuple(generation.token_ids.tolist()) for generation, _, _ in shared}) == 3
    for seed, (generation, likelihood, states) in zip((3, 4, 5), shared, strict=True):
        with record(model) as alone:
            again = generate(model, session=model.start_session(), seed=seed, **arguments)
        assert again.token_ids.tolist() == generation.token_ids.tolist()
        assert np.array_equal(alone.hidden_states, states)
        # The likelihood, from a pass of its own over prompt and reply, one token at a time.
        checking, step = model.start_session(), model.start_session().prefill(prompt_ids)
        checking.prefill(prompt_ids)
        logs = []
        for token in generation.token_ids.tolist():
            logs.append(log_softmax(step[None])[0, token])
            step = checking.decode(token)
        assert likelihood == pytest.approx(np.mean(logs), rel=1e-9)


def test_the_one_that_agrees_with_the_others_is_chosen() -> None:
    common, other, aside = RANDOM.standard_normal((3, LAYERS, WIDTH))
    near = common + 0.5 * aside, common - 0.5 * aside, common + 0.4 * other
    candidates = [pooled(near[0]), pooled(-other), pooled(common), pooled(near[1]), pooled(near[2])]
    texts = [ids("aaaa"), ids("zzzz"), ids("aaab"), ids("aabb"), ids("abbb")]
    found = compare_candidates(texts, candidates, [-1.0] * 5, empty=[False] * 5)
    assert found.chosen == 2
    agreement = [one.agreement for one in found.scores]
    assert max(range(5), key=agreement.__getitem__) == 2
    assert min(range(5), key=agreement.__getitem__) == 1
    assert found.scores[1].differs == 1.0
    assert 0 < found.scores[2].differs < 1
    assert 0 < found.diversity < 1


def test_likelihood_decides_among_those_that_agree_alike() -> None:
    one, other = RANDOM.standard_normal((2, LAYERS, WIDTH))
    found = compare_candidates(
        [ids("ab"), ids("cd")], [pooled(one), pooled(other)], [-2.0, -1.0], empty=[False, False]
    )
    assert found.chosen == 1
    assert found.scores[0].agreement == pytest.approx(found.scores[1].agreement)
    assert found.scores[0].score == pytest.approx(-1.0)
    assert found.diversity == pytest.approx(1 - found.scores[0].agreement)


def test_candidates_that_are_all_the_same_are_as_good_as_each_other() -> None:
    same = pooled(RANDOM.standard_normal((LAYERS, WIDTH)))
    found = compare_candidates([ids("ab")] * 3, [same] * 3, [-1.0] * 3, empty=[False] * 3)
    assert found.chosen == 0
    assert found.diversity == pytest.approx(0.0)
    assert {(one.differs, one.score) for one in found.scores} == {(0.0, 0.0)}
    assert [one.agreement for one in found.scores] == pytest.approx([1.0] * 3)


def test_what_says_nothing_is_chosen_only_where_all_do() -> None:
    common = RANDOM.standard_normal((LAYERS, WIDTH))
    candidates = [pooled(common), pooled(common), pooled(-common)]
    texts = [ids("a"), ids("b"), ids("c")]
    assert compare_candidates(texts, candidates, [-1.0, -0.1, -9.0], empty=[True, True, False]).chosen == 2
    assert compare_candidates(texts, candidates, [-1.0, -0.1, -9.0], empty=[True] * 3).chosen == 1


def test_a_reply_of_one_token_agrees_with_nothing() -> None:
    unfed = PooledActivations(PROMPT, np.zeros_like(PROMPT))
    one = pooled(RANDOM.standard_normal((LAYERS, WIDTH)))
    cosines = activation_cosines([unfed, one, one])
    np.testing.assert_allclose(cosines, [[0, 0, 0], [0, 1, 1], [0, 1, 1]], atol=1e-12)


def test_what_all_share_with_the_prompt_counts_for_nothing() -> None:
    one, other = RANDOM.standard_normal((2, LAYERS, WIDTH))
    cosines = activation_cosines([pooled(one), pooled(other)])
    middle = slice(LAYERS // 3, 2 * LAYERS // 3)
    expected = np.mean(
        [
            np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
            for a, b in zip(one[middle], other[middle], strict=True)
        ]
    )
    assert cosines[0, 1] == pytest.approx(expected, abs=1e-5)
