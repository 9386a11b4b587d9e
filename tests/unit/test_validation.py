from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspen.errors import InvalidInput
from aspen.validation import (
    MAX_NAME_LENGTH,
    MAX_SEED,
    MAX_TEXT_LENGTH,
    check_count,
    check_name,
    check_seed,
    check_text,
    check_time,
    first_unstorable,
    strip_unstorable,
)


@pytest.mark.parametrize(
    "text", ["a", "a\tb\r\nc", "Grüße, 日本 🙂", "e\u0301", "\u200d a", "a" * MAX_TEXT_LENGTH]
)
def test_text_that_can_be_stored_is_returned_as_it_is(text: str) -> None:
    assert check_text(text) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "must be a string, got NoneType"),
        (b"bytes", "must be a string, got bytes"),
        ("", "empty"),
        (" \n\t", "empty"),
        ("a" * (MAX_TEXT_LENGTH + 1), "100,001 characters"),
        ("a\0b", r"U\+0000 at character 1"),
        ("\x1b[31mred", r"U\+001B at character 0"),
        ("a\x7f", r"U\+007F at character 1"),
        ("a\x85b", r"U\+0085 at character 1"),
        ("ab\ud800", r"U\+D800 at character 2"),
    ],
)
def test_text_that_would_do_harm_is_refused_with_the_reason(text: object, why: str) -> None:
    with pytest.raises(InvalidInput, match=f"^message.*{why}"):
        check_text(text, what="message")


@given(st.text())
def test_what_is_stripped_can_be_stored_and_nothing_else_is_lost(text: str) -> None:
    stripped = strip_unstorable(text)
    assert first_unstorable(stripped) is None
    assert stripped == "".join(character for character in text if first_unstorable(character) is None)


@given(st.text(st.characters(exclude_categories=()), min_size=1))
def test_checked_text_survives_utf8_and_has_no_nul(text: str) -> None:
    try:
        checked = check_text(text)
    except InvalidInput:
        return
    assert checked.encode().decode() == text
    assert "\0" not in checked


@pytest.mark.parametrize("name", [None, "Ann", "chat.jsonl:12", "日本", "a" * MAX_NAME_LENGTH])
def test_names_are_one_line_or_none(name: str | None) -> None:
    assert check_name(name, what="speaker") == name


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\tb", "a\rb", "a\0b", 5, "a" * (MAX_NAME_LENGTH + 1)])
def test_bad_names_are_refused_by_what_they_name(name: object) -> None:
    with pytest.raises(InvalidInput, match=r"^speaker"):
        check_name(name, what="speaker")


def test_times_are_taken_to_utc_and_those_without_a_zone_as_utc() -> None:
    noon = datetime(2026, 5, 8, 12, 0, 0, 123456)
    berlin = timezone(timedelta(hours=2))
    assert check_time(None) is None
    assert check_time(noon) == noon.replace(tzinfo=UTC)
    converted = check_time(noon.replace(tzinfo=berlin))
    assert converted == noon.replace(tzinfo=UTC) - timedelta(hours=2)
    assert converted is not None
    assert converted.tzinfo is UTC


@pytest.mark.parametrize(
    "time",
    ["2026-05-08", 0, datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))),
     datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5)))],
)  # fmt: skip
def test_what_is_no_time_that_utc_knows_is_refused(time: object) -> None:
    with pytest.raises(InvalidInput, match=r"^said_at"):
        check_time(time)


@pytest.mark.parametrize("seed", [0, 1, MAX_SEED])
def test_seeds_are_integers_that_json_keeps(seed: int) -> None:
    assert check_seed(seed) == seed
    assert int(float(seed)) == seed


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1, 1.0, True, "1", None])
def test_other_seeds_are_refused(seed: object) -> None:
    with pytest.raises(InvalidInput, match=r"^seed"):
        check_seed(seed)


@pytest.mark.parametrize("count", [0, 11, True, 1.0, "5", None])
def test_counts_lie_in_their_range(count: object) -> None:
    assert check_count(1, what="limit", maximum=10) == 1
    assert check_count(10, what="limit", maximum=10) == 10
    with pytest.raises(InvalidInput, match=r"^limit must be an integer in \[1, 10\]"):
        check_count(count, what="limit", maximum=10)
