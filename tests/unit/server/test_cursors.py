import pytest
from hypothesis import given
from hypothesis import strategies as st

from aspen.errors import InvalidInput
from aspen.server.cursors import cursor_of, place_of


@given(st.integers(), st.text(st.characters(codec="utf-8")))
def test_a_cursor_gives_its_place_back(number: int, text: str) -> None:
    assert place_of(cursor_of(number, text), int, str) == [number, text]


@given(st.text(max_size=40))
def test_any_other_text_is_refused(text: str) -> None:
    try:
        place_of(text, int)
    except InvalidInput:
        return
    assert isinstance(place_of(text, int)[0], int)


def test_the_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        place_of(cursor_of("2026-05-02", "t_1"), int)
