import re
import time
from datetime import UTC

import numpy as np
import pytest
from tests.fake_traces import MESSAGES, SAMPLER, recorded, traced

from aspen.activation_logger import build_trace, name_spans, new_trace_id, record
from aspen.errors import InvalidInput
from aspen.models.generation import Generation
from aspen.testing.fake_model import FakeModel
from aspen.types import Segment, TraceLevel


def test_a_trace_holds_the_inference() -> None:
    model = FakeModel()
    recording, generation = recorded(model)
    trace = traced(model)
    prompt_ids = model.apply_chat_template(MESSAGES).token_ids
    np.testing.assert_array_equal(trace.token_ids, np.concatenate([prompt_ids, generation.token_ids]))
    assert trace.token_ids.dtype == np.int32
    assert trace.prompt_length == len(prompt_ids)
    assert trace.reply == generation.text
    assert trace.digest == recording.digest
    assert trace.hidden_states is not None
    assert trace.hidden_states.shape[1] == len(trace.token_ids) - 1
    assert trace.state_digests.shape == (4, len(trace.token_ids) - 1)
    assert trace.attention.mass.shape[2] == len(generation.token_ids) - 1
    assert trace.attention.segments == ("sink", "template", "system", "user", "reply")
    assert trace.segments[-1] == Segment("reply", trace.prompt_length, len(trace.token_ids) - 1)
    assert trace.created_at.tzinfo is UTC


def test_a_reply_of_one_token_makes_a_trace() -> None:
    trace = traced(max_tokens=1)
    assert len(trace.token_ids) == trace.prompt_length + 1
    assert not trace.pooled.reply.any()
    assert trace.attention.mass.shape[2] == 0


def test_a_recording_of_something_else_is_refused() -> None:
    model = FakeModel()
    _, generation = recorded(model)
    with record(model) as other:
        model.start_session().prefill(model.tokenize("something else, and longer than the reply by far"))
    with record(model) as short:
        model.start_session().prefill(model.tokenize("x"))
    nothing = Generation(np.array([], dtype=np.int32), "", "length", 0, 0)
    for recording, claimed in ((other, generation), (short, generation), (other, nothing)):
        with pytest.raises(InvalidInput, match="not of this generation"):
            build_trace(
                recording,
                generation=claimed,
                prompt="",
                segments=(),
                seed=1,
                sampler=SAMPLER,
                max_tokens=1,
                fingerprint=model.fingerprint,
                level=TraceLevel.POOLED,
            )


def test_spans_are_named_by_what_they_are() -> None:
    spans = [
        Segment("system", 2, 9),
        Segment("user", 11, 15),
        Segment("assistant", 17, 19),
        Segment("user", 21, 30),
    ]
    named = name_spans(spans, note=Segment("x", 5, 9))
    assert [(s.name, s.start, s.stop) for s in named] == [
        ("system", 2, 9),
        ("history", 11, 15),
        ("history", 17, 19),
        ("user", 21, 30),
        ("note", 5, 9),
    ]
    assert name_spans([]) == ()


def test_ids_are_fresh_and_sort_by_time() -> None:
    first = new_trace_id()
    time.sleep(0.002)
    ids = [new_trace_id() for _ in range(1000)]
    assert re.fullmatch(r"t_[0-9a-f]{20}", first)
    assert len(set(ids)) == 1000
    assert first < min(ids)
