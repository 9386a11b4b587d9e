"""Replay with the bundled model: a fresh process comes to the same bits, and whatever was changed is named."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from aspen.activation_db import decode_trace, encode_trace
from aspen.activation_logger import build_trace, name_spans, record
from aspen.config import Config
from aspen.errors import MissingDependency
from aspen.models import RUNTIMES, LanguageModel, bundled, generate, load_model
from aspen.seed_manager import Verdict, replay
from aspen.types import Message, Role, SamplerSettings, Segment, Trace, TraceLevel

pytestmark = pytest.mark.slow

CACHE = Config.from_environment().cache_dir
SYSTEM = "Notes about the user:\n- The user said: My sister Mara moved to Lisbon in March."
SAMPLER = SamplerSettings(temperature=1.0, top_p=0.95, repetition_penalty=1.1)

#: Replays a trace file in a process of its own; prints verdict and explanation as JSON.
SCRIPT = """
import json, sys
from pathlib import Path
from aspen.activation_db import decode_trace
from aspen.models import load_model
from aspen.seed_manager import replay

trace = decode_trace(Path(sys.argv[1]).read_bytes())
model = load_model(
    "bundled", cache_dir=Path(sys.argv[2]), runtime=trace.fingerprint.runtime, device="cpu", threads=int(sys.argv[3])
)
report = replay(model, trace)
print(json.dumps([report.verdict, report.explain()]))
"""


@pytest.fixture(scope="module", params=RUNTIMES)
def model(request: pytest.FixtureRequest) -> Any:
    try:
        bundled.find_source()
    except MissingDependency as error:
        pytest.skip(str(error))
    threads = torch.get_num_threads()
    yield load_model("bundled", cache_dir=CACHE, runtime=request.param, device="cpu", threads=1)
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trace(model: LanguageModel) -> Trace:
    """A conversation of the bundled model, sampled at a high temperature, fresh from its recording."""
    chat = model.apply_chat_template(
        [Message(Role.SYSTEM, SYSTEM), Message(Role.USER, "Tell me a story about my sister.")]
    )
    with record(model) as recording:
        generation = generate(
            model,
            session=model.start_session(),
            prompt_ids=chat.token_ids,
            settings=SAMPLER,
            seed=11,
            max_tokens=30,
        )
    system = chat.spans[0]
    return build_trace(
        recording,
        generation=generation,
        prompt=chat.text,
        segments=name_spans(chat.spans, note=Segment("note", system.start + 5, system.stop)),
        seed=11,
        sampler=SAMPLER,
        max_tokens=30,
        fingerprint=model.fingerprint,
        level=TraceLevel.FP16,
    )


def replayed_elsewhere(trace: Trace, folder: Path, *, level: TraceLevel, threads: int) -> tuple[str, str]:
    path = folder / "trace"
    path.write_bytes(encode_trace(trace, level=level))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path), str(CACHE), str(threads)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    verdict, explanation = json.loads(done.stdout.splitlines()[-1])
    return verdict, explanation


@pytest.mark.parametrize("level", TraceLevel)
def test_a_fresh_process_comes_to_the_same_bits(trace: Trace, tmp_path: Path, level: TraceLevel) -> None:
    verdict, explanation = replayed_elsewhere(trace, tmp_path, level=level, threads=1)
    assert (verdict, explanation) == (
        "verified",
        "verified: with seed 11, the same tokens and bit-equal activations came out.",
    )


def test_another_thread_count_is_named_and_not_verified(trace: Trace, tmp_path: Path) -> None:
    verdict, explanation = replayed_elsewhere(trace, tmp_path, level=TraceLevel.POOLED, threads=2)
    assert verdict == "fingerprint_differs"
    assert explanation == (
        "fingerprint differs: threads was 1, is 2 (set ASPEN_THREADS=1 to replay it); it was not run again."
    )


def test_another_seed_is_named_by_its_first_token(model: LanguageModel, trace: Trace) -> None:
    report = replay(model, replace(trace, seed=12))
    assert report.verdict is Verdict.TOKENS_DIFFER
    assert report.tokens is not None
    assert report.tokens.position >= trace.prompt_length
    assert report.tokens.recorded_id == trace.token_ids[report.tokens.position]


def test_a_changed_token_is_named(model: LanguageModel, trace: Trace) -> None:
    ids = trace.token_ids.copy()
    at = trace.prompt_length + 3
    ids[at] += 1
    report = replay(model, replace(trace, token_ids=ids))
    assert report.verdict is Verdict.TOKENS_DIFFER
    assert report.tokens is not None
    assert (report.tokens.position, report.tokens.now_id) == (at, trace.token_ids[at])


def test_a_changed_bit_of_an_activation_is_named(model: LanguageModel, trace: Trace) -> None:
    kept = decode_trace(encode_trace(trace, level=TraceLevel.INT8))
    digests = trace.state_digests.copy()
    digests[17, 9] ^= 1  # as it would be, had one bit of layer 17, token 9 been another
    report = replay(model, replace(kept, digest="0" * 64, state_digests=digests))
    assert report.verdict is Verdict.ACTIVATIONS_DIFFER
    assert report.activations is not None
    assert (report.activations.token, report.activations.layer) == (9, 17)

    assert kept.hidden_states is not None
    altered = kept.hidden_states.copy()
    altered.view(np.uint32)[4, 8, 100] ^= 1
    report = replay(model, replace(kept, hidden_states=altered))
    assert report.activations is not None
    assert (report.activations.token, report.activations.layer, report.activations.stored) == (8, 4, True)


def test_attention_of_every_layer_is_summarised(trace: Trace) -> None:
    fed = len(trace.token_ids) - 1 - trace.prompt_length
    assert trace.attention.segments == ("sink", "template", "system", "note", "user", "reply")
    assert trace.attention.mass.shape == (30, 9, fed, 6)
    np.testing.assert_allclose(trace.attention.mass.astype(float).sum(axis=-1), 1, atol=2e-3)
    # This model rests its attention on the first token, as such models do (Xiao et al. 2024).
    assert trace.attention.mass[..., 0].astype(float).mean() > 0.1
