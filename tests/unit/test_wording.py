from __future__ import annotations

import pytest

from aspen.wording import counted, size_in_words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (98_362_432, "98.4 MB"),
        (4_431_000_000, "4.4 GB"),
        (10**13, "10,000.0 GB"),
    ],
)
def test_bytes_in_words(size: int, words: str) -> None:
    assert size_in_words(size) == words


@pytest.mark.parametrize(("number", "words"), [(0, "0 traces"), (1, "1 trace"), (2000, "2,000 traces")])
def test_numbers_of_things(number: int, words: str) -> None:
    assert counted(number, "trace", "traces") == words
