from __future__ import annotations

import pytest
from tests.front_door import NOTE_TOKENS, WHERE, Open, Telling, facts
from tests.unit.front_door.test_summaries import HOW, clocks, said

from aspen import Aspen, Reply
from aspen.memory_injector import STRATEGIES, Auto, MemoryNote, StrategyName
from aspen.types import Injection

UNHEARD = "Quetzal xylophones?"


def asked(
    aspen: Aspen, message: str, *, conversation: str = "now", note_tokens: int = NOTE_TOKENS
) -> Injection:
    reply = aspen.chat(
        message, conversation=conversation, strategy="auto", note_tokens=note_tokens, max_tokens=8
    )
    return checked(aspen, reply)


def checked(aspen: Aspen, reply: Reply) -> Injection:
    """What was injected, once the reply was replayed."""
    assert reply.injection is not None
    assert reply.trace_id is not None
    assert aspen.replay(reply.trace_id).verified
    assert aspen.trace(reply.trace_id).injection == reply.injection
    assert reply.injection.asked == "auto"
    assert 0 <= reply.injection.figures.get("familiarity", 0.0) <= 1
    return reply.injection


def test_nothing_familiar_no_memory(aspen: Aspen) -> None:
    facts(aspen)
    chosen = asked(aspen, UNHEARD)
    assert (chosen.strategy, chosen.reason, chosen.memory_ids) == ("none", "nothing is familiar", ())


def test_no_tokens_no_memory(aspen: Aspen) -> None:
    facts(aspen)
    chosen = asked(aspen, WHERE, note_tokens=0)
    assert (chosen.strategy, chosen.reason) == ("none", "no tokens are left to memories")


def test_a_question_asked_before_is_gone_on_from(aspen: Aspen) -> None:
    before = aspen.chat(WHERE, conversation="before", memory=False, max_tokens=8)
    chosen = asked(aspen, f"{WHERE} Tell me.")
    assert chosen.strategy == "note"
    chosen = asked(aspen, WHERE, conversation="later")
    assert chosen.strategy == "seed_replay"
    assert chosen.reason.startswith("this was asked before; goes on from")
    assert chosen.trace_ids == (before.trace_id,)


def test_a_long_answer_is_not_run_again(open_aspen: Open, location: str) -> None:
    aspen = open_aspen(location, model=Telling("She moved to Lisbon. " * 30))
    aspen.chat(WHERE, conversation="before", memory=False, max_tokens=600)
    assert asked(aspen, WHERE).strategy == "note"


def test_a_question_how_takes_a_pattern(aspen: Aspen) -> None:
    said(aspen, clocks())
    assert asked(aspen, HOW, conversation="without").strategy == "note"
    aspen.summarise()
    chosen = asked(aspen, f"{HOW} Please.", conversation="with")
    assert chosen.strategy == "summary"
    assert chosen.reason == "it asks how, and a pattern resonates"
    no_how = "Was the flaky test of the billing service fixed?"
    assert asked(aspen, no_how, note_tokens=500).strategy == "note"


def test_otherwise_a_note(aspen: Aspen) -> None:
    facts(aspen)
    chosen = asked(aspen, WHERE)
    assert (chosen.strategy, chosen.reason) == ("note", "a few lines tell it")
    assert len(chosen.memory_ids) > 0


@pytest.mark.parametrize("has_kv", [True, False])
def test_much_to_tell_goes_into_the_cache_where_it_can(
    open_aspen: Open, location: str, has_kv: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["note", "kv"] if has_kv else ["note"]
    auto = Auto({name: MemoryNote() for name in names})  # a name is all that the choice goes by
    monkeypatch.setitem(STRATEGIES, StrategyName.AUTO, auto)
    aspen = open_aspen(location)
    said(aspen, [f"My sister moved to the town of {'very ' * 120} far away."])
    chosen = asked(aspen, WHERE)
    assert chosen.reason.startswith("there is much to tell" if has_kv else "a few lines")
    assert asked(aspen, WHERE, note_tokens=500, conversation="short").reason.startswith("a few lines")
