"""Maps of a trace of the bundled model: they show what they are for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from aspen import Aspen
from aspen.config import Config
from aspen.errors import MissingDependency
from aspen.memory_viewer import MEASURES, attention_map, png, trace_map
from aspen.models import bundled, load_model

pytestmark = pytest.mark.slow

CACHE = Config.from_environment().cache_dir
PROMPT = "Who lives in Portugal?"


@pytest.fixture(scope="module")
def aspen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aspen]:
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    threads = torch.get_num_threads()
    model = load_model("bundled", cache_dir=CACHE, device="cpu", threads=1)
    path = tmp_path_factory.mktemp("maps") / "store.db"
    with Aspen.open(path, model=model, config=Config(cache_dir=CACHE, store=path)) as aspen:
        aspen.remember("My sister Mara moved to Lisbon in March.", speaker="user")
        yield aspen
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trace_id(aspen: Aspen) -> str:
    reply = aspen.chat("Where does my sister live?", conversation="family", seed=7, max_tokens=16)
    assert "Lisbon" in reply.text
    return str(reply.trace_id)


def test_resonance_stands_out_where_the_trace_speaks_of_it_and_nowhere_else(
    aspen: Aspen, trace_id: str
) -> None:
    found = trace_map(aspen, trace_id, measure="resonance", prompt=PROMPT)
    middle = found.values[10:21].mean(axis=0)
    named = [n for n, token in enumerate(found.tokens) if token == " Lisbon"]
    assert named
    assert min(middle[named]) > 0.4
    assert np.nanmedian(middle) < 0.15
    assert np.nanmean(found.values) < 0.3  # raw cosines have a mean of 0.66


def test_what_the_last_layer_expects_the_early_ones_do_not(aspen: Aspen, trace_id: str) -> None:
    found = trace_map(aspen, trace_id, measure="surprise")
    by_layer = np.nanmedian(found.values, axis=1)
    assert found.layers[-1] == 30
    assert by_layer[-1] < by_layer[0] / 2
    start = next(segment.start for segment in found.segments if segment.name == "reply")
    assert np.median(found.values[-1, start:]) < 3  # bits: at a low temperature it says what it expects


def test_a_retrieval_head_looks_from_the_reply_at_the_memory(aspen: Aspen, trace_id: str) -> None:
    found = attention_map(aspen, trace_id, layer=15, head=6)
    first, *_, last = [n for n, token in enumerate(found.tokens) if token == " Lisbon"]
    assert found.values[last, first] > 0.3


@pytest.mark.parametrize("measure", MEASURES)
def test_each_map_is_drawn(aspen: Aspen, trace_id: str, measure: str) -> None:
    pytest.importorskip("matplotlib")
    prompt = PROMPT if measure == "resonance" else None
    assert png(trace_map(aspen, trace_id, measure=measure, prompt=prompt)).startswith(b"\x89PNG")
