"""Seed replay and patterns with the bundled model: states go on bit for bit, and clusters share no words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from aspen import Aspen, MemoryItem, SamplerSettings
from aspen.config import Config
from aspen.errors import MissingDependency
from aspen.models import LanguageModel, bundled, load_model
from aspen.resonance_search import query_terms
from aspen.types import Message, Pass, Role

pytestmark = pytest.mark.slow

CACHE = Config.from_environment().cache_dir
HOT = SamplerSettings(temperature=1.0, top_p=0.95)
TOPICS = {
    "flaky": (
        "Intermittent CI failures vanished once we froze time in the specs.",
        "Our nondeterministic suite became stable after mocking datetime.now.",
        "My unit test breaks at midnight; injecting a fake timer cured it.",
    ),
    "leak": (
        "RAM usage grew without end; releasing unused connections solved it.",
        "Heap consumption kept climbing; disposing old sessions stopped that.",
        "The server leaked memory until I closed the database cursors.",
    ),
    "headache": (
        "When I get a migraine, lying in a dark room helps me.",
        "My head was pounding; turning off the lights and resting made it go away.",
        "Temple pain again; dimming the lamps and sleeping relieved me.",
    ),
}
OTHERS = (
    "My sister Mara moved to Lisbon last year.",
    "I am allergic to peanuts, so no satay for me.",
    "The boiler makes a noise when it rains.",
    "We booked flights to Oslo for March.",
    "Dad plays chess on Sundays in the park.",
    "The neighbours painted their fence blue.",
)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    return load_model("bundled", cache_dir=CACHE, device="cpu", threads=1)


@pytest.fixture
def aspen(model: LanguageModel, tmp_path: Path) -> Iterator[Aspen]:
    with Aspen.open(tmp_path / "store.db", model=model) as aspen:
        yield aspen


@pytest.fixture
def unrounded(tmp_path: Path) -> Iterator[Aspen]:
    """With all digits of the weights: of texts that share no word, a model this small tells topics apart by a hair."""
    model = load_model("bundled", cache_dir=CACHE, runtime="transformers", device="cpu", threads=1)
    with Aspen.open(tmp_path / "store.db", model=model) as aspen:
        yield aspen


@pytest.mark.parametrize("max_tokens", [6, 60])  # cut off, and ended by the model
def test_a_state_goes_on_bit_for_bit(aspen: Aspen, model: LanguageModel, max_tokens: int) -> None:
    aspen.remember("We pinned the clock, and the billing test was no longer flaky.", speaker="Ann")
    question = "How did we fix the flaky billing test? Answer in one short sentence."
    old = aspen.chat(question, conversation="old", seed=5, max_tokens=max_tokens, sampler=HOT)
    assert old.trace_id is not None
    message = "How did we fix the flaky billing test? And was it hard?"
    reply = aspen.chat(message, conversation="new", strategy="seed_replay", seed=6, max_tokens=8, sampler=HOT)
    assert reply.injection is not None
    assert reply.injection.trace_ids == (old.trace_id,), reply.injection.reason
    assert reply.trace_id is not None
    was, now = aspen.trace(old.trace_id), aspen.trace(reply.trace_id)
    fed = len(was.token_ids) - 1
    np.testing.assert_array_equal(now.token_ids[: fed + 1], was.token_ids)
    np.testing.assert_array_equal(now.state_digests[:, :fed], was.state_digests)
    assert now.passes[:-1] == (*was.passes, *[Pass(1)] * (fed - was.prompt_length))
    # What comes behind the reply is what the template writes there.
    turns = [Message(Role.USER, "Q"), Message(Role.ASSISTANT, "A"), Message(Role.USER, message)]
    rendered = model.apply_chat_template(turns)
    behind = rendered.token_ids[rendered.spans[-2].stop :]
    np.testing.assert_array_equal(now.token_ids[: now.prompt_length][-len(behind) :], behind)
    for trace_id in (reply.trace_id, old.trace_id):
        report = aspen.replay(trace_id)
        assert report.verified, report.explain()
    again = aspen.chat(
        f"{message} Tell me.", conversation="last", strategy="seed_replay", max_tokens=4, sampler=HOT
    )
    assert again.trace_id is not None
    assert again.injection is not None
    assert again.injection.strategy == "seed_replay", again.injection.reason
    assert aspen.replay(again.trace_id).verified


def test_patterns_are_found_by_activation_where_no_words_are_shared(unrounded: Aspen) -> None:
    aspen = unrounded
    for texts in TOPICS.values():
        for one, other in combinations(texts, 2):
            assert len(set(query_terms(one)) & set(query_terms(other))) <= 1, (one, other)
    start = datetime(2026, 5, 4, tzinfo=UTC)
    weeks = list(zip(*TOPICS.values(), strict=True))
    for week, said in enumerate(weeks):
        when = start + timedelta(weeks=week)
        items = [*said, *OTHERS[2 * week : 2 * week + 2]]
        aspen.remember_many([MemoryItem(text, "user", when, f"week {week}") for text in items])
    summaries = aspen.summarise()
    found = {
        frozenset(memory.text for memory in aspen.repository.get(list(one.examples))) for one in summaries
    }
    assert found == {frozenset(texts) for texts in TOPICS.values()}
    assert [one.change.value for one in aspen.summarise()] == ["unchanged"] * 3
    reply = aspen.chat("Heap consumption grows, how do I stop that?", strategy="summary", max_tokens=4)
    assert reply.injection is not None
    assert reply.injection.strategy == "summary", reply.injection.reason
    assert reply.note is not None
    assert "Pattern seen 3 times, last on 18 May 2026" in reply.note.text
    assert reply.trace_id is not None
    assert aspen.replay(reply.trace_id).verified
