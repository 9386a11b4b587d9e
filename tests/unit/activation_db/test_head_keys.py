from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests import builders
from tests.builders import FACTS, drawn

from aspen.activation_db.head_keys import (
    TokenKeys,
    attention_mass,
    decode_head_keys,
    encode_head_keys,
    head_match,
)
from aspen.activation_db.head_set import HeadSet, PromptHeads
from aspen.activation_db.transform_code import TransformCode
from aspen.errors import InvalidInput
from aspen.models import HeadAttention, HeadRef, Rotary
from aspen.testing.fake_model import FakeModel

DIM = 8
REFS = (HeadRef(0, 1), HeadRef(2, 3), HeadRef(2, 2))  # the last two share their keys
PLAIN = HeadAttention(scale=0.3, softcap=None, rotary=None)
ROTARY = replace(PLAIN, rotary=Rotary(np.array([1.0, 0.1, 0.01], dtype=np.float32), factor=1.1))
CAPPED = replace(ROTARY, softcap=0.7)


KEYS = 2 * drawn(2, 2000, DIM, seed=40)
# Fine enough for what is computed from decoded keys to tell texts apart: half a byte a number.
CODES = tuple(
    TransformCode.fit(keys.mean(axis=0, dtype=np.float64), np.cov(keys.T), size=DIM // 2, per_byte=2)
    for keys in KEYS
)


def head_set(attention: HeadAttention = ROTARY) -> HeadSet:
    return HeadSet(REFS, (0, 1, 1), (attention,) * 3, prompt(4, seed=99), CODES)


def prompt(n: int, *, seed: int = 0) -> PromptHeads:
    return PromptHeads(2 * drawn(3, n, DIM, seed=seed), 2 * drawn(2, n, DIM, seed=seed + 1))


def bodies(*lengths: int, heads: HeadSet | None = None) -> list[bytes]:
    return [
        encode_head_keys(2 * drawn(2, n, DIM, seed=50 + i), heads=heads or head_set())
        for i, n in enumerate(lengths)
    ]


def turn(vectors: Any, start: int, rotary: Rotary | None) -> Any:
    """Plain rotary embedding in float64, one token and pair of dimensions after the other."""
    if rotary is None:
        return vectors.astype(np.float64)
    turned = vectors.astype(np.float64)
    half = len(rotary.inverse_frequencies)
    for t in range(len(vectors)):
        for i, frequency in enumerate(rotary.inverse_frequencies):
            angle = (start + t) * float(frequency)
            a, b = vectors[t, i], vectors[t, i + half]
            turned[t, i] = rotary.factor * (a * np.cos(angle) - b * np.sin(angle))
            turned[t, i + half] = rotary.factor * (b * np.cos(angle) + a * np.sin(angle))
    return turned


def plain_mass(queries: Any, own: Any, memory: Any, attention: HeadAttention) -> float:
    """One head, one memory: the memory's tokens stand at -n..-1, the prompt's from 3 on."""
    keys = np.concatenate([turn(memory, -len(memory), attention.rotary), turn(own, 3, attention.rotary)])
    shares = []
    for t, query in enumerate(turn(queries, 3, attention.rotary)):
        logits = attention.scale * keys @ query
        if attention.softcap is not None:
            logits = attention.softcap * np.tanh(logits / attention.softcap)
        weights = np.exp(logits)
        own_weights = weights[len(memory) + 1 : len(memory) + t + 1]  # without the prompt's first token
        on_memory = weights[1 : len(memory)].sum()
        shares.append(on_memory / (on_memory + weights[0] + own_weights.sum()))
    return float(np.mean(shares))


@pytest.mark.parametrize("attention", [PLAIN, ROTARY, CAPPED])
def test_it_is_the_share_of_attention_less_that_of_the_null_prompt(attention: HeadAttention) -> None:
    heads, asked = head_set(attention), prompt(6)
    stored = bodies(5, 1, 9, 2, heads=heads)
    match = head_match(asked, stored, heads=heads)
    assert match.shape == (4, 3)
    assert match.dtype == np.float32
    for i, body in enumerate(stored):
        kept = decode_head_keys([body], heads=heads)[0].keys
        for h, row in enumerate(heads.key_rows):
            asking, nothing = (
                plain_mass(one.queries[h], one.keys[row], kept[row], attention) for one in (asked, heads.null)
            )
            assert match[i, h] == pytest.approx(asking - nothing, abs=5e-4)  # float16


def test_many_memories_match_as_each_alone() -> None:
    stored = bodies(3, 40, 1, 7, 256)
    together = head_match(prompt(12), stored, heads=head_set())
    for body, match in zip(stored, together, strict=True):
        np.testing.assert_allclose(head_match(prompt(12), [body], heads=head_set())[0], match, atol=1e-6)


def test_no_memories_match_nothing() -> None:
    assert head_match(prompt(3), [], heads=head_set()).shape == (0, 3)


def test_a_memory_of_one_token_is_all_sink() -> None:
    assert (head_match(prompt(3), bodies(1), heads=head_set()) == 0).all()


def test_what_is_asked_for_is_found() -> None:
    wanted = drawn(3, 1, DIM, seed=7)
    asked = PromptHeads(np.tile(wanted, (1, 5, 1)), drawn(2, 5, DIM, seed=8))
    stored = [encode_head_keys(drawn(2, 8, DIM, seed=60 + i), heads=head_set()) for i in range(6)]
    answer = np.tile(2 * wanted[[0, 1]], (1, 8, 1))
    answer[:, 0] = 0
    stored.insert(4, encode_head_keys(answer, heads=head_set()))
    match = head_match(asked, stored, heads=head_set(PLAIN))
    assert match[:, :2].argmax(axis=0).tolist() == [4, 4]


@pytest.mark.parametrize("size", [1e-3, 1e2, 1e4])
def test_logits_of_any_size_give_shares(size: float) -> None:
    one = prompt(6)
    memories = np.float32(size) * drawn(12, DIM, seed=3)
    share = attention_mass(
        np.float32(size) * one.queries[1:], one.keys[1], memories, starts=np.array([0, 5]), attention=PLAIN
    )
    assert np.isfinite(share).all()
    assert ((share >= 0) & (share <= 1)).all()


def test_all_that_attention_adds_to_each_logit_changes_nothing() -> None:
    """A key direction that all tokens share: softmax does not see it, in whichever size."""
    queries, own, memories = drawn(1, 4, DIM), drawn(4, DIM, seed=1), drawn(9, DIM, seed=2)
    queries[..., 0], own[:, 0], memories[:, 0] = 1, 0, 0
    expected = attention_mass(queries, own, memories, starts=np.array([0, 4]), attention=PLAIN)
    for shift in (-500, 500):
        own[:, 0] = memories[:, 0] = shift
        moved = attention_mass(queries, own, memories, starts=np.array([0, 4]), attention=PLAIN)
        np.testing.assert_allclose(moved, expected, rtol=1e-3)


def test_keys_come_back_nearly_and_the_sink_as_that_of_the_null_prompt() -> None:
    heads = head_set()
    keys = KEYS[:, :50]
    body = encode_head_keys(keys, heads=heads)
    assert len(body) == heads.head_size + 49 * heads.token_size == 4 + 3 * 2 + 49 * DIM
    back, _ = decode_head_keys([body], heads=heads)
    assert back.keys.shape == keys.shape
    assert back.starts.tolist() == [0]
    error = ((back.keys - keys)[:, 1:] ** 2).sum() / (keys[:, 1:] ** 2).sum()
    assert error < 0.02
    np.testing.assert_array_equal(back.keys[:, 0], heads.null.keys[:, 0])


def test_the_attention_of_the_null_prompt_is_kept() -> None:
    heads, stored = head_set(), bodies(7, 30)
    memories, nothing = decode_head_keys(stored, heads=heads)
    for i, start in enumerate(memories.starts):
        kept = memories.keys[:, start : start + (7, 30)[i]]
        for h, row in enumerate(heads.key_rows):
            expected = plain_mass(heads.null.queries[h], heads.null.keys[row], kept[row], ROTARY)
            assert nothing[i, h] == pytest.approx(expected, abs=5e-4)


def test_keys_beyond_what_the_code_holds_stay_finite() -> None:
    body = encode_head_keys(np.full((2, 3, DIM), 1e9, dtype=np.float32), heads=head_set())
    back, nothing = decode_head_keys([body], heads=head_set())
    assert np.isfinite(back.keys).all()
    assert np.isfinite(nothing).all()


def test_many_bodies_lie_one_after_the_other_and_end_before_the_prompt() -> None:
    stored = bodies(3, 1, 2)
    tokens, _ = decode_head_keys(stored, heads=head_set())
    assert tokens.starts.tolist() == [0, 3, 4]
    assert tokens.positions.tolist() == [-3, -2, -1, -1, -2, -1]
    alone, _ = decode_head_keys(stored[2:], heads=head_set())
    np.testing.assert_allclose(tokens.keys[:, 4:], alone.keys, atol=1e-5)
    assert isinstance(tokens, TokenKeys)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_keys_that_are_no_numbers_are_refused(value: float) -> None:
    keys = drawn(2, 3, DIM)
    keys[1, 2, 3] = value
    with pytest.raises(InvalidInput, match="not finite"):
        encode_head_keys(keys, heads=head_set())


def of_other_heads() -> list[bytes]:
    """Of other heads of the same width; and of the same heads, their keys coded in another way."""
    others = replace(head_set(), heads=(HeadRef(0, 1), HeadRef(1, 3), HeadRef(1, 2)))
    recoded = replace(head_set(), codes=CODES[::-1])
    return [encode_head_keys(drawn(2, 3, DIM), heads=heads) for heads in (others, recoded)]


@pytest.mark.parametrize(
    "body", [b"", b"x" * 44, bodies(2)[0][:-1], bodies(2)[0][:4], bodies(2)[0] + b"x", *of_other_heads()]
)
def test_head_keys_of_other_heads_are_told_apart_and_refused(body: bytes) -> None:
    assert not head_set().fits(body)
    assert all(map(head_set().fits, bodies(2, 1)))
    with pytest.raises(InvalidInput, match="other heads"):
        head_match(prompt(3), [*bodies(2), body], heads=head_set())


@pytest.mark.parametrize("attention", [PLAIN, ROTARY, CAPPED])
def test_a_head_set_comes_back_from_its_tensors(attention: HeadAttention) -> None:
    heads = head_set(attention)
    back = HeadSet.from_tensors(heads.to_tensors())
    assert back is not None
    assert (back.heads, back.key_rows, back.version) == (heads.heads, heads.key_rows, heads.version)
    stored = bodies(4, 6, heads=heads)
    np.testing.assert_array_equal(
        head_match(prompt(5), stored, heads=back), head_match(prompt(5), stored, heads=heads)
    )
    assert HeadSet.from_tensors({}) is None


def test_a_head_set_of_a_model_says_what_it_is() -> None:
    model = FakeModel()
    heads = builders.head_set(model, REFS)
    assert heads.version.startswith("2:0.1,2.3,2.2:")
    assert heads.key_rows == (0, 1, 1)
    assert heads.token_size == 2 * 1
    (captured,) = model.capture_with_heads([model.tokenize(FACTS[0])], layers=[0], heads=REFS)
    body = encode_head_keys(captured.keys, heads=heads)
    assert len(body) == 4 + 3 * 2 + heads.token_size * (len(FACTS[0]) - 1)
    # The null prompt finds nothing beyond what it finds.
    np.testing.assert_allclose(head_match(heads.null, [body], heads=heads), 0, atol=5e-4)


def test_the_version_tells_heads_codes_and_null_prompts_apart() -> None:
    one = head_set()
    others = [
        replace(one, codes=CODES[::-1]),
        replace(one, null=prompt(4, seed=98)),
        replace(one, heads=(HeadRef(0, 1), HeadRef(2, 3), HeadRef(2, 1))),
    ]
    assert len({heads.version for heads in (one, head_set(), *others)}) == 4


def test_codes_spend_their_levels_where_queries_are_large() -> None:
    model = FakeModel()
    texts = [drawn(1, 300, 8, seed=i) for i in range(4)]
    asking = np.ones((1, 10, 8), dtype=np.float32)
    asking[..., 2] = 50
    heads = HeadSet.of(model, [HeadRef(1, 0)], memories=texts, prompts=[asking])
    (code,) = heads.codes
    keys = texts[0][0]
    error = np.square(code.decode(code.encode(keys)) - keys).mean(axis=0)
    assert error.argmin() in (2, 6)  # the other of the pair counts alike
