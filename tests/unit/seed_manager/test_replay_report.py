from dataclasses import replace

import numpy as np
import pytest
from tests.fake_traces import traced

from aspen.activation_db import decode_trace, encode_trace
from aspen.errors import InvalidInput
from aspen.seed_manager import Verdict, replay
from aspen.testing.fake_model import FakeModel
from aspen.types import PooledActivations, Trace, TraceLevel

TRACE = traced()


def stored(trace: Trace, level: TraceLevel) -> Trace:
    return decode_trace(encode_trace(trace, level=level))


@pytest.mark.parametrize("level", TraceLevel)
def test_the_same_model_verifies_a_trace_of_any_level(level: TraceLevel) -> None:
    report = replay(FakeModel(), stored(TRACE, level))
    assert report.verdict is Verdict.VERIFIED
    assert report.verified
    assert report.reply == TRACE.reply
    assert report.explain() == "verified: with seed 5, the same tokens and bit-equal activations came out."


def test_a_trace_fresh_from_its_recording_is_verified() -> None:
    assert replay(FakeModel(), TRACE).verified
    assert replay(FakeModel(), traced(level=TraceLevel.INT8)).verified
    assert replay(FakeModel(), traced(max_tokens=1)).verified


def test_a_fingerprint_that_differs_is_named_and_nothing_is_run() -> None:
    model = FakeModel()
    was = replace(TRACE.fingerprint, threads=2, libraries={"numpy": "1.0"})
    report = replay(model, replace(TRACE, fingerprint=was))
    assert report.verdict is Verdict.FINGERPRINT_DIFFERS
    assert model.blocks_run == 0
    assert [(d.field, d.recorded, d.now) for d in report.fingerprint] == [
        ("threads", "2", "1"),
        ("libraries.numpy", "1.0", np.__version__),
    ]
    assert report.explain() == (
        "fingerprint differs: threads was 2, is 1 (and 1 more field; set ASPEN_THREADS=2 to replay it); "
        "it was not run again."
    )


def test_a_runtime_that_differs_is_named_first_and_how_to_set_it_back() -> None:
    was = replace(TRACE.fingerprint, tokenizer="7" * 64, runtime="llama.cpp", threads=2)
    report = replay(FakeModel(), replace(TRACE, fingerprint=was))
    assert report.explain() == (
        "fingerprint differs: runtime was llama.cpp, is fake (and 2 more fields; set ASPEN_RUNTIME=llama.cpp "
        "ASPEN_THREADS=2 to replay it); it was not run again."
    )
    other_weights = replace(was, weights="8" * 64)  # nothing that is set brings these back
    report = replay(FakeModel(), replace(TRACE, fingerprint=other_weights))
    assert report.explain().startswith("fingerprint differs: weights was 888888888888..., is ")
    assert "ASPEN_" not in report.explain()


def test_run_anyway_is_never_called_verified() -> None:
    was = replace(TRACE.fingerprint, threads=2)
    report = replay(FakeModel(), replace(TRACE, fingerprint=was), despite_fingerprint=True)
    assert report.verdict is Verdict.FINGERPRINT_DIFFERS
    assert not report.verified
    assert (report.tokens, report.activations) == (None, None)
    assert report.explain().endswith("run anyway, the same tokens and bit-equal activations came out.")


def test_another_model_run_anyway_names_the_token() -> None:
    report = replay(FakeModel(seed=1), TRACE, despite_fingerprint=True)
    assert report.fingerprint[0].field == "weights"
    assert report.tokens is not None
    assert "..." in report.explain()  # hashes are shortened
    deeper = replay(FakeModel(n_layers=4), replace(TRACE, max_tokens=1), despite_fingerprint=True)
    assert deeper.verdict is Verdict.FINGERPRINT_DIFFERS


def test_another_seed_is_named_by_its_first_token() -> None:
    report = replay(FakeModel(), replace(TRACE, seed=8))
    assert report.verdict is Verdict.TOKENS_DIFFER
    other = traced(seed=8)
    assert report.tokens is not None
    position = report.tokens.position
    np.testing.assert_array_equal(TRACE.token_ids[:position], other.token_ids[:position])
    assert report.tokens.recorded_id == TRACE.token_ids[position]
    assert report.tokens.now_id == other.token_ids[position]
    assert f"position {position}: was {report.tokens.recorded_id}" in report.explain()


def test_a_changed_reply_token_is_named() -> None:
    ids = TRACE.token_ids.copy()
    at = TRACE.prompt_length + 2
    ids[at] = ord("#")
    report = replay(FakeModel(), replace(TRACE, token_ids=ids))
    assert report.tokens is not None
    assert (report.tokens.position, report.tokens.recorded_text) == (at, "#")
    assert report.tokens.now_id == TRACE.token_ids[at]


def test_a_reply_that_ends_elsewhere_is_named() -> None:
    report = replay(FakeModel(), replace(TRACE, max_tokens=3))
    assert report.tokens is not None
    assert report.tokens.position == TRACE.prompt_length + 3
    assert report.tokens.now_id is None
    assert report.explain().endswith("is the end of the reply.")
    shorter = traced(max_tokens=3)
    longer = replay(FakeModel(), replace(shorter, max_tokens=24))
    assert longer.tokens is not None
    assert longer.tokens.recorded_id is None


def test_a_changed_prompt_token_is_named_by_its_activations() -> None:
    # The reply is forced, so that only the activations can tell.
    says = FakeModel(say=lambda prompt: "Lisbon.")
    trace = traced(says)
    ids = trace.token_ids.copy()
    ids[12] += 1
    report = replay(says, replace(trace, token_ids=ids))
    assert report.verdict is Verdict.ACTIVATIONS_DIFFER
    assert report.activations is not None
    assert (report.activations.token, report.activations.layer) == (12, 0)
    assert "first at token 12" in report.explain()


@pytest.mark.parametrize("level", TraceLevel)
def test_one_changed_activation_is_named_by_token_and_layer(level: TraceLevel) -> None:
    digests = TRACE.state_digests.copy()
    digests[2, 5] ^= 1
    report = replay(FakeModel(), stored(replace(TRACE, state_digests=digests, digest="0" * 64), level))
    assert report.verdict is Verdict.ACTIVATIONS_DIFFER
    assert report.activations is not None
    assert (report.activations.token, report.activations.layer) == (5, 2)
    assert not report.activations.stored
    assert report.explain() == "tokens are the same, activations differ, first at token 5 ('e'), layer 2."


def test_the_sha256_decides_even_where_the_short_digests_agree() -> None:
    report = replay(FakeModel(), replace(TRACE, digest="0" * 64))
    assert report.verdict is Verdict.ACTIVATIONS_DIFFER
    assert report.explain() == "tokens are the same, activations differ."


@pytest.mark.parametrize("level", [TraceLevel.INT8, TraceLevel.FP16])
def test_stored_activations_that_are_not_those_of_the_digest_are_named(level: TraceLevel) -> None:
    kept = stored(TRACE, level)
    assert kept.hidden_states is not None
    altered = kept.hidden_states.copy()
    altered.view(np.uint32)[3, 7, 1] ^= 1
    report = replay(FakeModel(), replace(kept, hidden_states=altered))
    assert report.verdict is Verdict.ACTIVATIONS_DIFFER
    assert report.activations is not None
    assert (report.activations.token, report.activations.layer) == (7, 3)
    assert report.activations.stored


def test_stored_pooled_vectors_that_are_not_those_of_the_digest_are_named() -> None:
    kept = stored(TRACE, TraceLevel.POOLED)
    altered = PooledActivations(prompt=kept.pooled.prompt, reply=kept.pooled.reply * 2)
    report = replay(FakeModel(), replace(kept, pooled=altered))
    assert report.verdict is Verdict.ACTIVATIONS_DIFFER
    assert report.explain() == "tokens are the same, stored activations are not those recorded."


def test_a_prompt_outside_the_vocabulary_is_refused() -> None:
    ids = TRACE.token_ids.copy()
    ids[3] = 10**6
    with pytest.raises(InvalidInput, match="vocabulary of 258"):
        replay(FakeModel(), replace(TRACE, token_ids=ids))
