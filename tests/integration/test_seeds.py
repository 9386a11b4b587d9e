"""Edits, samples and whole conversations with the bundled model: what holds for random weights holds for real ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from aspen import Aspen, SamplerSettings
from aspen.config import Config
from aspen.errors import MissingDependency
from aspen.models import bundled, load_model
from aspen.seed_manager import heat_map
from aspen.types import TraceLevel

pytestmark = pytest.mark.slow

CACHE = Config.from_environment().cache_dir
QUESTION = "Where does my sister live?"


@pytest.fixture(scope="module")
def aspen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aspen]:
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    threads = torch.get_num_threads()
    model = load_model("bundled", cache_dir=CACHE, device="cpu", threads=1)
    path = tmp_path_factory.mktemp("seeds") / "store.db"
    with Aspen.open(path, model=model, config=Config(cache_dir=CACHE, store=path)) as aspen:
        aspen.remember("My sister Mara moved to Lisbon in March.", speaker="user")
        yield aspen
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trace_id(aspen: Aspen) -> str:
    reply = aspen.chat(QUESTION, conversation="family", seed=7, max_tokens=16)
    assert "Lisbon" in reply.text
    return str(reply.trace_id)


def test_the_same_words_are_the_same_tokens_as_the_template_makes_of_them(
    aspen: Aspen, trace_id: str
) -> None:
    difference = aspen.what_if(trace_id, message=QUESTION)
    assert difference.faithful
    assert difference.first is None
    assert difference.before.token_ids.tolist() == difference.after.token_ids.tolist()


def test_another_memory_changes_the_answer_and_shows_where(aspen: Aspen, trace_id: str) -> None:
    difference = aspen.what_if(trace_id, note="The user said: My sister Mara moved to Oslo in March.")
    assert "Lisbon" in difference.before.reply
    assert "Lisbon" not in difference.after.reply
    assert difference.first is not None
    assert difference.tokens[difference.first].in_prompt
    found = difference.divergence
    assert found.rounding < 1e-3 < found.distances[:, 0].max()
    assert found.by_layer[0] == 0 < found.by_layer[15]
    drawn = heat_map(found)
    assert drawn is not None
    assert len(drawn.rows) == 16


def test_without_the_note_the_model_does_not_know(aspen: Aspen, trace_id: str) -> None:
    assert "Lisbon" not in aspen.what_if(trace_id, note="").after.reply


def test_samples_share_one_prefill_and_each_replays_alone(aspen: Aspen) -> None:
    sampled = aspen.sample(
        "Tell me about Mara.",
        seeds=4,
        conversation="samples",
        sampler=SamplerSettings(temperature=1.0),
        max_tokens=16,
        level=TraceLevel.INT8,
    )
    assert len({one.text for one in sampled.candidates}) > 1
    for one in sampled.candidates:
        report = aspen.replay(str(one.trace_id))
        assert report.verified, report.explain()
        assert report.reply == one.text
    assert len(aspen.alternatives(str(sampled.reply.trace_id))) == 3


def test_a_whole_conversation_is_verified(aspen: Aspen, trace_id: str) -> None:
    aspen.chat("Since when?", conversation="family", seed=8, max_tokens=12)
    reports = aspen.replay_conversation("family")
    assert [report.verified for report in reports] == [True, True]
    assert reports[0].trace_id == trace_id
