"""KV fragments and rewinding, on the runtime with tiny random transformers and on FakeModel alike."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from tests.tiny_models import IMMOVABLE, WINDOW, tiny_model

from aspen.activation_logger import record
from aspen.errors import InvalidInput, ModelError, PromptTooLong
from aspen.models import KVFragment, LanguageModel, feed, sample_reply
from aspen.models.heads import Rotary
from aspen.testing.fake_model import FakeModel
from aspen.types import Pass, SamplerSettings, TokenIds

MODELS: dict[str, Callable[[], LanguageModel]] = {
    "fake": FakeModel,
    "llama": lambda: tiny_model("llama"),
    "qwen3": lambda: tiny_model("qwen3"),
    "gpt_neox": lambda: tiny_model("gpt_neox"),
}
REFUSING: dict[str, tuple[Callable[[], LanguageModel], str]] = {
    "fake": (lambda: FakeModel(window=6), "sliding window"),
    "gpt2": (lambda: tiny_model("gpt2"), "positions are no matter of its attention alone"),
    **{name: (partial(tiny_model, name), reason) for name, (_, reason) in IMMOVABLE.items()},
}
FORGETTING = ("mistral", "gemma2", "lfm2", "llama4")
"""Their caches let go of tokens, or mix them."""
START, PIECE, REST = 3, 5, 4


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> LanguageModel:
    return MODELS[request.param]()


def ids(model: LanguageModel, count: int, *, seed: int = 1) -> TokenIds:
    return np.random.default_rng(seed).integers(3, 200, count).astype(np.int32)


def fragment_of(model: LanguageModel, tokens: TokenIds, start: int, stop: int) -> KVFragment:
    session = model.start_session()
    session.prefill(tokens)
    return session.fragment(start, stop)


def test_put_where_it_stood_a_fragment_is_as_good_as_the_text(model: LanguageModel) -> None:
    tokens = ids(model, START + PIECE + REST)
    text = model.start_session()
    expected = text.prefill(tokens)
    fragment = fragment_of(model, tokens[: START + PIECE], START, START + PIECE)
    logits = feed(
        model.start_session(),
        tokens,
        passes=[Pass(START), Pass(PIECE, fragment.digest), Pass(REST)],
        fragments={fragment.digest: fragment},
    )
    np.testing.assert_allclose(logits, expected, atol=2e-4, rtol=1e-4)


def test_its_keys_are_turned_to_where_they_land(model: LanguageModel) -> None:
    """All positions shifted alike: attention sees the same distances, so what follows is the same."""
    tokens, before = ids(model, START + PIECE + REST), ids(model, 7, seed=2)
    first, second = model.start_session(), model.start_session()
    first.prefill(tokens[: START + PIECE])
    piece = first.fragment(0, START + PIECE)
    second.prefill(before)
    second.put(piece)
    moved = second.fragment(len(before), len(before) + START + PIECE)
    np.testing.assert_allclose(moved.keys, piece.keys, atol=1e-5)
    np.testing.assert_array_equal(moved.values, piece.values)
    np.testing.assert_array_equal(moved.token_ids, piece.token_ids)
    assert second.length == len(before) + START + PIECE


def test_a_fragment_stays_as_it_is(model: LanguageModel) -> None:
    tokens = ids(model, START + PIECE)
    fragment = fragment_of(model, tokens, START, START + PIECE)
    digest, keys, values = fragment.digest, fragment.keys.copy(), fragment.values.copy()
    for _ in range(2):
        session = model.start_session()
        session.prefill(tokens[:START])
        session.put(fragment)
        session.prefill(ids(model, REST, seed=3))
        session.rewind(START + 1)
        session.decode(7)
    np.testing.assert_array_equal(fragment.keys, keys)
    np.testing.assert_array_equal(fragment.values, values)
    assert KVFragment(fragment.token_ids, keys, values).digest == digest
    with pytest.raises(ValueError, match="read-only"):
        fragment.keys[:] = 0


def test_what_a_generation_received_is_the_same_bit_for_bit_afterwards(model: LanguageModel) -> None:
    """Neither the fragment nor the cache that it was taken from: both go on to serve others."""
    tokens = ids(model, START + PIECE + REST)
    giver = model.start_session()
    giver.prefill(tokens[: START + PIECE])
    piece, cache = giver.fragment(START, START + PIECE), giver.fragment(0, START + PIECE)
    held = [array.tobytes() for one in (piece, cache) for array in (one.token_ids, one.keys, one.values)]
    replies = []
    for seed in (4, 4, 5):
        session = model.start_session()
        logits = feed(
            session,
            tokens,
            passes=[Pass(START), Pass(PIECE, piece.digest), Pass(REST)],
            fragments={piece.digest: piece},
        )
        reply = sample_reply(
            model,
            session=session,
            prompt_ids=tokens,
            logits=logits,
            settings=SamplerSettings(temperature=1.5),
            seed=seed,
            max_tokens=12,
        )
        replies.append(reply.token_ids.tolist())
        now = giver.fragment(0, START + PIECE)
        arrays = [array for one in (piece, now) for array in (one.token_ids, one.keys, one.values)]
        assert [array.tobytes() for array in arrays] == held
        for array in arrays[:3]:
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
    assert replies[0] == replies[1] != replies[2]


def test_rewound_a_session_is_as_if_nothing_had_been_fed(model: LanguageModel) -> None:
    tokens, others = ids(model, 9), ids(model, 6, seed=2)
    straight = model.start_session()
    straight.prefill(tokens)
    expected = straight.prefill(others), straight.decode(5)
    with record(model) as recording:
        session = model.start_session()
        session.prefill(tokens)
        session.prefill(others[::-1].copy())
        session.decode(11)
        session.rewind(len(tokens))
        assert session.length == len(tokens)
        again = session.prefill(others), session.decode(5)
    for one, other in zip(expected, again, strict=True):
        np.testing.assert_array_equal(one, other)  # bit for bit
    with record(model) as plain:
        session = model.start_session()
        session.prefill(tokens)
        session.prefill(others)
        session.decode(5)
    assert recording.digest == plain.digest
    np.testing.assert_array_equal(recording.token_ids, plain.token_ids)
    for layer in range(model.info.n_layers):
        np.testing.assert_array_equal(recording.attention_matrix(layer), plain.attention_matrix(layer))
    with pytest.raises(InvalidInput, match="cannot be rewound"):
        session.rewind(100)


def test_a_recording_tells_what_did_not_run(model: LanguageModel) -> None:
    tokens = ids(model, START + PIECE + REST)
    fragment = fragment_of(model, tokens[: START + PIECE], START, START + PIECE)
    with record(model) as recording:
        session = model.start_session()
        session.prefill(tokens[:START])
        session.put(fragment)
        session.prefill(tokens[START + PIECE :])
    np.testing.assert_array_equal(recording.token_ids, tokens)
    states = recording.hidden_states
    inside = slice(START, START + PIECE)
    assert not states[:, inside].any()
    assert states[:, :START].any(axis=-1).all()
    assert states[:, START + PIECE :].any(axis=-1).all()
    matrix = recording.attention_matrix(0, query_start=START + PIECE)
    assert (matrix[:, :, inside].sum(axis=-1) > 0).all()  # the fragment is attended to
    pooled = recording.pooled(len(tokens)).prompt
    ran = np.r_[1:START, START + PIECE : len(tokens)]
    np.testing.assert_allclose(pooled, states[:, ran].mean(axis=1), atol=1e-5)


@pytest.mark.parametrize("name", REFUSING)
def test_models_whose_keys_cannot_be_moved_say_why(name: str) -> None:
    build, expected = REFUSING[name]
    model = build()
    reason = model.fragments_refused()
    assert reason is not None
    assert expected in reason
    fragment = fragment_of(FakeModel(), ids(model, 4), 0, 4)
    session = model.start_session()
    session.prefill(ids(model, 3))
    for refused in (lambda: session.put(fragment), lambda: session.fragment(0, 2)):
        with pytest.raises(ModelError):
            refused()
    assert session.length == 3
    session.decode(5)


@pytest.mark.parametrize("name", FORGETTING)
def test_a_cache_that_forgets_can_be_emptied_and_is_not_used_half_cut(name: str) -> None:
    model = tiny_model(name)
    tokens, rest = ids(model, 3 * WINDOW), ids(model, REST, seed=2)
    with record(model) as plain:
        session = model.start_session()
        expected = session.prefill(tokens), session.prefill(rest)
    with record(model) as recording:
        session = model.start_session()
        session.prefill(ids(model, 2 * WINDOW, seed=3))
        session.decode(5)
        session.rewind(0)
        assert session.length == 0
        again = session.prefill(tokens), session.prefill(rest)
    for one, other in zip(expected, again, strict=True):
        np.testing.assert_array_equal(one, other)  # bit for bit
    assert recording.digest == plain.digest
    for refused in (lambda: session.rewind(len(tokens)), lambda: session.decode(5)):
        with pytest.raises(ModelError, match="Start a new session"):
            refused()


@pytest.mark.parametrize("name", ["llama", "fake"])
def test_what_cannot_be_put_is_refused_and_changes_nothing(name: str) -> None:
    model = MODELS[name]()
    context = model.info.context_length
    session = model.start_session()
    session.prefill(ids(model, context - 3))
    own = fragment_of(model, ids(model, 4), 0, 4)
    with pytest.raises(PromptTooLong):
        session.put(own)
    foreign = KVFragment(own.token_ids, own.keys[:2].copy(), own.values[:2].copy())
    session.rewind(4)
    with pytest.raises(InvalidInput, match="another model"):
        session.put(foreign)
    for start, stop in ((-1, 2), (2, 2), (3, 9)):
        with pytest.raises(InvalidInput, match="has no tokens"):
            session.fragment(start, stop)
    assert session.length == 4
    session.put(own)
    session.decode(5)


def test_fragments_that_follow_each_other_are_put_as_one_bit_for_bit(model: LanguageModel) -> None:
    tokens = ids(model, START + 2 * PIECE + REST)
    pieces = [fragment_of(model, tokens, start, start + PIECE) for start in (START, START + PIECE)]
    single = model.start_session()
    single.prefill(tokens[:START])
    for piece in pieces:
        single.put(piece)
    expected = single.prefill(tokens[START + 2 * PIECE :])
    passes = [Pass(START), *(Pass(PIECE, piece.digest) for piece in pieces), Pass(REST)]
    known = {piece.digest: piece for piece in pieces}
    np.testing.assert_array_equal(
        feed(model.start_session(), tokens, passes=passes, fragments=known), expected
    )
    assert KVFragment.joined(pieces[:1]) is pieces[0]
    with pytest.raises(InvalidInput, match="different numbers"):
        KVFragment.joined(
            [pieces[0], KVFragment(pieces[0].token_ids, pieces[0].keys[:1], pieces[0].values[:1])]
        )


def test_a_fragment_of_nothing_or_of_other_shapes_is_refused() -> None:
    keys = np.zeros((2, 2, 3, 4), dtype=np.float32)
    for tokens, values in ((0, keys), (2, keys), (3, keys[..., :2])):
        with pytest.raises(InvalidInput, match="KV fragment"):
            KVFragment(np.zeros(tokens, dtype=np.int32), keys, values)


@pytest.mark.parametrize(
    ("passes", "match"),
    [
        ([], "do not bring in"),
        ([Pass(3)], "do not bring in"),
        ([Pass(0), Pass(4)], "do not bring in"),
        ([Pass(1), Pass(3, "feed")], "do not bring in"),
        ([Pass(1), Pass(2, "feed"), Pass(1)], "is not there"),
    ],
)
def test_passes_that_do_not_fit_are_refused_before_anything_runs(passes: list[Pass], match: str) -> None:
    session = FakeModel().start_session()
    with pytest.raises(InvalidInput, match=match):
        feed(session, np.array([65, 66, 67, 68], dtype=np.int32), passes=passes)
    assert session.length == 0


def test_a_fragment_of_other_tokens_is_refused() -> None:
    model = FakeModel()
    fragment = fragment_of(model, ids(model, 4), 1, 3)
    with pytest.raises(InvalidInput, match="is not there"):
        feed(
            model.start_session(),
            np.array([65, 66, 67, 68], dtype=np.int32),
            passes=[Pass(1), Pass(2, fragment.digest), Pass(1)],
            fragments={fragment.digest: fragment},
        )


def test_turning_back_undoes_turning() -> None:
    rotary = Rotary(np.array([1.0, 0.1], dtype=np.float32), factor=1.4)
    vectors = np.random.default_rng(0).standard_normal((2, 5, 6), dtype=np.float32)
    positions = np.arange(40, 45)
    turned = rotary.rotate(vectors, positions)
    assert np.abs(turned - vectors).max() > 0.5
    np.testing.assert_allclose(rotary.rotate_back(turned, positions), vectors, atol=1e-5)
