"""Whatever of a fingerprint is changed on purpose is caught by its name, and nothing is run."""

from dataclasses import fields, replace
from typing import Any

import pytest
from tests.fake_traces import traced
from tests.tiny_models import tiny_model

from aspen.activation_db import decode_trace, encode_trace
from aspen.models import LanguageModel
from aspen.seed_manager import Verdict, replay
from aspen.testing.fake_model import FakeModel
from aspen.types import Fingerprint, Trace, TraceLevel

MODELS: dict[str, LanguageModel] = {"fake": FakeModel(), "transformer": tiny_model()}
TRACES = {
    name: decode_trace(encode_trace(traced(model), level=TraceLevel.POOLED)) for name, model in MODELS.items()
}
PLAIN = [field.name for field in fields(Fingerprint) if field.name != "libraries"]
LIBRARIES = [(name, library) for name, trace in TRACES.items() for library in trace.fingerprint.libraries]


def caught(name: str, was: Fingerprint) -> list[str]:
    trace: Trace = replace(TRACES[name], fingerprint=was)
    report = replay(MODELS[name], decode_trace(encode_trace(trace)))
    assert report.verdict is Verdict.FINGERPRINT_DIFFERS
    assert not report.verified
    assert report.reply is None
    return [f"{one.field} was {one.recorded}, is {one.now}" for one in report.fingerprint]


def test_all_that_a_fingerprint_has_is_tried() -> None:
    assert set(PLAIN) == {
        "runtime", "architecture", "weights", "tokenizer", "chat_template", "dtype", "quantisation", "attention",
        "device", "threads",
    }  # fmt: skip
    assert {library for name, library in LIBRARIES if name == "transformer"} >= {
        "torch",
        "transformers",
        "numpy",
    }
    assert all(replay(MODELS[name], TRACES[name]).verified for name in MODELS)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("field", PLAIN)
def test_a_changed_field_is_named_with_both_values(name: str, field: str) -> None:
    fingerprint = TRACES[name].fingerprint
    now = getattr(fingerprint, field)
    was = now + 1 if isinstance(now, int) else f"another {field}"
    changed: dict[str, Any] = {field: was}
    assert caught(name, replace(fingerprint, **changed)) == [f"{field} was {was}, is {now}"]


@pytest.mark.parametrize(("name", "library"), LIBRARIES)
def test_a_changed_library_is_named_with_both_versions(name: str, library: str) -> None:
    fingerprint = TRACES[name].fingerprint
    libraries = dict(fingerprint.libraries)
    now = libraries[library]
    older = replace(fingerprint, libraries={**libraries, library: "0.0.1"})
    assert caught(name, older) == [f"libraries.{library} was 0.0.1, is {now}"]
    del libraries[library]
    assert caught(name, replace(fingerprint, libraries=libraries)) == [
        f"libraries.{library} was absent, is {now}"
    ]


def test_a_library_that_is_gone_is_named() -> None:
    fingerprint = TRACES["fake"].fingerprint
    more = replace(fingerprint, libraries={**fingerprint.libraries, "flash_attn": "2.0"})
    assert caught("fake", more) == ["libraries.flash_attn was 2.0, is absent"]


def test_all_changes_at_once_are_all_named() -> None:
    fingerprint = TRACES["fake"].fingerprint
    changed = {field: "another" for field in PLAIN if field != "threads"} | {
        "threads": 9,
        "libraries": {"numpy": "1"},
    }
    named = [finding.partition(" ")[0] for finding in caught("fake", replace(fingerprint, **changed))]  # type: ignore[arg-type]
    assert set(named) == {*PLAIN, "libraries.numpy"}
