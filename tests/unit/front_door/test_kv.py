"""Chatting with stored keys and values: where they are kept, and that such a reply replays."""

from dataclasses import replace

import pytest
from tests.front_door import NOTE_TOKENS, WHERE, Open, facts

from aspen import Aspen
from aspen.errors import NotFound
from aspen.memory_injector import FragmentMaker, fragments_of
from aspen.testing.fake_model import FakeModel


def ask(aspen: Aspen) -> str:
    """The id of the trace of a reply to WHERE with the strategy kv."""
    reply = aspen.chat(WHERE, conversation="c", strategy="kv", seed=5, note_tokens=NOTE_TOKENS, max_tokens=8)
    assert reply.injection is not None
    assert (reply.injection.strategy, reply.injection.asked) == ("kv", "kv")
    assert reply.trace_id is not None
    return reply.trace_id


def stored(aspen: Aspen) -> int:
    return aspen.repository.stats().bytes["fragments"]


def test_a_reply_with_stored_keys_and_values_replays(aspen: Aspen) -> None:
    facts(aspen)
    trace_id = ask(aspen)
    trace = aspen.trace(trace_id)
    assert any(one.fragment for one in trace.passes)
    assert trace.injection is not None
    assert trace.injection.figures["fragments_made"] == trace.injection.figures["fragments"] > 0
    assert stored(aspen) > 0
    report = aspen.replay(trace_id)
    assert report.verified, report.explain()


def test_fragments_last_in_the_store(open_aspen: Open, tmp_path: object) -> None:
    path = f"{tmp_path}/store.db"
    first = open_aspen(path)
    facts(first)
    trace_id = ask(first)
    first.close()
    second = open_aspen(path)
    again = second.chat(WHERE, strategy="kv", seed=6, note_tokens=NOTE_TOKENS, max_tokens=4)
    assert again.injection is not None
    assert again.injection.figures["fragments_made"] == 0
    assert second.replay(trace_id).verified


def test_a_reply_with_stored_keys_and_values_can_be_changed_and_sampled(aspen: Aspen) -> None:
    facts(aspen)
    trace_id = ask(aspen)
    for changed in (
        aspen.what_if(trace_id, message="Who moved?"),
        aspen.what_if(trace_id, seed=6),
        aspen.what_if(trace_id, strategy="note", note_tokens=NOTE_TOKENS),
    ):
        assert changed.faithful
    sampled = aspen.sample(
        WHERE, seeds=[1, 2], conversation="d", strategy="kv", note_tokens=NOTE_TOKENS, max_tokens=8
    )
    for candidate in sampled.candidates:
        assert candidate.trace_id is not None
        assert any(one.fragment for one in aspen.trace(candidate.trace_id).passes)
        assert aspen.replay(candidate.trace_id).verified


def test_a_replay_makes_fragments_again_that_are_gone(aspen: Aspen) -> None:
    facts(aspen)
    trace_id = ask(aspen)
    seqs = [memory.seq for memory in aspen.repository.list()]
    kept = aspen.repository.fragments([(seq, name) for seq in seqs for name in _names(aspen, trace_id)])
    assert kept
    aspen.repository.save_fragments(aspen.engine.stamp, dict.fromkeys(kept, b"spoiled"))
    assert aspen.replay(trace_id).verified


def test_a_fragment_that_comes_out_otherwise_now_is_named(aspen: Aspen) -> None:
    """Made by a process with other threads, say, and gone since: nothing can tell what was put."""
    facts(aspen)
    trace = aspen.trace(ask(aspen))
    passes = tuple(replace(one, fragment=one.fragment and "0" * 64) for one in trace.passes)
    seqs = [memory.seq for memory in aspen.repository.list()]
    with pytest.raises(NotFound, match=r"000000000000.*made again it comes out otherwise") as caught:
        fragments_of(replace(trace, passes=passes), model=aspen.model, memories=seqs, shelf=aspen.engine)
    assert "cache" in caught.value.hint


def _names(aspen: Aspen, trace_id: str) -> list[str]:
    """The names of the fragments that a trace used."""
    trace, maker, start, names = aspen.trace(trace_id), FragmentMaker.of(aspen.model), 0, []
    for one in trace.passes:
        if one.fragment is not None:
            names.append(maker.name(trace.token_ids[start : start + one.tokens]))
        start += one.tokens
    return names


def test_what_was_forgotten_takes_fragments_and_trace_along(aspen: Aspen) -> None:
    facts(aspen)
    trace_id = ask(aspen)
    injection = aspen.trace(trace_id).injection
    assert injection is not None
    aspen.forget(*injection.memory_ids)
    with pytest.raises(NotFound):
        aspen.replay(trace_id)
    assert aspen.repository.check() == []


def test_fragments_of_another_model_are_left_alone(open_aspen: Open, tmp_path: object) -> None:
    path = f"{tmp_path}/store.db"
    first = open_aspen(path)
    facts(first)
    trace_id = ask(first)
    first_names = [
        (memory.seq, name) for memory in first.repository.list() for name in _names(first, trace_id)
    ]
    kept = first.repository.fragments(first_names)
    first.close()
    other = open_aspen(path, model=FakeModel(seed=1))
    report = other.replay(trace_id)
    assert not report.verified
    assert report.fingerprint[0].field == "weights"
    reply = other.chat(WHERE, strategy="kv", note_tokens=NOTE_TOKENS, max_tokens=4, remember=False)
    assert reply.injection is not None
    assert other.repository.fragments(first_names) == kept != {}
    other.rekey()
    assert other.repository.fragments(first_names) == {}
