"""How much a chat template may do: it is a program that came with a model file, from anywhere.

jinja2's sandbox keeps a template from what it must not touch, but not from running for ever or filling the memory.
Here everything that it makes is counted, and what a single step could make out of little is looked at before.
"""

from __future__ import annotations

import re
from collections.abc import ItemsView, KeysView, Mapping, Sequence, Sized, ValuesView
from time import thread_time
from typing import Any, TypeVar

from jinja2.exceptions import SecurityError

_T = TypeVar("_T")

MOST_SECONDS = 5.0  # of the thread's own processor time, so that a busy machine does not count
LONGEST_TEXT = 8_000_000  # characters
MOST_MADE = 64_000_000  # characters, of all that is made in one rendering
LARGEST_NUMBER = 100_000  # that a function or a filter is given; jinja2 has the same for range()
LONGEST_SOURCE = 100_000  # characters of a template; the longest that is known has 51,000
WIDEST_INDENT = 16  # of JSON, which writes it once for each level
_MOST_BITS = 10_000  # of a whole number
_CONTAINER = 64  # what a list or a mapping counts beside its values: about its bytes
_LONGEST_DATE = 1_000  # characters of a date's form
_UNSIZED = MOST_MADE // _CONTAINER  # values that a generator may hold

#: %9999d or {:>9999}; a width from the arguments; a form inside a form.
_WIDE = re.compile(r"\d{4}|%[^a-zA-Z%]*\*|\{[^{}]*\{")

_FILTERS = """
abs attr capitalize count d default dictsort e escape first float groupby indent int items join last length list lower
map max min reject rejectattr replace reverse round safe select selectattr sort string title tojson trim unique upper
"""
FILTERS = frozenset(_FILTERS.split())
"""What chat templates use, less what makes much out of little."""

_OF_TEXT = """
capitalize casefold count endswith find format index isalnum isalpha isascii isdecimal isdigit islower isnumeric isspace
istitle isupper join lower lstrip partition removeprefix removesuffix replace rfind rindex rpartition rsplit rstrip
split splitlines startswith strip swapcase title upper
"""
ATTRIBUTES: dict[type, frozenset[str]] = {
    str: frozenset(_OF_TEXT.split()),
    dict: frozenset(("copy", "get", "items", "keys", "values")),
    list: frozenset(("count", "index")),
    tuple: frozenset(("count", "index")),
    bytes: frozenset(),
    int: frozenset(),
    float: frozenset(),
}
"""Methods of plain values that a template may call."""


class Allowance:
    """What one rendering may still make, and until when. Raises SecurityError where it is spent."""

    def __init__(self) -> None:
        self._left = MOST_MADE
        self._until = thread_time() + MOST_SECONDS
        # By identity, with the value, so that no other takes its place. A value that lies twice in a list counts
        # twice: written out, it is there twice.
        self._weights: dict[int, tuple[object, int]] = {}

    def charge(self, value: _T) -> _T:
        """The value, counted as made."""
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            raise SecurityError(f"it makes a text of more than {LONGEST_TEXT} characters")
        self.spend(self._weigh(value))
        return value

    def spend(self, amount: int) -> None:
        """Count so many characters as made, and look at the clock."""
        self._left -= amount
        if self._left < 0:
            raise SecurityError(f"it makes more than {MOST_MADE} characters")
        if thread_time() > self._until:
            raise SecurityError(f"it runs for more than {MOST_SECONDS:.0f} seconds")

    def check_arguments(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
        """Whole numbers, which are widths and counts, stay below `LARGEST_NUMBER`."""
        for argument in (*arguments, *named.values()):
            if isinstance(argument, int) and abs(argument) > LARGEST_NUMBER:
                raise SecurityError(f"it hands a number beyond {LARGEST_NUMBER} to a function")

    def check_operator(self, operator: str, left: Any, right: Any) -> None:
        """Before left * right, left ** right and the like."""
        if operator == "%" and isinstance(left, str):
            self.check_format(left, right)
        elif isinstance(left, int) and isinstance(right, int):
            bits = {
                "*": left.bit_length() + right.bit_length(),
                "**": left.bit_length() * abs(right),
            }.get(operator, 0)
            if bits > _MOST_BITS:
                raise SecurityError(f"it makes a number of more than {_MOST_BITS} bits")
        elif operator == "*":
            times = left if isinstance(left, int) else right if isinstance(right, int) else 1
            self._check_product(times, self._weigh(left if times is right else right))

    def check_text_method(
        self, text: str, name: str, arguments: Sequence[Any], named: Mapping[str, Any]
    ) -> None:
        """Before the method `name` of a text is called."""
        if name == "replace" and len(arguments) > 1:
            self.check_replace(text, *arguments[:2])
        elif name == "join" and arguments:
            self.check_join(arguments[0], text)
        elif name.startswith("format"):
            self.check_format(text, (*arguments, *named.values()))

    def check_replace(self, text: Any, old: Any, new: Any) -> None:
        """Before a part of a text is replaced wherever it is."""
        places = _length(text) // max(1, _length(old)) + 1
        self._check_product(places, _length(new))

    def check_join(self, values: Any, separator: Any) -> None:
        """Before texts are joined."""
        self._check_product(len(values) if isinstance(values, Sized) else _UNSIZED, _length(separator))

    def check_format(self, form: str, values: Any) -> None:
        """Before values are put into a form such as "%s" or "{}"."""
        if _WIDE.search(form):
            raise SecurityError(f"it has a form that may become long: {form[:40]!r}")
        self._check_product(form.count("%") + form.count("{"), self._weigh(values))

    def check_indent(self, text: Any, width: Any) -> None:
        """Before each line of a text is indented."""
        lines = text.count("\n") + 1 if isinstance(text, str) else 1
        self._check_product(lines, width if isinstance(width, int) else _length(width))

    @staticmethod
    def check_date(form: Any) -> None:
        """Before a date is written out; the C library widens a form at will."""
        if _length(form) > _LONGEST_DATE:
            raise SecurityError("it has a date's form of more than 1000 characters")

    @staticmethod
    def _check_product(times: int, size: int) -> None:
        if times * size > LONGEST_TEXT:
            raise SecurityError(f"it makes a value of more than {LONGEST_TEXT} characters")

    def _weigh(self, value: Any) -> int:
        """About the characters of a value that is written out, at least 1."""
        if isinstance(value, str | bytes):
            return len(value) + 1
        if isinstance(value, int):
            return value.bit_length() // 8 + 1
        if not isinstance(value, list | tuple | dict | ItemsView | KeysView | ValuesView):
            return 1
        known = self._weights.get(id(value))
        if known is None:
            parts: list[Any] = [*value.keys(), *value.values()] if isinstance(value, dict) else list(value)
            known = (value, _CONTAINER + sum(self._weigh(part) for part in parts))
            self._weights[id(value)] = known
        return known[1]


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str) else len(str(value)) if isinstance(value, int | float) else 1
