from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aspen import Aspen, MemoryItem
from aspen.errors import InvalidInput, NotFound, StoreNotWritable
from aspen.interchange import ExportReport, export_memories, import_file
from aspen.types import Memory, Provenance

ITEMS = [
    MemoryItem("one", "Ann", datetime(2026, 5, 2, 18, 30, 0, 123456, tzinfo=UTC), "pets", "a.jsonl:1"),
    MemoryItem("zwei — ünï\u2028code 🙂\nline", None, None, None, None, Provenance.GENERATED),
    MemoryItem("two", "Bo", None, "pets", None, Provenance.IMPORTED),
]


def facts(memory: Memory) -> tuple[object, ...]:
    return (memory.id, memory.text, memory.speaker, memory.said_at, memory.conversation, memory.source,
            memory.provenance)  # fmt: skip


def contents(aspen: Aspen) -> list[tuple[object, ...]]:
    return [facts(memory) for memory in aspen.repository.list(limit=10_000)[::-1]]


def test_an_export_makes_the_same_memories_in_a_new_store(
    aspen: Aspen, open_store: Callable[[str], Aspen], tmp_path: Path
) -> None:
    aspen.remember_many(ITEMS)
    path = tmp_path / "out.jsonl"
    assert export_memories(aspen, path) == ExportReport(memories=3, relations=0)
    other = open_store("other.db")
    report = import_file(other, path)
    assert (report.format, report.stored, report.bad) == ("aspen", 3, 0)
    assert contents(other) == contents(aspen)
    assert import_file(aspen, path).stored == 0


def test_the_first_line_says_what_the_file_is(aspen: Aspen) -> None:
    aspen.remember_many(ITEMS)
    file = io.StringIO()
    export_memories(aspen, file, conversation="pets")
    header, *lines = [json.loads(line) for line in file.getvalue().splitlines()]
    assert header["aspen_export"] == 1
    assert [line["text"] for line in lines] == ["one", "two"]
    assert lines[0]["said_at"] == "2026-05-02T18:30:00.123456+00:00"


def test_what_was_amended_is_written_and_its_version_is_not(
    aspen: Aspen, open_store: Callable[[str], Aspen]
) -> None:
    memory = aspen.remember("one", tags=["a"])
    aspen.amend(memory.id, type="belief", tags=["b"])
    file = io.StringIO()
    export_memories(aspen, file)
    line = json.loads(file.getvalue().splitlines()[1])
    assert (line["type"], line["tags"], "version" in line) == ("belief", ["b"], False)
    again = open_store("other.db").remember_many(
        [{"text": "one", "type": line["type"], "tags": line["tags"]}]
    )
    assert (again[0].id, again[0].version) == (memory.id, 1)


def test_many_memories_are_exported_oldest_first(aspen: Aspen) -> None:
    aspen.remember_many([MemoryItem(f"note {number}") for number in range(1200)])
    file, seen = io.StringIO(), list[int]()
    export_memories(aspen, file, progress=seen.append)
    texts = [json.loads(line)["text"] for line in file.getvalue().splitlines()[1:]]
    assert texts == [f"note {number}" for number in range(1200)]
    assert seen == [500, 1000, 1200]


def test_an_older_export_is_replaced_and_another_file_is_not(aspen: Aspen, tmp_path: Path) -> None:
    aspen.remember_many(ITEMS[:1])
    path = tmp_path / "out.jsonl"
    export_memories(aspen, path)
    assert path.stat().st_mode & 0o777 == 0o600
    aspen.remember_many(ITEMS)
    assert export_memories(aspen, path).memories == 3
    assert len(path.read_text(encoding="utf-8").split("\n")) == 5
    other = tmp_path / "letter.txt"
    other.write_text("dear Ann")
    with pytest.raises(InvalidInput, match="not an export"):
        export_memories(aspen, other)
    assert other.read_text() == "dear Ann"


def test_nothing_is_left_where_an_export_cannot_be_written(aspen: Aspen, tmp_path: Path) -> None:
    aspen.remember_many(ITEMS)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InvalidInput, match="is a folder"):
        export_memories(aspen, tmp_path)
    missing = tmp_path / "missing" / "out.jsonl"
    with pytest.raises(StoreNotWritable) as caught:
        export_memories(aspen, missing)
    assert caught.value.message == f"{missing} cannot be written: No such file or directory."
    with pytest.raises(NotFound, match="no conversation 'cats'"):
        export_memories(aspen, tmp_path / "out.jsonl", conversation="cats")
    with pytest.raises(InvalidInput, match="the store itself"):
        export_memories(aspen, tmp_path / "memory.db")

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_memories(aspen, tmp_path / "out.jsonl", progress=stop)
    assert sorted(tmp_path.iterdir()) == before


def test_an_export_of_a_newer_version_is_refused(aspen: Aspen, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text('{"aspen_export": 2}\n{"text": "a"}\n')
    with pytest.raises(InvalidInput, match=r"version 2, this Aspen reads version 1. Upgrade"):
        import_file(aspen, path)


def test_an_empty_store_makes_an_empty_export(aspen: Aspen, tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    assert export_memories(aspen, path) == ExportReport(memories=0, relations=0)
    assert import_file(aspen, path).read == 0
