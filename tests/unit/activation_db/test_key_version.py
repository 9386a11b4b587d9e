from __future__ import annotations

import pytest

from aspen.activation_db import KeyVersion

WRITTEN = "1:0,9,15/3f0c91aa/2:9.2,12.4:77ab01cd"


def test_a_runtime_other_than_the_first_is_named() -> None:
    assert str(KeyVersion("1:0,9,15", "3f0c91aa", "2:9.2,12.4:77ab01cd")) == WRITTEN
    assert str(KeyVersion("1:0", "3f0c91aa", "no heads", "llama.cpp")) == "1:0/3f0c91aa/no heads/llama.cpp"


@pytest.mark.parametrize("text", [WRITTEN, f"{WRITTEN}/llama.cpp", "1:0/3f0c91aa/no heads"])
def test_what_was_written_is_read_again(text: str) -> None:
    assert str(KeyVersion.parse(text)) == text


@pytest.mark.parametrize("text", ["", "1", "1:0/3f0c91aa", "1:0//no heads", "a/b/c/d/e", "a/b/c/"])
def test_anything_else_is_no_key_version(text: str) -> None:
    assert KeyVersion.parse(text) is None
