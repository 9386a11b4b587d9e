"""What is said of a store whose keys are not those of the model in use, and what to do about it."""

from __future__ import annotations

import pytest

from aspen.engine.mismatch import mismatch_of
from aspen.repository import KeyStamp

KEYS = "1:0,9,15/3f0c91aa/no heads"
STORED = KeyStamp("weights-tokens", "One", KEYS)


@pytest.mark.parametrize(
    ("present", "said", "instead"),
    [
        (
            KeyStamp("others-tokens", "Two", f"{KEYS}/llama.cpp"),
            "made by One in transformers, the model in use is Two in llama.cpp.",
            ", or open the store with the model that made them, One in transformers.",
        ),
        (
            KeyStamp("others-tokens", "One", KEYS),
            "made by One in transformers (model_id weights-tokens), "
            "the model in use is One in transformers (model_id others-tokens).",
            ", or open the store with the model that made them, One in transformers.",
        ),
        (
            KeyStamp("weights-cut", "one.gguf", f"{KEYS}/llama.cpp"),
            "made by One in transformers, the model in use is the same weights in llama.cpp.",
            ", or open the store with the runtime that made them (`ASPEN_RUNTIME=transformers`).",
        ),
        (  # no other model or runtime makes those keys
            KeyStamp("weights-tokens", "One", "1:0,9,15/77ab01cd/no heads"),
            f"made by One in transformers (key_version {KEYS}), "
            "the model in use is One in transformers (key_version 1:0,9,15/77ab01cd/no heads).",
            ".",
        ),
    ],
)
def test_it_names_what_differs_and_what_can_be_opened_instead(
    present: KeyStamp, said: str, instead: str
) -> None:
    error = mismatch_of(STORED, present, location="k.db", rekey="aspen rekey --store k.db")
    assert error.message == f"The store's keys were {said}"
    assert error.hint == f"Make the keys anew (`aspen rekey --store k.db`){instead}"
    assert error.details == {"stored": "weights-tokens", "current": present.model_id, "location": "k.db"}


def test_a_stamp_that_does_not_say_its_runtime_is_told_by_name_alone() -> None:
    error = mismatch_of(KeyStamp("x-y", "unknown", "7"), STORED, location="k.db", rekey="Aspen.rekey")
    assert "made by unknown, the model in use is One in transformers" in error.message
