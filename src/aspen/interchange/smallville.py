"""The memory stream of a generative agent, as the simulation "Smallville" saves it (Park et al. 2023).

A folder with `nodes.json` (or with `associative_memory/nodes.json`), or that file itself: an object of nodes by id,
each with `type` ("event", "thought" or "chat"), `description`, `created`, `poignancy` from 1 to 10, `keywords`, and
`filling`: the ids of the evidence of a thought, or what was said in a chat. `scratch.json` beside it, if it is there,
tells who the agent is. The files are read at once: each is one JSON document.

- Events and chats are episodic; what was said in a chat stands below its description.
- A thought says what somebody is, has or was found to be, or what somebody does. The first is a belief, the second a
  pattern, plans too: told by the first word of `predicate`, a form of "be", "have" or "find" making a belief, and so
  does none. A belief without evidence was given to the agent, and is stable. A thought with evidence is "inferred".
- Of `scratch.json`, `innate` is a canonical self memory, `learned` a stable one, `currently` a tentative one, and
  `lifestyle`, the hours that the agent keeps, a stable semantic one.
- `poignancy` / 10 is the importance, `keywords` are the tags, `created` is the time (UTC), the agent's name the
  conversation and the node's id the source. So events that are equal but for their time stay apart.
- Each piece of evidence is an `example_of` the thought, with weight 0.8 / sqrt(n) for n pieces, and the thought is
  `derived_from` it, with 0.5 / sqrt(n): more evidence counts for more, but not in proportion, for an agent draws the
  same few conclusions from each other again and again. An event of a conversation is `derived_from` its chat.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from aspen.errors import InvalidInput
from aspen.interchange.lines import opened
from aspen.interchange.records import Problem, Reading, RelationRecord, Source, as_record
from aspen.types import MemoryType, Provenance, Relation, RelationType, Stability

EXAMPLE_WEIGHT = 0.8
"""From the only piece of evidence to what was concluded from it."""
EVIDENCE_WEIGHT = 0.5
"""Back again."""

_NODES = ("nodes.json", "associative_memory/nodes.json", "bootstrap_memory/associative_memory/nodes.json")
_START = re.compile(r'\{\s*"node_\d+"\s*:\s*\{')
_NUMBER = re.compile(r"\d+$")
_STATES = frozenset(
    {"am", "are", "be", "been", "being", "is", "was", "were", "had", "has", "have", "find", "finds", "found"}
)
"""First words of a predicate that says how things are, rather than what somebody does."""
_TIME = "%B %d, %Y, %H:%M:%S"  # February 14, 2023, 00:02:20


@dataclass(frozen=True, slots=True)
class _Trait:
    """What a line of `scratch.json` becomes. `text` is put round it."""

    text: str
    type: MemoryType
    stability: Stability
    importance: float
    dated: bool = False


_TRAITS = {
    "innate": _Trait("{name} is {value}.", MemoryType.SELF, Stability.CANONICAL, 1.0),
    "learned": _Trait("{value}", MemoryType.SELF, Stability.STABLE, 1.0),
    "currently": _Trait("{value}", MemoryType.SELF, Stability.TENTATIVE, 0.6, dated=True),
    "lifestyle": _Trait("{value}", MemoryType.SEMANTIC, Stability.STABLE, 0.6),
}


def nodes_file(path: Path) -> Path | None:
    """The nodes of a memory stream in a folder, or the file itself; None where there is none."""
    if not path.is_dir():
        return path
    return next((path / name for name in _NODES if (path / name).is_file()), None)


def is_memory_stream(start: str) -> bool:
    """Whether a file that begins like this holds the nodes of a memory stream."""
    return _START.match(start) is not None


def read_smallville(source: Source) -> Iterator[Reading]:
    """Who the agent is, then a record for each node, oldest first, with the relations to its evidence."""
    path = nodes_file(source.path)
    if path is None:
        raise InvalidInput(
            f"{source.path} is a folder without nodes.json.",
            hint="Give the folder of a memory stream, or its nodes.json.",
            path=str(source.path),
        )
    nodes = _document(path)
    scratch, fault = _scratch(path)
    ordered = sorted(nodes.items(), key=lambda item: _number(item[0]))
    conversation = source.conversation or _agent(scratch, nodes)
    traits = [name for name in _TRAITS if scratch.get(name)]
    total = len(traits) + len(ordered)
    if fault:
        yield Problem(1, fault)
    for number, name in enumerate(traits, start=1):
        yield _self(name, scratch, number=number, conversation=conversation, done=number / total)
    for number, (id_, node) in enumerate(ordered, start=len(traits) + 1):
        yield from _node(id_, node, number=number, conversation=conversation, done=number / total)


def _document(path: Path) -> dict[str, object]:
    try:
        with opened(path) as file:
            document = json.loads(file.read().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{path} is not a memory stream: it cannot be read as JSON ({error}).", path=str(path)
        ) from error
    if not isinstance(document, dict):
        raise InvalidInput(
            f"{path} is not a memory stream: expected an object of nodes, got {type(document).__name__}.",
            path=str(path),
        )
    return document


def _scratch(nodes: Path) -> tuple[dict[str, object], str]:
    """`scratch.json` beside the nodes or above their folder, empty where there is none, and what is wrong with it."""
    folders = (
        [nodes.parent, nodes.parent.parent] if nodes.parent.name == "associative_memory" else [nodes.parent]
    )
    path = next((found for folder in folders if (found := folder / "scratch.json").is_file()), None)
    try:
        return ({}, "") if path is None else (_document(path), "")
    except InvalidInput as error:
        return {}, error.message


def _agent(scratch: Mapping[str, object], nodes: Mapping[str, object]) -> str | None:
    """The agent's name: as it stands, or whom most of the thoughts are about."""
    name = scratch.get("name")
    if isinstance(name, str) and name:
        return name
    thoughts = [node for node in nodes.values() if isinstance(node, dict) and node.get("type") == "thought"]
    subjects = Counter(subject for node in thoughts if isinstance(subject := node.get("subject"), str))
    return subjects.most_common(1)[0][0] if subjects else None


def _number(id_: str) -> tuple[float, str]:
    """Nodes are numbered as they come into being; the file has the newest first."""
    match = _NUMBER.search(id_)
    return (float(match[0]) if match else float("inf"), id_)


def _node(id_: str, node: object, *, number: int, conversation: str | None, done: float) -> Iterator[Reading]:
    if not isinstance(node, dict):
        yield Problem(number, f"{id_}: expected an object, got {type(node).__name__}")
        return
    try:
        evidence, said = _filling(node)
        fields = {
            "text": "\n".join([_text(node), *said]),
            "said_at": node.get("created"),
            "conversation": conversation,
            "source": id_,
            "importance": _importance(node.get("poignancy")),
            "tags": node.get("keywords") or [],
            **_kind(node, given=not evidence),
        }
    except InvalidInput as error:
        yield Problem(number, f"{id_}: {error}")
        return
    is_thought = node["type"] == "thought"
    provenance = Provenance.INFERRED if is_thought and evidence else Provenance.IMPORTED
    record = as_record(number, fields, done=done, where=f"{id_}: ", provenance=provenance, id=id_)
    yield record
    if isinstance(record, Problem):
        return
    shared = math.sqrt(len(evidence))
    for one in evidence:
        yield _relation(number, id_, RelationType.DERIVED_FROM, one, EVIDENCE_WEIGHT / shared)
        if is_thought:
            yield _relation(number, one, RelationType.EXAMPLE_OF, id_, EXAMPLE_WEIGHT / shared)


def _relation(number: int, source: str, kind: RelationType, target: str, weight: float) -> RelationRecord:
    return RelationRecord(number, Relation(source, target, kind, round(weight, 3), Provenance.IMPORTED))


def _filling(node: Mapping[str, object]) -> tuple[list[str], list[str]]:
    """The ids of the evidence, each once, and what was said, as "Name: words"."""
    filling = node.get("filling") or []
    if not isinstance(filling, list):
        raise InvalidInput(f"filling must be a list, got {type(filling).__name__}.")
    if node.get("type") != "chat":
        if not all(isinstance(one, str) for one in filling):
            raise InvalidInput("filling must be ids of nodes.")
        return list(dict.fromkeys(filling)), []
    said = []
    for turn in filling:
        match turn:
            case [str(speaker), str(words)]:
                said.append(f"{speaker}: {words}")
            case _:
                raise InvalidInput("filling of a chat must be pairs of a name and what was said.")
    return [], said


def _text(node: Mapping[str, object]) -> str:
    text = node.get("description")
    if not isinstance(text, str) or not text.strip():
        raise InvalidInput("the node has no description.")
    return text


def _importance(poignancy: object) -> float:
    if isinstance(poignancy, bool) or not isinstance(poignancy, int | float) or not 0 <= poignancy <= 10:
        raise InvalidInput(f"poignancy must be a number in [0, 10], got {poignancy!r}.")
    return poignancy / 10


def _kind(node: Mapping[str, object], *, given: bool) -> dict[str, object]:
    """Type and stability of a node; `given` is a thought without evidence."""
    match node.get("type"):
        case "event" | "chat":
            return {"type": MemoryType.EPISODIC}
        case "thought":
            predicate = str(node.get("predicate") or "").split()
            if predicate and predicate[0].lower() not in _STATES:
                return {"type": MemoryType.PATTERN}
            stability = Stability.STABLE if given else Stability.TENTATIVE
            return {"type": MemoryType.BELIEF, "stability": stability}
        case other:
            raise InvalidInput(f"unknown type {other!r}.", hint="One of event, thought, chat.")


def _self(
    field: str, scratch: Mapping[str, object], *, number: int, conversation: str | None, done: float
) -> Reading:
    trait, value, where = _TRAITS[field], scratch[field], f"scratch.json, {field}: "
    if not isinstance(value, str):
        return Problem(number, f"{where}expected text, got {type(value).__name__}")
    fields = {
        "text": trait.text.format(name=scratch.get("name") or "The agent", value=value),
        "said_at": _now(scratch) if trait.dated else None,
        "conversation": conversation,
        "source": f"scratch.json:{field}",
        "type": trait.type,
        "stability": trait.stability,
        "importance": trait.importance,
        "tags": [field],
    }
    return as_record(number, fields, done=done, where=where)


def _now(scratch: Mapping[str, object]) -> datetime | None:
    """The time at which the simulation was saved; None where it cannot be read."""
    try:
        return datetime.strptime(str(scratch.get("curr_time")), _TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
