import re
from collections.abc import Iterator

import pytest

from aspen import errors
from aspen.errors import AspenError, InvalidInput, NotFound, PromptTooLong


def tree(root: type[AspenError], depth: int = 0) -> Iterator[tuple[int, str]]:
    """Depth and name of every class, parents first."""
    yield depth, root.__name__
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child, depth + 1)


def drawing() -> list[tuple[int, str]]:
    assert errors.__doc__ is not None
    lines = re.findall(r"^    ([│├└─ ]*)([A-Z]\w+)(?:  .*)?$", errors.__doc__, flags=re.MULTILINE)
    return [(len(branch) // 4, name) for branch, name in lines]


def every_error() -> list[type[AspenError]]:
    return [getattr(errors, name) for _, name in tree(AspenError)]


def test_the_drawing_shows_every_error_in_its_place() -> None:
    assert drawing() == list(tree(AspenError))
    assert len(drawing()) > 10


@pytest.mark.parametrize("error", every_error())
def test_every_error_has_an_exit_code_and_says_what_it_is(error: type[AspenError]) -> None:
    assert 1 <= error.exit_code <= 125
    assert error.__doc__


def test_an_error_reads_as_its_message_and_its_hint() -> None:
    error = NotFound("The store has no memory 'm_1'.", hint="`aspen list` shows them.", id="m_1")
    assert str(error) == "The store has no memory 'm_1'. `aspen list` shows them."
    assert str(NotFound("No memory.")) == "No memory."


def test_diagnostics_are_the_facts_as_data() -> None:
    assert PromptTooLong("Too long.", hint="Shorten it.", tokens=5000, limit=4096).diagnostics() == {
        "error": "PromptTooLong",
        "message": "Too long.",
        "hint": "Shorten it.",
        "details": {"tokens": 5000, "limit": 4096},
    }


def test_branches_can_be_caught_whole() -> None:
    with pytest.raises(InvalidInput):
        raise PromptTooLong("Too long.")
    assert PromptTooLong.exit_code == InvalidInput.exit_code == 2
    assert len({error.exit_code for error in AspenError.__subclasses__()}) >= 5
