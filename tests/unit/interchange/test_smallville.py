"""The memory stream of a generative agent, by a small one of our own and by a real one where it lies."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aspen import Aspen
from aspen.errors import InvalidInput
from aspen.interchange import Format, detect_format, import_file
from aspen.interchange.records import Problem, Reading, Record, RelationRecord, Source
from aspen.interchange.smallville import read_smallville
from aspen.types import Memory, MemoryItem, MemoryType, Provenance, RelationType, Stability

Write = Callable[[str, str | bytes], Path]

SCRATCH = {
    "name": "Odile Brandt",
    "age": 61,
    "innate": "stubborn, tender",
    "learned": "Odile Brandt mends clocks in the shop of her late uncle.",
    "currently": "Odile Brandt is looking for the key of the tower clock.",
    "lifestyle": "Odile Brandt rises at 5am and sleeps after lunch.",
    "curr_time": "March 03, 2023, 08:15:00",
}


def node(number: int, kind: str, text: str, **fields: Any) -> dict[str, Any]:
    return {
        "node_count": number,
        "type": kind,
        "depth": 0,
        "created": f"2023-03-02 08:{number:02}:00",
        "expiration": None,
        "subject": "Odile Brandt",
        "predicate": "is",
        "object": "",
        "description": text,
        "poignancy": 3,
        "keywords": ["Odile Brandt"],
        "filling": [],
        **fields,
    }


NODES = {
    "node_10": node(
        10, "thought", "Odile Brandt winds the tower clock each dawn", predicate="wind",
        filling=["node_2", "node_3", "node_2"], poignancy=7,
    ),
    "node_9": node(9, "thought", "Odile Brandt is devoted to old things", filling=["node_7", "node_10"]),
    "node_8": node(8, "event", "Odile Brandt is talking with Pim about a key", filling=["node_7"]),
    "node_7": node(
        7, "chat", "conversing about the missing key", predicate="chat with", poignancy=6,
        filling=[["Pim", "Have you seen the key?"], ["Odile Brandt", "It was on the hook."]],
    ),
    "node_5": node(5, "thought", "Plan: mend the regulator, then lunch", predicate="plan", filling=None),
    "node_4": node(4, "thought", "Odile Brandt has a nephew called Pim", predicate="have", filling=None),
    "node_3": node(3, "event", "clock is idle", subject="shop:clock", poignancy=1, keywords=["idle", "clock"]),
    "node_2": node(2, "event", "clock is idle", subject="shop:clock", poignancy=10, keywords=[]),
}  # fmt: skip


def read(path: Path, conversation: str | None = None) -> list[Reading]:
    return list(read_smallville(Source(path, conversation)))


def items(readings: list[Reading]) -> list[MemoryItem]:
    return [reading.item for reading in readings if isinstance(reading, Record)]


def problems(readings: list[Reading]) -> list[tuple[int, str]]:
    return [(reading.number, reading.reason) for reading in readings if isinstance(reading, Problem)]


def stored(aspen: Aspen) -> list[Memory]:
    return aspen.repository.list(limit=10_000)[::-1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "Odile"
    folder.mkdir()
    (folder / "nodes.json").write_text(json.dumps(NODES))
    (folder / "scratch.json").write_text(json.dumps(SCRATCH))
    return folder


def at(number: int) -> datetime:
    return datetime(2023, 3, 2, 8, number, tzinfo=UTC)


def test_nodes_become_typed_memories_oldest_first(folder: Path) -> None:
    found = items(read(folder))[4:]
    belief, pattern, episodic = MemoryType.BELIEF, MemoryType.PATTERN, MemoryType.EPISODIC
    assert [(one.source, one.type, one.stability, one.importance) for one in found] == [
        ("node_2", episodic, Stability.TENTATIVE, 1.0),
        ("node_3", episodic, Stability.TENTATIVE, 0.1),
        ("node_4", belief, Stability.STABLE, 0.3),
        ("node_5", pattern, Stability.TENTATIVE, 0.3),
        ("node_7", episodic, Stability.TENTATIVE, 0.6),
        ("node_8", episodic, Stability.TENTATIVE, 0.3),
        ("node_9", belief, Stability.TENTATIVE, 0.3),
        ("node_10", pattern, Stability.TENTATIVE, 0.7),
    ]
    assert found[1] == MemoryItem(
        "clock is idle", None, at(3), "Odile Brandt", "node_3", Provenance.IMPORTED,
        importance=0.1, tags=("clock", "idle"),
    )  # fmt: skip
    assert found[4].text == (
        "conversing about the missing key\nPim: Have you seen the key?\nOdile Brandt: It was on the hook."
    )
    assert [one.provenance for one in found[2:]] == [
        Provenance.IMPORTED, Provenance.IMPORTED, Provenance.IMPORTED, Provenance.IMPORTED,
        Provenance.INFERRED, Provenance.INFERRED,
    ]  # fmt: skip


def test_who_the_agent_is_comes_first(folder: Path) -> None:
    found = items(read(folder))[:4]
    now = datetime(2023, 3, 3, 8, 15, tzinfo=UTC)
    assert [(one.text, one.type, one.stability, one.importance, one.said_at) for one in found] == [
        ("Odile Brandt is stubborn, tender.", MemoryType.SELF, Stability.CANONICAL, 1.0, None),
        (SCRATCH["learned"], MemoryType.SELF, Stability.STABLE, 1.0, None),
        (SCRATCH["currently"], MemoryType.SELF, Stability.TENTATIVE, 0.6, now),
        (SCRATCH["lifestyle"], MemoryType.SEMANTIC, Stability.STABLE, 0.6, None),
    ]
    assert {(one.conversation, one.source, one.tags) for one in found} == {
        ("Odile Brandt", f"scratch.json:{field}", (field,))
        for field in ("innate", "learned", "currently", "lifestyle")
    }


def test_evidence_leads_to_the_thought_and_back(folder: Path) -> None:
    found = [reading.relation for reading in read(folder) if isinstance(reading, RelationRecord)]
    derived, example = RelationType.DERIVED_FROM, RelationType.EXAMPLE_OF
    assert [(one.source, one.type, one.target, one.weight) for one in found] == [
        ("node_8", derived, "node_7", 0.5),
        ("node_9", derived, "node_7", 0.354),
        ("node_7", example, "node_9", 0.566),
        ("node_9", derived, "node_10", 0.354),
        ("node_10", example, "node_9", 0.566),
        ("node_10", derived, "node_2", 0.354),
        ("node_2", example, "node_10", 0.566),
        ("node_10", derived, "node_3", 0.354),
        ("node_3", example, "node_10", 0.566),
    ]
    assert {one.provenance for one in found} == {Provenance.IMPORTED}
    done = [reading.done for reading in read(folder) if isinstance(reading, Record)]
    assert (done, done[-1]) == (sorted(done), 1.0)


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        ("is", MemoryType.BELIEF),
        ("have been", MemoryType.BELIEF),
        ("Found", MemoryType.BELIEF),
        ("", MemoryType.BELIEF),
        (None, MemoryType.BELIEF),
        ("plan", MemoryType.PATTERN),
        ("take care of", MemoryType.PATTERN),
        ("behave", MemoryType.PATTERN),
    ],
)
def test_a_thought_is_a_belief_or_a_pattern_by_its_predicate(
    write: Write, predicate: str | None, expected: MemoryType
) -> None:
    path = write("nodes.json", json.dumps({"node_1": node(1, "thought", "t", predicate=predicate)}))
    assert [one.type for one in items(read(path))] == [expected]


def test_a_folder_and_its_nodes_are_imported_once(aspen: Aspen, folder: Path) -> None:
    assert detect_format(folder) is detect_format(folder / "nodes.json") is Format.SMALLVILLE
    report = import_file(aspen, folder)
    assert (report.format, report.read, report.stored, report.bad) == (Format.SMALLVILLE, 12, 12, 0)
    assert (report.relations, report.relations_stored) == (9, 9)
    assert len({one.id for one in stored(aspen) if one.text == "clock is idle"}) == 2
    again = import_file(aspen, folder / "nodes.json")
    assert (again.stored, again.already_there, again.relations_stored) == (0, 12, 0)
    (thought,) = (one for one in stored(aspen) if one.source == "node_10")
    (dawn,) = (one for one in stored(aspen) if one.source == "node_3")
    reached = {one.memory.id: one for one in aspen.spread_activation([dawn.id], max_hops=1).memories}
    assert reached[thought.id].activation == pytest.approx(0.566 * 1.35 * 0.6)


def test_two_agents_keep_apart_and_a_name_can_be_given(aspen: Aspen, folder: Path) -> None:
    import_file(aspen, folder)
    assert import_file(aspen, folder, conversation="another run").stored == 12
    assert {one.conversation for one in stored(aspen)} == {"Odile Brandt", "another run"}


def test_the_folder_of_a_simulation_is_known_too(folder: Path, tmp_path: Path) -> None:
    memory = tmp_path / "saved" / "bootstrap_memory"
    (memory / "associative_memory").mkdir(parents=True)
    (folder / "nodes.json").rename(memory / "associative_memory" / "nodes.json")
    (folder / "scratch.json").rename(memory / "scratch.json")
    for path in (tmp_path / "saved", memory, memory / "associative_memory"):
        assert detect_format(path) is Format.SMALLVILLE
        assert len(items(read(path))) == 12


def test_without_a_scratch_the_thoughts_tell_the_agents_name(folder: Path) -> None:
    (folder / "scratch.json").unlink()
    found = items(read(folder))
    assert len(found) == 8
    assert {one.conversation for one in found} == {"Odile Brandt"}
    (folder / "nodes.json").write_text(json.dumps({"node_3": NODES["node_3"]}))
    assert [one.conversation for one in items(read(folder))] == [None]
    (folder / "nodes.json").write_text("{}")
    assert read(folder) == []


def test_a_time_that_cannot_be_read_is_left_out_of_the_scratch(folder: Path) -> None:
    (folder / "scratch.json").write_text(json.dumps({**SCRATCH, "curr_time": "soon", "innate": ""}))
    assert [one.said_at for one in items(read(folder))[:2]] == [None, None]
    assert items(read(folder))[0].text == SCRATCH["learned"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": "dream"}, "node_2: unknown type 'dream'. One of event, thought, chat."),
        ({"type": None}, "node_2: unknown type None"),
        ({"description": None}, "node_2: the node has no description."),
        ({"description": " "}, "node_2: the node has no description."),
        ({"description": "a\u0000b"}, "node_2: text has U+0000"),
        ({"poignancy": None}, "node_2: poignancy must be a number in [0, 10], got None."),
        ({"poignancy": 11}, "poignancy must be"),
        ({"poignancy": True}, "poignancy must be"),
        ({"poignancy": float("nan")}, "poignancy must be"),
        ({"created": "yesterday"}, "node_2: said_at 'yesterday' is no date"),
        ({"created": 5}, "said_at must be a datetime, got int"),
        ({"keywords": "idle"}, "node_2: tags must be a list"),
        ({"keywords": [1]}, "tag must be a string"),
        ({"filling": "node_1"}, "filling must be a list, got str"),
        ({"filling": [1]}, "filling must be ids of nodes"),
        ({"type": "chat", "filling": ["node_1"]}, "filling of a chat must be pairs"),
        ({"type": "chat", "filling": [["Pim", 1]]}, "filling of a chat must be pairs"),
    ],
)
def test_a_bad_node_is_a_problem_and_the_others_are_kept(
    write: Write, fields: dict[str, Any], reason: str
) -> None:
    nodes = {
        "node_1": node(1, "event", "one"),
        "node_2": node(2, "event", "two") | fields,
        "node_3": node(3, "event", "three"),
    }
    readings = read(write("nodes.json", json.dumps(nodes)))
    assert [one.text for one in items(readings)] == ["one", "three"]
    ((number, found),) = problems(readings)
    assert number == 2
    assert reason in found


def test_evidence_that_is_not_there_is_a_problem(aspen: Aspen, write: Write) -> None:
    nodes = {
        "node_1": node(1, "thought", "one", filling=["node_7", "node_1"]),
        "node_2": 5,
        "node_3": node(3, "thought", "three", filling=["node_2", "node_1"]),
    }
    report = import_file(aspen, write("nodes.json", json.dumps(nodes)))
    assert (report.stored, report.relations_stored) == (2, 2)
    assert [(problem.number, problem.reason.partition(":")[2]) for problem in report.problems] == [
        (1, " neither the file nor the store has a memory 'node_7'"),
        (1, " neither the file nor the store has a memory 'node_7'"),
        (1, " a memory cannot relate to itself"),
        (1, " a memory cannot relate to itself"),
        (2, " expected an object, got int"),
        (3, " neither the file nor the store has a memory 'node_2'"),
        (3, " neither the file nor the store has a memory 'node_2'"),
    ]


def test_a_bad_scratch_is_a_problem_and_the_nodes_are_kept(folder: Path) -> None:
    (folder / "scratch.json").write_text("{oops")
    readings = read(folder)
    assert len(items(readings)) == 8
    ((number, reason),) = problems(readings)
    assert number == 1
    assert "scratch.json is not a memory stream: it cannot be read as JSON" in reason
    (folder / "scratch.json").write_text(json.dumps({**SCRATCH, "learned": ["a"]}))
    assert problems(read(folder)) == [(2, "scratch.json, learned: expected text, got list")]


def test_what_is_no_memory_stream_is_refused(aspen: Aspen, write: Write, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, reason in [
        (tmp_path / "empty", "is a folder without nodes.json"),
        (write("cut.json", '{"node_1": {'), "it cannot be read as JSON"),
        (write("list.json", "[]"), "expected an object of nodes, got list"),
        (write("none.json", ""), "is empty"),
        (tmp_path / "missing", "cannot be read"),
    ]:
        with pytest.raises(InvalidInput, match=reason):
            import_file(aspen, path, format=Format.SMALLVILLE)
    with pytest.raises(InvalidInput, match="is a folder"):
        import_file(aspen, tmp_path / "empty")
    assert stored(aspen) == []


KLAUS = Path(
    os.environ.get("ASPEN_SMALLVILLE")
    or Path(__file__).parents[3].parent / "shared" / "data" / "smallville_klaus"
)


@pytest.mark.skipif(not KLAUS.is_dir(), reason="ASPEN_SMALLVILLE names no memory stream")
def test_a_real_agent_is_imported_whole(aspen: Aspen) -> None:
    report = import_file(aspen, KLAUS)
    assert (report.format, report.stored, report.bad) == (Format.SMALLVILLE, 597, 0)
    assert report.relations_stored == report.relations == 634
    assert Counter(one.type for one in stored(aspen)) == {
        MemoryType.EPISODIC: 484,
        MemoryType.BELIEF: 92,
        MemoryType.PATTERN: 17,
        MemoryType.SELF: 3,
        MemoryType.SEMANTIC: 1,
    }
    assert Counter(aspen.repository.changes(0).edges.types) == {
        "next": 596,
        "derived_from": 320,
        "example_of": 314,
    }
    assert import_file(aspen, KLAUS / "nodes.json").stored == 0
    (chat,) = (one for one in stored(aspen) if one.source == "node_306")
    reached = aspen.spread_activation([chat.id], top_k=5).memories
    assert any("quantum computing" in one.memory.text and one.paths for one in reached[1:])
