"""Versions of memories as HTTP has them: `ETag` of what is read, `If-Match` of what is changed."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Header, Response

from aspen.errors import Conflict
from aspen.server.asked import Id, Store
from aspen.server.problems import Refused
from aspen.server.told import ToldMemory

_TAG = re.compile(r'(W/)?"[^"]{0,15}"|[0-9]{1,15}', re.ASCII)
"""An entity tag, also without its quotes."""
_NUMBER = re.compile(r'"?[0-9]+"?')
Flag = Annotated[
    str | None,
    Header(
        max_length=100,
        examples=['"1"'],
        description="The ETag of the memory in the path that the change is based on: 412 where it has another by then.",
    ),
]


def tagged(memory: ToldMemory, response: Response) -> ToldMemory:
    """The memory, whose version the response carries as its ETag."""
    response.headers["ETag"] = f'"{memory.version}"'
    return memory


def _version(memory_id: Id, aspen: Store, if_match: Flag = None) -> int | None:
    """The version of the memory that a change is based on; None where any will do (RFC 9110, 13.1.1).

    Of several the current one, where it is among them. A weak tag never fits, which is a Conflict.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    tags = [tag.strip() for tag in if_match.split(",")]
    if not all(_TAG.fullmatch(tag) for tag in tags):
        raise Refused(
            400,
            error="BadIfMatch",
            detail="If-Match is no version of a memory.",
            hint="Send the ETag that came with the memory.",
        )
    current = aspen.repository.get([memory_id])[0].version
    versions = [int(tag.strip('"')) for tag in tags if _NUMBER.fullmatch(tag)]
    if not versions:
        raise Conflict(
            f"The memory has version {current}, and no other tag.", hint="Read it again.", version=current
        )
    return current if current in versions else versions[0]


Version = Annotated[int | None, Depends(_version)]
"""What a route hands on to the front door, which looks at it once more in the transaction that changes the memory."""
