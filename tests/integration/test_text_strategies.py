"""Scaffold, two passes and reflection with the bundled model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from aspen import Aspen, MemoryItem, SamplerSettings
from aspen.config import Config
from aspen.errors import MissingDependency
from aspen.memory_injector import Strategy, TwoPass
from aspen.memory_rephraser import SUPPORT, Judge
from aspen.models import bundled, load_model
from aspen.turns import Reply

pytestmark = pytest.mark.slow

FACTS = (
    "My sister Mara moved to Lisbon last year because of her work at the aquarium.",
    "The flaky login test was fixed by pinning the clock.",
    "Our cat is called Biscuit and sleeps on the boiler.",
    "The boiler makes a noise when it rains.",
)
WHERE = "Where does my sister live?"
GREEDY = SamplerSettings(temperature=0)


@pytest.fixture(scope="module")
def aspen() -> Iterator[Aspen]:
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    threads = torch.get_num_threads()
    model = load_model("bundled", cache_dir=Config.from_environment().cache_dir, device="cpu", threads=1)
    with Aspen.open(":memory:", model=model) as opened:
        opened.remember_many([MemoryItem(fact, "user") for fact in FACTS])
        yield opened
    torch.set_num_threads(threads)


def asked(aspen: Aspen, message: str, strategy: Strategy | str) -> Reply:
    """The reply to a message, which is forgotten again once it was replayed."""
    reply = aspen.chat(message, strategy=strategy, sampler=GREEDY, max_tokens=24)
    assert reply.trace_id is not None
    report = aspen.replay(reply.trace_id)
    assert report.verified, report.explain()
    aspen.forget(*(memory.id for memory in reply.memories))
    assert reply.injection is not None
    return reply


@pytest.mark.parametrize("draft_tokens", [0, 4])
def test_two_passes_take_memories_for_what_they_answer_and_none_for_what_they_do_not(
    aspen: Aspen, draft_tokens: int
) -> None:
    strategy = TwoPass(draft_tokens=draft_tokens)
    known = asked(aspen, WHERE, strategy)
    assert known.injection is not None
    assert known.injection.figures["need"] > 0.5
    assert known.injection.figures["kept_tokens"] > 0
    assert "Lisbon" in known.text
    unknown = asked(aspen, "What is the capital of France?", strategy)
    assert unknown.injection is not None
    assert unknown.injection.figures["need"] < 0.5
    assert unknown.note is None


def test_a_reflection_is_what_the_memory_says(aspen: Aspen) -> None:
    reply = asked(aspen, WHERE, "reflection")
    assert reply.injection is not None
    assert reply.injection.strategy == "reflection", reply.injection.reason
    assert reply.note is not None
    assert "Lisbon" in reply.note.text
    assert "Lisbon" in reply.text


def test_a_scaffold_tells_what_worked(aspen: Aspen) -> None:
    question = "How do I stop the printer from jamming?"
    told = aspen.chat(question, conversation="old", memory=False, max_tokens=12, sampler=GREEDY)
    thanks = aspen.chat("Thanks, that worked.", conversation="old", memory=False, max_tokens=4)
    reply = asked(aspen, "The printer is jamming again, what can I do?", "scaffold")
    assert reply.note is not None
    assert "It worked" in reply.note.text
    aspen.forget(*(memory.id for memory in (*told.memories, *thanks.memories)))


def test_a_memory_supports_what_follows_from_it_more_than_what_does_not(aspen: Aspen) -> None:
    judge = Judge(aspen.model, [f'The user said: "{FACTS[0]}"'])
    follows, changed, foreign = (
        judge.support(sentence, source=0)
        for sentence in (
            "The user's sister Mara works at the aquarium in Lisbon.",
            "The user's brother Paul works at the bank in Madrid.",
            "The flaky login test was fixed by pinning the clock.",
        )
    )
    assert follows > SUPPORT > changed > foreign
