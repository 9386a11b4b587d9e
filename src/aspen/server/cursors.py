"""Where the next page of a list begins, as text that means nothing to a client."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from aspen.errors import InvalidInput


def cursor_of(*place: str | int) -> str:
    """A place in a list as a cursor."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def place_of(cursor: str, *kinds: type) -> list[Any]:
    """The place that `cursor_of` was given, of these kinds; InvalidInput where it was not that."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        place = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):  # the last for a thousand brackets
        place = None
    fits = isinstance(place, list) and [type(part) for part in place] == list(kinds)
    if not fits:
        raise InvalidInput(
            "The cursor is none that this list gave.", hint="Take `next` of the page before, or leave it out."
        )
    return list(place)
