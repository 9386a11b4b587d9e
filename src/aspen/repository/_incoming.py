"""What a store refuses, the same in every store: checked before anything is written."""

from __future__ import annotations

import operator
import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from aspen.errors import AspenError, InvalidInput, ModelMismatch, NotFound, StoreError
from aspen.items import checked_item
from aspen.repository.values import (
    MAX_NAME_LENGTH,
    MAX_TERM_LENGTH,
    KeyStamp,
    NewMemory,
    NewTrace,
)
from aspen.types import Edge, Memory, Provenance
from aspen.validation import (
    check_choice,
    check_count,
    check_kind,
    check_name,
    check_seed,
    check_share,
    check_time,
)

MAX_LIMIT = 10_000
"""Most rows that one call lists, and most edges out of one memory."""
MAX_BOOST = 10.0
MAX_ACTIVATION = 1e100
"""Of a seed: keeps every sum finite."""
MAX_TOKENS = 2**31 - 1
MAX_SEQ = 2**63 - 1
MAX_REVISION = 2**63 - 1

# Letters of ASCII in lower case only: an index may fold them. Beyond ASCII no character is special to any index.
_TERM = re.compile(rf"[a-z0-9_\u00a0-\ud7ff\ue000-\U0010ffff]{{1,{MAX_TERM_LENGTH}}}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(time: datetime) -> int:
    """Microseconds since 1970 in UTC; exact, unlike `datetime.timestamp`."""
    return (time - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """The inverse of `to_microseconds`."""
    return _EPOCH + microseconds * _MICROSECOND


def checked_memory(new: NewMemory, seq: int = 0) -> Memory:
    """The memory as it will be read back; InvalidInput if a part of it cannot be stored."""
    item = checked_item(new.item)
    _required_name(new.id, what="id")
    for term in new.terms:
        if not isinstance(term, str) or not _TERM.fullmatch(term):
            raise InvalidInput(
                f"A term must be a word in lower case of at most {MAX_TERM_LENGTH} characters, got {term!r}.",
                id=new.id,
            )
    _check_names(new)
    check_traits(new.traits)
    if new.head_keys is not None:
        check_body(new.head_keys, what="head_keys")
    return Memory(
        id=new.id,
        seq=seq,
        text=item.text,
        speaker=item.speaker,
        said_at=item.said_at,
        conversation=item.conversation,
        source=item.source,
        provenance=item.provenance,
        type=item.type,
        stability=item.stability,
        importance=item.importance,
        emotion=item.emotion,
        tags=item.tags,
        created_at=required_time(new.created_at, what="created_at"),
        token_count=check_count(new.token_count, what="token_count", minimum=0, maximum=MAX_TOKENS),
        trace_id=check_name(new.trace_id, what="trace_id"),
    )


def _check_names(new: NewMemory) -> None:
    named = [mention.name for mention in new.mentions]
    for name in named if new.subject is None else [new.subject, *named]:
        if len(_required_name(name, what="name")) > MAX_NAME_LENGTH:
            raise InvalidInput(
                f"A name has at most {MAX_NAME_LENGTH} characters, got {len(name)}.", id=new.id
            )
    last = len(new.terms)
    for mention in new.mentions:
        check_count(mention.start, what="start of a mention", minimum=0, maximum=last)
        check_count(mention.stop, what="stop of a mention", minimum=mention.start, maximum=last)


def check_traits(traits: Mapping[str, float]) -> None:
    """InvalidInput where a trait has no name, or no strength in (0, 1]."""
    for name, value in traits.items():
        _required_name(name, what="trait")
        # Read back as float32, where the smallest of float64 are 0.
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not 0 < value <= 1
            or np.float32(value) == 0
        ):
            raise InvalidInput(f"The strength of a trait must lie in (0, 1], got {value!r}.", trait=name)


def checked_traits(
    traits: Mapping[int, Mapping[str, float]] | None, keys: Mapping[int, bytes]
) -> dict[int, Mapping[str, float]]:
    """Traits by seq, with Python's integers; InvalidInput for those that come without a key."""
    checked = {operator.index(seq): own for seq, own in (traits or {}).items()}
    for seq, own in checked.items():
        check_traits(own)
        if seq not in keys:
            raise InvalidInput(f"The traits of memory {seq} come without its key.", seq=seq)
    return checked


def check_body(body: object, *, what: str) -> None:
    """InvalidInput for what is not some bytes."""
    if not isinstance(body, bytes) or not body:
        raise InvalidInput(f"{what} must be some bytes, got {_measure(body)}.")


def checked_trace(trace: NewTrace, memories: Sequence[NewMemory]) -> NewTrace:
    """A trace that comes with its memories, with its time in UTC."""
    checked = _checked_parts(trace)
    if all(new.trace_id != trace.info.id for new in memories):
        raise InvalidInput(
            f"None of the memories refers to trace {trace.info.id}.",
            hint="Set trace_id: a trace is forgotten with the last memory that refers to it.",
            id=trace.info.id,
        )
    return checked


def checked_lone_trace(trace: NewTrace) -> NewTrace:
    """A trace that comes by itself, with its time in UTC."""
    checked = _checked_parts(trace)
    if not trace.mentions:
        raise InvalidInput(
            f"Trace {trace.info.id} mentions no memory.",
            hint="Name one in `mentions`: a trace is forgotten with a memory that it mentions.",
            id=trace.info.id,
        )
    return checked


def _checked_parts(trace: NewTrace) -> NewTrace:
    info = trace.info
    _required_name(info.id, what="trace id")
    check_name(info.conversation, what="conversation")
    _required_name(info.level, what="level")
    check_seed(info.seed)
    for mention in trace.mentions:
        _required_name(mention, what="mention")
    if not isinstance(trace.body, bytes) or len(trace.body) != info.size:
        raise InvalidInput(
            f"The body of trace {info.id} must be {info.size} bytes, got {_measure(trace.body)}.", id=info.id
        )
    return replace(trace, info=replace(info, created_at=required_time(info.created_at, what="created_at")))


def check_stamp(stamp: KeyStamp) -> None:
    """All parts of a stamp are there, and are one line of text."""
    for what in ("model_id", "model_name", "key_version"):
        _required_name(getattr(stamp, what), what=what)


def current_stamp(current: KeyStamp | None, given: KeyStamp | None, *, location: str) -> KeyStamp:
    """`current`, if keys of `given` (None: whatever is current) may be added to its store."""
    if current is None:
        raise StoreError("The store has no key stamp yet.", hint="Call set_stamp before the first add.")
    if given is not None and given.identity != current.identity:
        raise stamp_mismatch(current, given, location=location)
    return current


def stamp_mismatch(stored: KeyStamp, current: KeyStamp, *, location: str) -> ModelMismatch:
    """The error for a store at `location` whose keys, of `stored`, are not those of the model in use, `current`.

    A store knows neither how that model was named to load it, nor its runtime: see `aspen.engine.mismatch`.
    """
    in_memory = location == ":memory:"
    command = "Aspen.rekey" if in_memory else f"aspen rekey --store {shlex.quote(location)} --model ..."
    former, present = (
        f"{stamp.model_name} ({stamp.model_id}, keys {stamp.key_version})" for stamp in (stored, current)
    )
    return ModelMismatch(
        f"The store's keys were made by {former}, the model in use is {present}.",
        hint=f"Make the keys anew with the model and in the runtime that are in use (`{command}`).",
        stored=stored.model_id,
        current=current.model_id,
        location=location,
    )


def check_keys(bodies: Iterable[bytes], size: int | None) -> None:
    """All keys of a stamp have one length, `size` where the store holds one already."""
    for body in bodies:
        if not isinstance(body, bytes) or not body or len(body) != (size or len(body)):
            raise InvalidInput(f"A key must be {size or 'some'} bytes, got {_measure(body)}.", size=size)
        size = len(body)


def checked_key_mapping(keys: Mapping[int, bytes], size: int | None) -> dict[int, bytes]:
    """Keys by seq, as `check_keys` wants them, with Python's integers."""
    check_keys(keys.values(), size)
    return {operator.index(seq): body for seq, body in keys.items()}


def checked_head_keys(head_keys: Mapping[int, bytes] | None, keys: Mapping[int, bytes]) -> dict[int, bytes]:
    """Head keys by seq, with Python's integers; InvalidInput for those that come without a key."""
    checked = {operator.index(seq): body for seq, body in (head_keys or {}).items()}
    for seq, body in checked.items():
        check_body(body, what="head_keys")
        if seq not in keys:
            raise InvalidInput(f"The head keys of memory {seq} come without its key.", seq=seq)
    return checked


def checked_fragments(fragments: Mapping[tuple[int, str], bytes]) -> dict[tuple[int, str], bytes]:
    """Fragments by seq and name, with Python's integers."""
    checked = {}
    for (seq, name), body in fragments.items():
        check_body(body, what="A fragment")
        checked[operator.index(seq), _required_name(name, what="fragment name")] = body
    return checked


def fragment_places(places: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
    """Places to look at, with Python's integers, each once, without those that no store can have."""
    found: dict[tuple[int, str], None] = {}
    for seq, name in places:
        check_sought(name, what="fragment name")
        if findable(name):
            found.update(((number, name), None) for number in storable_seqs([seq]))
    return list(found)


def checked_edge(edge: Edge) -> Edge:
    """The edge with Python's numbers; InvalidInput for a loop, or a weight outside [0, 1]."""
    weight = check_share(edge.weight, what="The weight of an edge")
    source, target = operator.index(edge.source), operator.index(edge.target)
    if source == target:
        raise InvalidInput(f"An edge must join two memories, got {source} at both ends.", seq=source)
    provenance = check_choice(edge.provenance, Provenance, what="provenance")
    return Edge(source, target, _required_name(edge.type, what="edge type"), weight, provenance)


def checked_edge_names(edges: Iterable[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Edges by source, target and type, with Python's numbers, each once, without those that no store can have."""
    names = dict.fromkeys(
        (operator.index(source), operator.index(target), kind) for source, target, kind in edges
    )
    for _, _, kind in names:
        check_sought(kind, what="edge type")
    return [name for name in names if min(name[:2]) > 0 and max(name[:2]) <= MAX_SEQ]


def check_edge_filters(*, fan: int, min_weight: float = 0.0, types: Collection[str] | None = None) -> None:
    """Refuse a fan outside [1, 10,000], a weight outside [0, 1] and types that are no strings."""
    checked_limit(fan, what="fan")
    check_share(min_weight, what="min_weight")
    for kind in types or ():
        check_sought(kind, what="edge type")


def check_spreading(
    *, max_hops: int, most_hops: int, decay: float, type_boost: Mapping[str, float], paths: int
) -> None:
    """Refuse settings of spreading activation that are out of their range; `check_edge_filters` has the others."""
    check_count(max_hops, what="max_hops", minimum=0, maximum=most_hops)
    check_count(paths, what="paths", minimum=0)
    if not check_share(decay, what="decay"):
        raise InvalidInput(f"decay must lie in (0, 1], got {decay!r}.", decay=decay)
    for kind, factor in type_boost.items():
        check_sought(kind, what="memory type")
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 <= factor <= MAX_BOOST:
            raise InvalidInput(
                f"A type boost must be a factor in [1, {MAX_BOOST:g}], got {factor!r} for {kind!r}.",
                type=kind,
            )


def checked_seeds(initial: Mapping[int, float]) -> dict[int, float]:
    """Activations by seq, ascending; InvalidInput for one that no seed may have."""
    for seq, value in initial.items():
        number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
        if not (number and 0 <= value <= MAX_ACTIVATION):
            raise InvalidInput(
                f"The activation of a seed must lie in [0, {MAX_ACTIVATION:g}], got {value!r} for {seq}.",
                seq=seq,
            )
    return {operator.index(seq): float(initial[seq]) for seq in sorted(initial)}


def checked_limit(limit: int, *, what: str = "limit") -> int:
    """A number of rows in [1, 10,000]."""
    return check_count(limit, what=what, maximum=MAX_LIMIT)


def check_filters(*, conversation: str | None, speaker: str | None = None) -> None:
    """Refuse names that no memory can have: None is no filter."""
    check_name(conversation, what="conversation")
    check_name(speaker, what="speaker")


def check_trace_filters(*, conversation: str | None, seed: int | None, limit: int) -> None:
    """Refuse names and seeds that no trace can have: None is no filter."""
    checked_limit(limit)
    check_filters(conversation=conversation)
    if seed is not None:
        check_seed(seed)


def check_sought(name: object, *, what: str) -> None:
    """Refuse what is no string: one that no row can have is only not found."""
    check_kind(name, str, what=what)


def check_names_sought(names: Iterable[str], *, conversation: str | None, limit: int) -> None:
    """As `check_sought` for each name, and the filters."""
    checked_limit(limit)
    check_filters(conversation=conversation)
    for name in names:
        check_sought(name, what="name")


def check_since(since: int, revision: int) -> None:
    """Refuse a revision that the store has not reached."""
    if isinstance(since, bool) or not isinstance(since, int) or not 0 <= since <= revision:
        raise InvalidInput(
            f"since must be a revision in [0, {revision}], got {since!r}.",
            hint="Start again from 0: the store may have been put back from a backup.",
            since=since,
            revision=revision,
        )


def check_statistics(name: str, body: bytes, *, as_of: int) -> None:
    """Statistics have a name, are bytes, and were fitted at some revision."""
    _required_name(name, what="statistics name")
    if not isinstance(body, bytes):
        raise InvalidInput(f"Statistics must be bytes, got {type(body).__name__}.", name=name)
    check_count(as_of, what="as_of", minimum=0, maximum=MAX_REVISION)


def storable_seqs(seqs: Iterable[int]) -> list[int]:
    """`seqs` as Python integers, without those that no memory can have."""
    numbers = [operator.index(seq) for seq in seqs]
    return [number for number in numbers if 0 < number <= MAX_SEQ]


def findable(name: str) -> bool:
    """False for what no row can hold, NUL and lone surrogates: no database needs to be asked for it."""
    return not any(character == "\x00" or "\ud800" <= character <= "\udfff" for character in name)


def required_time(time: object, *, what: str) -> datetime:
    """The time in UTC; InvalidInput where there is none."""
    checked = check_time(time, what=what)
    if checked is None:
        raise InvalidInput(f"{what} must be a datetime, got None.", what=what)
    return checked


def unknown(what: str, name: object) -> AspenError:
    """The error for a memory or trace that is not there."""
    lists = {"memory": "memories (`aspen list`)", "trace": "traces (`aspen traces`)"}
    hint = f"Give the id whole, as it stands in the list of {lists[what]}." if what in lists else ""
    return NotFound(f"The store has no {what} {name!r}.", hint=hint, id=name)


def _required_name(name: object, *, what: str) -> str:
    checked = check_name(name, what=what)
    if checked is None:
        raise InvalidInput(f"{what} must be a string, got None.", what=what)
    return checked


def _measure(body: object) -> str:
    return f"{len(body)} bytes" if isinstance(body, bytes) else type(body).__name__
