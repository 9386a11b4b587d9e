"""Ids that are given by their beginning: whole ones are 22 characters and more, which nobody wants to type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aspen.aspen import Aspen
from aspen.errors import InvalidInput, NotFound
from aspen.repository import MAX_LIMIT
from aspen.turns import alternative_to

_SHORTEST = 6
"""Characters that a beginning has at least, "m_" or "t_" included."""
_SHOWN = 5


def whole_memory_ids(aspen: Aspen, given: Sequence[str]) -> list[str]:
    """The ids that these begin, each once, in order.

    InvalidInput where one begins several ids, NotFound where it begins none, or is too short to tell.
    """
    known = aspen.repository.known(given)
    short = [one for one in given if one not in known and len(one) >= _SHORTEST]
    stored = list(_stored(aspen)) if short else []  # every page of the store: only where it is needed
    whole = [_whole(one, stored, what="memories") if one in short else one for one in given]
    for one in whole:
        if one not in known and one not in stored:
            raise _not_found("memory", one, listed_by="aspen list")
    return list(dict.fromkeys(whole))


def whole_memory_id(aspen: Aspen, given: str) -> str:
    """The id that this begins; see `whole_memory_ids`."""
    return whole_memory_ids(aspen, [given])[0]


def whole_trace_id(aspen: Aspen, given: str) -> str:
    """The id that this begins, among the newest 10,000 traces; see `whole_memory_ids`.

    Alternatives share the beginning of the trace that was chosen; the number behind it tells them apart.
    """
    ids = [info.id for info in aspen.repository.traces(limit=MAX_LIMIT)]
    whole = given
    if given not in ids and len(given) >= _SHORTEST:
        beginning, mark, number = given.partition("-")
        chosen = [id_ for id_ in ids if alternative_to(id_) is None]
        whole = f"{_whole(beginning, chosen, what='traces')}{mark}{number}"
    if whole not in ids and len(ids) < MAX_LIMIT:
        raise _not_found("trace", whole, listed_by="aspen traces")
    return whole


def _not_found(what: str, given: str, *, listed_by: str) -> NotFound:
    return NotFound(
        f"The store has no {what} {given!r}.",
        hint=f"Give the id as `{listed_by}` shows it, or {_SHORTEST} characters and more of its beginning.",
        id=given,
    )


def _stored(aspen: Aspen) -> Iterable[str]:
    before = None
    while page := aspen.repository.list(before=before, limit=MAX_LIMIT):
        yield from (memory.id for memory in page)
        before = page[-1].seq


def _whole(given: str, ids: Sequence[str], *, what: str) -> str:
    found = [id_ for id_ in ids if id_.startswith(given)]
    if len(found) > 1:
        told = ", ".join(found[:_SHOWN]) + (", ..." if len(found) > _SHOWN else "")
        raise InvalidInput(
            f"{given!r} begins the ids of {len(found)} {what}: {told}.", hint="Give more of it.", ids=found
        )
    return found[0] if found else given
