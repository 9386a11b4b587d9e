"""Stored keys and values with the bundled model: the fact is found, the reply replays, nothing is changed by use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch

from aspen import Aspen, Config, MemoryItem, SamplerSettings
from aspen.errors import MissingDependency
from aspen.memory_injector import kv
from aspen.models import RUNTIMES, bundled, load_model
from aspen.turns import Reply
from aspen.types import Injection

pytestmark = pytest.mark.slow

OPTIONS: dict[str, Any] = {"seed": 1, "sampler": SamplerSettings(temperature=0), "max_tokens": 24}
QUESTION = "Where does my sister live?"
FACTS = (
    "My sister Mara moved to Lisbon in March.",
    "The flaky test was fixed by pinning the clock.",
    "Our cat is called Biscuit.",
)


@pytest.fixture(scope="module", params=RUNTIMES)
def model(request: pytest.FixtureRequest) -> Any:
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    threads = torch.get_num_threads()
    cache = Config.from_environment().cache_dir
    yield load_model("bundled", cache_dir=cache, runtime=request.param, device="cpu", threads=1)
    torch.set_num_threads(threads)


@pytest.fixture
def aspen(model: Any, tmp_path: Path) -> Iterator[Aspen]:
    config = replace(Config.from_environment(), kv_check=1)
    with Aspen.open(tmp_path / "store.db", model=model, config=config) as opened:
        said_at = datetime(2026, 5, 8, tzinfo=UTC)
        opened.remember_many([MemoryItem(fact, speaker="user", said_at=said_at) for fact in FACTS])
        yield opened


def ask(aspen: Aspen, *, conversation: str = "default") -> tuple[Reply, Injection]:
    """A reply that was given with the strategy kv, and is found to replay."""
    reply = aspen.chat(QUESTION, **OPTIONS, conversation=conversation, strategy="kv")
    assert reply.trace_id is not None
    assert reply.injection is not None
    report = aspen.replay(reply.trace_id)
    assert report.verified, report.explain()
    return reply, reply.injection


def test_the_fact_is_found_in_the_cache_and_the_reply_replays(aspen: Aspen) -> None:
    injections = []
    for conversation in "ab":
        reply, injection = ask(aspen, conversation=conversation)
        assert injection.strategy == "kv", injection.reason
        assert 0 <= injection.figures["kl"] <= kv.MOST_DIVERGENCE
        assert "Lisbon" in reply.text
        injections.append(injection)
    assert [each.figures["fragments_made"] > 0 for each in injections] == [True, False]
    assert aspen.repository.stats().bytes["fragments"] > 0


def test_a_check_that_fails_gives_the_very_reply_of_the_note(
    aspen: Aspen, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = aspen.chat(QUESTION, **OPTIONS, strategy="note", remember=False)
    monkeypatch.setattr(kv, "MOST_DIVERGENCE", -1.0)
    reply, injection = ask(aspen)
    assert (injection.strategy, injection.asked) == ("note", "kv")
    assert "nats" in injection.reason
    assert (reply.note, reply.text) == (expected.note, expected.text)
