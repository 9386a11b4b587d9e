"""Maps of traces through the front door: exact, verified, and honest where there is nothing to show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.front_door import Telling
from tests.unit.memory_viewer.conftest import OpenWith, chat

from aspen import Aspen
from aspen.activation_db import encode_trace
from aspen.errors import InvalidInput, NotFound, TraceError
from aspen.memory_viewer import (
    MEASURES,
    attention_map,
    attention_summary,
    compare_runs,
    compare_traces,
    divergence_map,
    rerunning,
    trace_map,
)
from aspen.models import feed
from aspen.models.likelihood import log_softmax
from aspen.testing.fake_model import FakeModel
from aspen.types import FloatArray, Trace, TraceLevel

PROMPT = "Who lives in Lisbon?"


def exact(aspen: Aspen, trace: Trace) -> FloatArray:
    """States as a replay records them."""
    return rerunning.recording_of(aspen, trace).hidden_states


def kwargs(measure: str) -> dict[str, str]:
    return {"measure": measure, "prompt": PROMPT} if measure == "resonance" else {"measure": measure}


@pytest.mark.parametrize("measure", MEASURES)
def test_a_map_has_a_number_for_each_layer_and_fed_token(aspen: Aspen, measure: str) -> None:
    trace = aspen.trace(chat(aspen))
    found = trace_map(aspen, trace.id, **kwargs(measure))
    assert found.values.shape == (len(found.layers), len(trace.token_ids) - 1)
    assert found.values.dtype == np.float32
    assert "".join(found.tokens) == aspen.model.detokenize(trace.token_ids[:-1], skip_special=False)
    assert found.segments == trace.segments
    assert found.unit
    assert np.isfinite(found.values[:, 1:]).all()


def test_norm_and_change_are_what_their_formulas_say(aspen: Aspen) -> None:
    trace = aspen.trace(chat(aspen))
    states = exact(aspen, trace).astype(np.float64)
    lengths = np.linalg.norm(states, axis=-1)
    norm, change = (trace_map(aspen, trace.id, measure=measure) for measure in ("norm", "change"))
    assert norm.layers == (0, 1, 2, 3)
    np.testing.assert_allclose(norm.values, lengths, rtol=1e-5)
    assert change.layers == (1, 2, 3)
    steps = np.linalg.norm(np.diff(states, axis=0), axis=-1)
    np.testing.assert_allclose(change.values, steps / lengths[:-1], rtol=1e-4)


def test_surprise_of_the_last_layer_is_the_models_own(open_with: OpenWith) -> None:
    aspen = open_with(FakeModel())
    trace = aspen.trace(chat(aspen))
    found = trace_map(aspen, trace.id, measure="surprise")
    assert found.layers[-1] == 3
    assert 0 not in found.layers
    session = aspen.model.start_session()
    logs = log_softmax(session.prefill_each(trace.token_ids[:-1]))
    own = -logs[np.arange(len(logs) - 1), trace.token_ids[1:-1]] / np.log(2)
    np.testing.assert_allclose(found.values[-1, 1:], own, rtol=1e-3, atol=1e-3)
    assert np.isnan(found.values[:, 0]).all()
    assert not np.allclose(found.values[0, 1:], own, atol=0.1)


def test_resonance_shows_where_the_prompt_stands_in_the_trace(aspen: Aspen) -> None:
    id_ = chat(aspen, "The xylophone is in the attic.")
    found = trace_map(aspen, id_, measure="resonance", prompt="zz xylophone")
    word = list("xylophone")
    begin = next(n for n in range(len(found.tokens)) if list(found.tokens[n : n + 9]) == word)
    embedding = found.values[0]
    assert embedding[begin : begin + 9] == pytest.approx(1, abs=1e-4)  # the same tokens, at the same depth
    assert embedding[1:].min() < 0.6
    assert (found.values[:, 1:] <= 1 + 1e-5).all()
    assert np.isnan(found.values[:, 0]).all()


def test_what_a_trace_keeps_is_shown_as_it_is_kept(aspen: Aspen, monkeypatch: pytest.MonkeyPatch) -> None:
    id_ = chat(aspen, level=TraceLevel.FP16)
    states = exact(aspen, aspen.trace(id_))

    def refuse(*_: Any) -> None:
        raise AssertionError("the trace was fed again")

    monkeypatch.setattr(rerunning, "_fed_again", refuse)
    found = trace_map(aspen, id_, measure="norm")
    np.testing.assert_allclose(found.values, np.linalg.norm(states, axis=-1), rtol=2e-3)


def test_a_pooled_trace_is_fed_again_once(aspen: Aspen) -> None:
    model = aspen.model
    assert isinstance(model, Telling)
    id_ = chat(aspen)
    before = model.blocks_run
    first = trace_map(aspen, id_, measure="norm")
    fed = model.blocks_run - before
    assert fed == 3 * len(first.tokens)
    assert np.array_equal(trace_map(aspen, id_, measure="norm").values, first.values)
    attention_map(aspen, id_, layer=0)
    assert model.blocks_run == before + fed


def test_only_the_last_few_are_kept_and_none_after_forgetting(aspen: Aspen) -> None:
    ids = [chat(aspen, f"Message {n}", conversation=str(n)) for n in range(rerunning.KEPT + 1)]
    for id_ in ids:
        trace_map(aspen, id_)
    kept = rerunning._kept_of(aspen)
    assert [kept.get(id_) is None for id_ in ids] == [True] + [False] * rerunning.KEPT
    memory = aspen.remember("Something to forget.")
    aspen.forget(memory.id)
    assert all(kept.get(id_) is None for id_ in ids)


def test_a_forgotten_trace_has_no_map(aspen: Aspen) -> None:
    id_ = chat(aspen)
    trace_map(aspen, id_)
    aspen.forget(*aspen.repository.trace_memories(id_))
    with pytest.raises(NotFound):
        trace_map(aspen, id_)


def stored(aspen: Aspen, trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put this in the place of the stored trace."""
    body = encode_trace(trace)
    monkeypatch.setattr(aspen.repository, "trace", lambda id_: body)


def test_other_activations_are_refused_with_the_first_place(
    aspen: Aspen, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = aspen.trace(chat(aspen))
    digests = trace.state_digests.copy()
    digests[2, 7] ^= 1
    stored(aspen, replace(trace, state_digests=digests), monkeypatch)
    with pytest.raises(TraceError, match=r"first at token 7 \('.'\), layer 2") as refused:
        trace_map(aspen, trace.id)
    assert (refused.value.details["token"], refused.value.details["layer"]) == (7, 2)


def test_a_digest_that_differs_alone_is_refused_too(aspen: Aspen, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = aspen.trace(chat(aspen))
    stored(aspen, replace(trace, digest="0" * 64), monkeypatch)
    with pytest.raises(TraceError, match="other activations than it recorded"):
        attention_map(aspen, trace.id, layer=0)


def test_a_pooled_trace_of_another_model_is_refused(open_with: OpenWith) -> None:
    aspen = open_with(FakeModel())
    id_ = chat(aspen)
    other = Aspen.open(aspen.repository, model=FakeModel(seed=99), config=aspen.config)
    with pytest.raises(TraceError, match="another model: fingerprint differs: weights"):
        trace_map(other, id_)


def test_kept_activations_of_another_model_show_what_needs_none(open_with: OpenWith) -> None:
    aspen = open_with(FakeModel())
    id_ = chat(aspen, level=TraceLevel.INT8)
    with Aspen.open(aspen.repository, model=FakeModel(seed=99), config=aspen.config) as other:
        assert np.isfinite(trace_map(other, id_, measure="change").values).all()
        for measure in ("surprise", "resonance"):
            with pytest.raises(InvalidInput, match="another model"):
                trace_map(other, id_, **kwargs(measure))


def test_tokens_of_kv_fragments_never_ran_and_have_no_value(open_with: OpenWith) -> None:
    aspen = open_with(FakeModel())
    aspen.remember("My sister Mara lives in Lisbon.", speaker="user")
    trace = aspen.trace(chat(aspen, "Where is my sister Mara?", strategy="kv"))
    did = rerunning.ran(trace)
    assert 0 < (~did).sum() < len(did)
    for measure in MEASURES:
        values = trace_map(aspen, trace.id, **kwargs(measure)).values
        assert np.isnan(values[:, ~did]).all()
        there = did.copy()
        there[0] = False
        if measure == "surprise":
            there[1:] &= did[:-1]
        assert np.isfinite(values[:, there]).all()


def test_two_traces_are_compared_where_they_have_the_same_tokens(aspen: Aspen) -> None:
    texts = ("Where is Mara?", "Where is Paul?")
    ids = [chat(aspen, text, conversation=text, memory=False) for text in texts]
    found = compare_traces(aspen, *ids, measure="norm")
    places = zip(found.first_places.tolist(), found.second_places.tolist(), strict=True)
    for place, (here, there) in enumerate(places):
        assert found.first.tokens[here] == found.second.tokens[there] == found.difference.tokens[place]
        np.testing.assert_array_equal(
            found.difference.values[:, place], found.second.values[:, there] - found.first.values[:, here]
        )
    pairs = enumerate(zip(found.first.tokens, found.second.tokens, strict=False))
    common = next(n for n, (here, there) in pairs if here != there)
    before = found.first_places < common
    assert before.sum() == common
    assert not before.all()
    assert np.abs(found.difference.values[:, before]).max() < 1e-3
    assert np.abs(found.difference.values[:, ~before]).max() > 0.1


def test_a_trace_compared_with_itself_differs_nowhere(aspen: Aspen) -> None:
    id_ = chat(aspen)
    for measure in MEASURES:
        difference = compare_traces(aspen, id_, id_, **kwargs(measure)).difference.values
        assert not np.nan_to_num(difference).any()


def test_a_replay_and_its_edit_are_compared(aspen: Aspen) -> None:
    id_ = chat(aspen)
    difference = aspen.what_if(id_, message="Where is Paul?")
    found = compare_runs(aspen, difference, measure="norm")
    assert np.array_equal(found.first.values, trace_map(aspen, id_, measure="norm").values)
    assert "Paul" in "".join(found.second.tokens)
    apart = divergence_map(difference)
    assert apart.values.shape == (4, len(apart.tokens))
    assert np.array_equal(apart.values, difference.divergence.distances)


@pytest.mark.parametrize("head", [None, 0, 1])
def test_attention_rows_sum_to_one_and_so_do_segments(aspen: Aspen, head: int | None) -> None:
    id_ = chat(aspen)
    found = attention_map(aspen, id_, layer=1, head=head)
    count = len(found.tokens)
    assert found.values.shape == (count, count)
    np.testing.assert_allclose(found.values.sum(axis=1), 1, atol=1e-5)
    assert not np.triu(found.values, k=1).any()
    assert found.by_segment.shape == (count, len(found.segment_names))
    np.testing.assert_allclose(found.by_segment.sum(axis=1), 1, atol=1e-5)


def test_the_mean_over_heads_is_that_of_the_heads(aspen: Aspen) -> None:
    id_ = chat(aspen)
    heads = [attention_map(aspen, id_, layer=1, head=n).values for n in range(aspen.model.info.n_heads)]
    np.testing.assert_allclose(
        attention_map(aspen, id_, layer=1).values, np.mean(heads, axis=0, dtype=np.float32), atol=1e-6
    )


def test_attention_of_the_map_is_that_which_the_trace_summarises(aspen: Aspen) -> None:
    trace = aspen.trace(chat(aspen))
    summary = attention_summary(aspen, trace.id)
    found = attention_map(aspen, trace.id, layer=2, head=1)
    assert summary.replied == len(trace.token_ids) - 1 - trace.prompt_length
    of_reply = dict(
        zip(found.segment_names, found.by_segment[trace.prompt_length :].mean(axis=0).tolist(), strict=True)
    )
    kept = dict(zip(summary.segment_names, summary.values[2, 1].tolist(), strict=True))
    assert kept == pytest.approx(of_reply, abs=0.01)


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ({"measure": "mood"}, "mood"),
        ({"measure": "resonance"}, "prompt"),
        ({"measure": "resonance", "prompt": " "}, "prompt"),
        ({"measure": "resonance", "prompt": "a"}, "one token"),
        ({"measure": "resonance", "prompt": "a" * 9000}, "context"),
        ({"measure": "norm", "prompt": "a b"}, "has no prompt"),
    ],
    ids=str,
)
def test_what_cannot_be_measured_is_refused(aspen: Aspen, how: dict[str, str], problem: str) -> None:
    id_ = chat(aspen)
    with pytest.raises(InvalidInput, match=problem):
        trace_map(aspen, id_, **how)


def test_blocks_heads_and_traces_that_there_are_not_are_refused(aspen: Aspen) -> None:
    id_ = chat(aspen)
    with pytest.raises(InvalidInput, match="Blocks"):
        attention_map(aspen, id_, layer=3)
    with pytest.raises(InvalidInput, match="Heads"):
        attention_map(aspen, id_, layer=0, head=99)
    with pytest.raises(NotFound):
        trace_map(aspen, "t_nowhere")
    with pytest.raises(NotFound):
        attention_summary(aspen, "t_nowhere")


def test_fed_again_is_fed_as_it_was(aspen: Aspen) -> None:
    """The passes of the trace cut the prompt, or the last bits would differ."""
    trace = aspen.trace(chat(aspen, strategy="two_pass"))
    session = aspen.model.start_session()
    feed(session, trace.token_ids[: trace.prompt_length], passes=trace.passes)
    assert exact(aspen, trace).shape[1] == len(trace.token_ids) - 1
