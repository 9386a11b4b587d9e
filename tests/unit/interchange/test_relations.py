"""Relations in files: which memories they name, what is refused, what a second run does, and the way out and back."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.builders import encoded

from aspen import Aspen, MemoryItem
from aspen.interchange import Format, ImportProgress, detect_format, export_memories, import_file
from aspen.interchange import relations as relations_module
from aspen.interchange.plain_jsonl import read_plain
from aspen.interchange.records import Problem, Record, RelationRecord, Source
from aspen.repository import MAX_LIMIT
from aspen.types import Edge, Emotion, Memory, MemoryType, Provenance, Relation, RelationType, Stability

Write = Callable[[str, str | bytes], Path]
Open = Callable[[str], Aspen]

CAUSES, SUPPORTS, NEXT = RelationType.CAUSES, RelationType.SUPPORTS, RelationType.NEXT


def jsonl(*values: object) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def memory(id_: object, **fields: object) -> dict[str, object]:
    return {"id": id_, "text": f"text of {id_}", **fields}


def relation(source: object, type_: str, target: object, **fields: object) -> dict[str, object]:
    return {"relation": type_, "from": source, "to": target, **fields}


def stored(aspen: Aspen) -> list[Memory]:
    return aspen.repository.list(limit=10_000)[::-1]


def graph(aspen: Aspen) -> set[tuple[str, str, str, float, str]]:
    """All relations, by the texts of their ends."""
    texts = {memory.seq: memory.text.removeprefix("text of ") for memory in stored(aspen)}
    edges = aspen.repository.changes(0).edges
    columns = zip(edges.sources, edges.targets, edges.types, edges.weights, edges.provenances, strict=True)
    return {(texts[int(a)], kind, texts[int(b)], float(w), origin) for a, b, kind, w, origin in columns}


def test_relations_may_stand_before_the_memories_they_name(aspen: Aspen, write: Write) -> None:
    path = write(
        "notes.jsonl",
        jsonl(
            relation("a", "supports", "b"),
            memory("a"),
            relation("b", "causes", 17, weight=0.25),
            memory("b"),
            memory(17),
            relation("17", "co_activated", "a", weight=0, provenance="inferred"),
        ),
    )
    assert detect_format(path) is Format.PLAIN
    report = import_file(aspen, path)
    assert (report.read, report.stored, report.bad) == (3, 3, 0)
    assert (report.relations, report.relations_stored) == (3, 3)
    assert graph(aspen) == {
        ("a", "supports", "b", 0.8, "imported"),
        ("b", "causes", "17", 0.25, "imported"),
        ("17", "co_activated", "a", 0.0, "inferred"),
    }


def test_a_relation_may_name_stored_memories_and_then_needs_no_model(
    aspen: Aspen, open_store: Open, write: Write
) -> None:
    first, second = aspen.remember_many([MemoryItem("first"), MemoryItem("second")])
    again = open_store("memory.db")
    report = import_file(again, write("graph.jsonl", jsonl(relation(first.id, "supports", second.id))))
    assert (report.format, report.read, report.relations_stored) == (Format.PLAIN, 0, 1)
    assert again._engine is None
    assert graph(aspen) == {("first", "supports", "second", 0.8, "imported")}


def test_a_line_of_the_file_goes_before_a_stored_memory_of_that_id(aspen: Aspen, write: Write) -> None:
    old = aspen.remember("old")
    import_file(
        aspen, write("n.jsonl", jsonl(memory(old.id), memory("b"), relation(old.id, "supports", "b")))
    )
    assert graph(aspen) == {(old.id, "supports", "b", 0.8, "imported")}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (relation("a", "supports", "nobody"), "neither the file nor the store has a memory 'nobody'"),
        (relation("m_0123", "supports", "a"), "neither the file nor the store has a memory 'm_0123'"),
        (relation("a", "supports", "a"), "a memory cannot relate to itself"),
        (relation("a", "supports", "same"), "a memory cannot relate to itself"),
        (relation("a", "supports", "twice"), "several memories of the file have the id 'twice'"),
        (relation("a", "supports", "refused"), "neither the file nor the store has a memory 'refused'"),
        (relation("a", "likes", "b"), "unknown relation 'likes'. One of summarizes, example_of,"),
        (relation("a", "", "b"), "unknown relation ''"),
        (relation("a", "supports", None), "the relation has no 'to'"),
        (relation(["a"], "supports", "b"), "'from' must be a string, got list"),
        (relation("a", "supports", True), "'to' must be a string, got bool"),
        (relation("a", "supports", "x" * 501), "'to' has 501 characters"),
        (relation("a", "supports", "b", weight=1.01), "weight must be a number in [0, 1], got 1.01"),
        (relation("a", "supports", "b", weight=-0.1), "weight must be"),
        (relation("a", "supports", "b", weight="0.5"), "weight must be"),
        (relation("a", "supports", "b", weight=float("nan")), "weight must be"),
        (relation("a", "supports", "b", provenance="dreamt"), "unknown provenance 'dreamt'"),
        ({"relation": "supports", "from": "a"}, "the relation has no 'to'"),
    ],
)
def test_a_bad_relation_is_a_problem_with_its_line_and_the_others_are_kept(
    aspen: Aspen, write: Write, line: dict[str, object], reason: str
) -> None:
    same = {"text": "text of a", "source": "a", "id": "same"}
    lines = [
        memory("a"),
        line,
        relation("a", "causes", "b"),
        memory("b"),
        same,
        {"id": "twice", "text": "one"},
        {"id": "twice", "text": "two"},
        {"id": "refused", "text": " "},
    ]
    report = import_file(aspen, write("notes.jsonl", jsonl(*lines)))
    assert [problem.number for problem in report.problems] == [2, 8]
    assert reason in report.problems[0].reason
    assert (report.bad, report.relations, report.relations_stored) == (2, 1, 1)
    assert graph(aspen) == {("a", "causes", "b", 0.8, "imported")}


def test_a_second_run_writes_nothing_and_a_changed_weight_is_taken(
    aspen: Aspen, open_store: Open, write: Write
) -> None:
    lines = [memory("a"), memory("b"), relation("a", "supports", "b", weight=0.3)]
    import_file(aspen, write("notes.jsonl", jsonl(*lines)))
    again = open_store("memory.db")
    before = again.repository.revision()
    report = import_file(again, write("notes.jsonl", jsonl(*lines)))
    assert (report.relations, report.relations_stored) == (1, 0)
    assert again.repository.revision() == before
    assert again._engine is None
    lines[2]["weight"] = 0.4
    assert import_file(again, write("notes.jsonl", jsonl(*lines))).relations_stored == 1
    assert graph(aspen) == {("a", "supports", "b", 0.4, "imported")}


def test_of_equal_relations_the_last_one_counts_and_a_second_run_still_writes_nothing(
    aspen: Aspen, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relations_module, "RELATION_BATCH", 1)
    weights = [0.1, 0.9, 0.5]
    lines = [memory("a"), memory("b"), *(relation("a", "supports", "b", weight=w) for w in weights)]
    path = write("notes.jsonl", jsonl(*lines))
    assert import_file(aspen, path).relations_stored == 1
    assert import_file(aspen, path).relations_stored == 0
    assert graph(aspen) == {("a", "supports", "b", 0.5, "imported")}


def test_a_run_after_an_interrupted_one_completes_the_relations(
    aspen: Aspen, open_store: Open, write: Write
) -> None:
    count = 1100
    lines = [memory(number) for number in range(count)]
    relations = [relation(number, "supports", (number + 1) % count) for number in range(count)]
    path = write("notes.jsonl", jsonl(*relations, *lines))

    def interrupt(when: Callable[[ImportProgress], bool]) -> Callable[[ImportProgress], None]:
        def progress(now: ImportProgress) -> None:
            if when(now):
                raise KeyboardInterrupt

        return progress

    with pytest.raises(KeyboardInterrupt):
        import_file(aspen, path, progress=interrupt(lambda now: now.stored >= 256))
    assert graph(aspen) == set()
    with pytest.raises(KeyboardInterrupt):
        import_file(aspen, path, progress=interrupt(lambda now: now.relations > 0))
    assert len(graph(aspen)) == relations_module.RELATION_BATCH
    seen: list[ImportProgress] = []
    report = import_file(open_store("memory.db"), path, progress=seen.append)
    assert (report.stored, report.relations, report.relations_stored) == (0, count, 100)
    assert (seen[-1].done, seen[-1].relations) == (1.0, 100)
    assert len(graph(aspen)) == count
    assert aspen.repository.check() == []


def test_a_line_with_a_text_is_a_memory_whatever_else_it_has(write: Write) -> None:
    path = write("notes.jsonl", jsonl({"text": "my cousin", "relation": "family"}))
    assert [type(reading) for reading in read_plain(Source(path))] == [Record]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([relation("a", "supports", "b")], Format.PLAIN),
        (["oops", relation("a", "supports", "b"), {"messages": []}], Format.CHAT),
        ([relation("a", "supports", "b")] * 40 + [{"aspen_export": 1}], Format.ASPEN),
        ([relation("a", "supports", "b")] * 60 + [{"aspen_export": 1}], Format.PLAIN),
    ],
)
def test_a_file_that_begins_with_relations_is_of_the_format_of_its_memories(
    write: Write, lines: list[object], expected: Format
) -> None:
    assert detect_format(write("file", jsonl(*lines))) is expected


def test_a_plain_line_says_what_kind_of_memory_it_is(aspen: Aspen, write: Write) -> None:
    lines = [
        memory("a", type="belief", stability="canonical", importance="high", tags=["b", "a", "b"]),
        memory("b", importance=0.25, emotion={"label": "joy", "intensity": 0.5}),
        memory("c", type=None, stability=None, importance=None, emotion=None, tags=None),
        memory("d", importance="low", tags=[], provenance="inferred"),
    ]
    assert import_file(aspen, write("notes.jsonl", jsonl(*lines))).bad == 0
    a, b, c, d = stored(aspen)
    assert (a.type, a.stability, a.importance, a.tags) == (
        MemoryType.BELIEF, Stability.CANONICAL, 1.0, ("a", "b"),
    )  # fmt: skip
    assert (b.type, b.importance, b.emotion) == (MemoryType.EPISODIC, 0.25, Emotion("joy", 0.5))
    assert (c.type, c.stability, c.importance, c.emotion, c.tags) == (
        MemoryType.EPISODIC, Stability.TENTATIVE, 0.6, None, (),
    )  # fmt: skip
    assert (d.importance, d.tags, d.provenance) == (0.3, (), Provenance.INFERRED)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": "dream"}, "unknown type 'dream'. One of self, belief, pattern, episodic, semantic."),
        ({"stability": 1}, "unknown stability 1"),
        ({"importance": "huge"}, "importance must be a number in [0, 1], got 'huge'"),
        ({"importance": 1.5}, "importance must be"),
        ({"importance": True}, "importance must be"),
        ({"emotion": "joy"}, "emotion must be an Emotion, got 'joy'. As a mapping it is"),
        ({"emotion": {"label": "joy"}}, "intensity of the emotion must be a number"),
        ({"emotion": {"label": "", "intensity": 0.1}}, "label of the emotion is empty"),
        ({"emotion": {"label": "joy", "intensity": 2}}, "intensity of the emotion must be"),
        ({"emotion": {"label": "joy", "intensity": 0.1, "color": "red"}}, "emotion must be an Emotion"),
        ({"tags": "family"}, "tags must be a list, tuple or set, got str"),
        ({"tags": [1]}, "tag must be a string, got int"),
        ({"tags": ["two\nlines"]}, "tag must be one line"),
        ({"tags": [f"t{number}" for number in range(101)]}, "at most 100 tags, got 101"),
    ],
)
def test_a_bad_kind_of_memory_is_a_problem_with_its_line(
    write: Write, fields: dict[str, object], reason: str
) -> None:
    path = write("notes.jsonl", jsonl(memory("a"), memory("b", **fields), memory("c")))
    first, bad, last = read_plain(Source(path))
    assert isinstance(first, Record)
    assert isinstance(last, Record)
    assert isinstance(bad, Problem)
    assert bad.number == 2
    assert reason in bad.reason


# -- out and back ----------------------------------------------------------------------------------------------


TYPED = [
    MemoryItem(
        "belief",
        type=MemoryType.BELIEF,
        stability=Stability.CANONICAL,
        importance=0.123456789,
        emotion=Emotion("calm", 0.1),
        tags=("b", "a"),
        provenance=Provenance.INFERRED,
    ),
    MemoryItem("first turn", conversation="talk"),
    MemoryItem("second turn", conversation="talk"),
    MemoryItem("third turn", conversation="talk"),
    MemoryItem("fact", type=MemoryType.SEMANTIC, importance=0.0),
]


@pytest.fixture
def typed(aspen: Aspen) -> Aspen:
    belief, first, second, third, fact = aspen.remember_many(TYPED)
    aspen.relate_many(
        [
            Relation(first.id, belief.id, SUPPORTS, 1 / 3),
            Relation(belief.id, fact.id, CAUSES, 0.0, Provenance.INFERRED),
            Relation(fact.id, belief.id, NEXT, 0.7),
            Relation(first.id, third.id, NEXT, 1.0, Provenance.INFERRED),  # not what the store makes
            Relation(second.id, third.id, NEXT, 0.5, Provenance.INFERRED),  # made by the store, then changed
        ]
    )
    aspen.reinforce([first.id, second.id])
    aspen.correct(fact.id, "better fact")
    return aspen


def lines_of(aspen: Aspen, *, conversation: str | None = None) -> list[dict[str, object]]:
    file = io.StringIO()
    export_memories(aspen, file, conversation=conversation)
    return [json.loads(line) for line in file.getvalue().splitlines()]


def kinds(aspen: Aspen) -> list[tuple[object, ...]]:
    return [
        (one.id, one.type, one.stability, one.importance, one.emotion, one.tags, one.provenance)
        for one in stored(aspen)
    ]


def test_an_export_makes_the_same_typed_graph_in_a_new_store(
    typed: Aspen, open_store: Open, tmp_path: Path
) -> None:
    path = tmp_path / "out.jsonl"
    report = export_memories(typed, path)
    assert (report.memories, report.relations) == (6, 8)
    other = open_store("other.db")
    imported = import_file(other, path)
    assert (imported.format, imported.stored, imported.relations_stored, imported.bad) == ("aspen", 6, 8, 0)
    assert kinds(other) == kinds(typed)
    assert graph(other) == graph(typed)
    assert [line for line in lines_of(other)[1:] if "relation" in line] == [
        line for line in lines_of(typed)[1:] if "relation" in line
    ]
    again = import_file(typed, path)
    assert (again.stored, again.relations, again.relations_stored) == (0, 8, 0)


def test_only_next_relations_that_the_store_makes_by_itself_are_left_out(typed: Aspen) -> None:
    texts = {one.id: one.text for one in stored(typed)}
    written = {
        (texts[str(line["from"])], texts[str(line["to"])], line["weight"], line["provenance"])
        for line in lines_of(typed)
        if line.get("relation") == "next"
    }
    assert written == {
        ("fact", "belief", 0.7, "said"),
        ("first turn", "third turn", 1.0, "inferred"),
        ("second turn", "third turn", 0.5, "inferred"),
    }


def test_use_stays_in_the_store(typed: Aspen, open_store: Open, tmp_path: Path) -> None:
    assert {one.access_count for one in stored(typed)} == {0, 1}
    assert not any("access" in name for line in lines_of(typed) for name in line)
    export_memories(typed, tmp_path / "out.jsonl")
    other = open_store("other.db")
    import_file(other, tmp_path / "out.jsonl")
    assert {one.access_count for one in stored(other)} == {0}


def test_an_export_of_a_conversation_has_the_relations_within_it(typed: Aspen) -> None:
    lines = lines_of(typed, conversation="talk")
    assert [line["text"] for line in lines if "text" in line] == ["first turn", "second turn", "third turn"]
    relations = [line for line in lines if "relation" in line]
    ids = {line["id"] for line in lines if "text" in line}
    assert {line["relation"] for line in relations} == {"next", "co_activated"}
    assert {line[end] for line in relations for end in ("from", "to")} <= ids


def test_relations_follow_a_line_whose_text_was_edited(
    typed: Aspen, open_store: Open, tmp_path: Path
) -> None:
    path = tmp_path / "out.jsonl"
    export_memories(typed, path)
    path.write_text(path.read_text().replace('"text": "belief"', '"text": "a firm belief"'))
    other = open_store("other.db")
    assert import_file(other, path).bad == 0
    assert ("first turn", "supports", "a firm belief", 1 / 3, "said") in graph(other)


def test_all_relations_of_a_hub_are_exported(aspen: Aspen, tmp_path: Path) -> None:
    aspen.remember("leaf")
    (leaf,) = encoded(aspen.engine, ["leaf"])
    others = [replace(leaf, id=f"m_{number}") for number in range(MAX_LIMIT + 5)]
    hub = aspen.repository.get_by_seq([1])[0]
    leaves = aspen.repository.add(others)
    aspen.repository.relate([Edge(hub.seq, one.seq, "supports", 0.5, Provenance.SAID) for one in leaves])
    path = tmp_path / "out.jsonl"
    assert export_memories(aspen, path).relations == MAX_LIMIT + 5
    relations_only = tmp_path / "relations.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    relations_only.write_text("".join(line for line in lines if '"relation"' in line))
    report = import_file(aspen, relations_only)
    assert (report.relations, report.relations_stored) == (MAX_LIMIT + 5, 5)  # the bound of `_changed`
    assert aspen.repository.stats().edges == MAX_LIMIT + 5


def test_a_reading_of_a_relation_keeps_the_ids_of_the_file(write: Write) -> None:
    path = write("notes.jsonl", jsonl(relation(1, "supports", "b", weight=1)))
    (reading,) = read_plain(Source(path))
    assert reading == RelationRecord(1, Relation("1", "b", SUPPORTS, 1.0, Provenance.IMPORTED))
