from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from aspen import Aspen, MemoryItem
from aspen.errors import InvalidInput, ModelError, StoreError
from aspen.interchange import Format, ImportProgress, Problem, import_file
from aspen.types import Memory, Provenance

Write = Callable[[str, str | bytes], Path]


def plain(*texts: str) -> str:
    return "".join(json.dumps({"text": text}) + "\n" for text in texts)


def stored(aspen: Aspen) -> list[Memory]:
    return aspen.repository.list(limit=10_000)[::-1]


def test_a_file_is_remembered_in_its_order(aspen: Aspen, write: Write) -> None:
    texts = [f"note {number}" for number in range(300)]
    seen: list[ImportProgress] = []
    report = import_file(aspen, write("notes.jsonl", plain(*texts)), conversation="n", progress=seen.append)
    assert (report.format, report.read, report.stored, report.already_there) == (Format.PLAIN, 300, 300, 0)
    assert (report.bad, report.left_out, report.problems) == (0, 0, ())
    assert [memory.text for memory in stored(aspen)] == texts
    assert {memory.provenance for memory in stored(aspen)} == {Provenance.IMPORTED}
    assert [progress.stored for progress in seen] == [128, 256, 300]
    assert seen[-1].done == 1


def test_a_second_run_adds_nothing_and_needs_no_model(
    aspen: Aspen, open_store: Callable[[str], Aspen], write: Write
) -> None:
    path = write("notes.jsonl", plain("a", "a", "b"))
    assert import_file(aspen, path).stored == 3  # equal texts of one file stay apart
    again = open_store("memory.db")
    report = import_file(again, path)
    assert (report.read, report.stored, report.already_there) == (3, 0, 3)
    assert again._engine is None
    assert len(stored(again)) == 3


def test_records_that_say_they_are_the_same_are_one_memory(aspen: Aspen, write: Write) -> None:
    line = json.dumps({"text": "a", "source": "s"}) + "\n"
    report = import_file(aspen, write("notes.jsonl", line * 3))
    assert (report.read, report.stored, report.already_there) == (3, 1, 2)


def test_an_interrupted_import_goes_on_where_it_was(aspen: Aspen, write: Write) -> None:
    path = write("notes.jsonl", plain(*(f"note {number}" for number in range(300))))

    def interrupt(progress: ImportProgress) -> None:
        if progress.stored >= 256:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_file(aspen, path, progress=interrupt)
    assert len(stored(aspen)) == 256
    assert aspen.repository.check() == []
    report = import_file(aspen, path)
    assert (report.stored, report.already_there) == (44, 256)
    assert [memory.text for memory in stored(aspen)] == [f"note {number}" for number in range(300)]


def test_bad_lines_are_reported_and_the_rest_kept(aspen: Aspen, write: Write) -> None:
    path = write("notes.jsonl", plain("a") + "oops\n" + plain("b") + "{}\n")
    report = import_file(aspen, path)
    assert report.stored == 2
    assert report.bad == 2
    assert [problem.number for problem in report.problems] == [2, 4]
    assert report.problems[1] == Problem(4, "the line has no 'text'")


@pytest.mark.parametrize("kind", [InvalidInput, ModelError])
def test_records_that_are_refused_when_stored_are_reported_and_the_rest_kept(
    aspen: Aspen, write: Write, monkeypatch: pytest.MonkeyPatch, kind: type[InvalidInput | ModelError]
) -> None:
    remember = aspen.remember_many

    def refuse(items: list[MemoryItem]) -> list[Memory]:
        for position, item in enumerate(items):
            if item.text.startswith("bad"):
                raise kind(f"Item {position}: too odd.")
        return remember(items)

    monkeypatch.setattr(aspen, "remember_many", refuse)
    report = import_file(aspen, write("notes.jsonl", plain("a", "bad 1", "b", "bad 2", "c")))
    assert [memory.text for memory in stored(aspen)] == ["a", "b", "c"]
    assert (report.read, report.stored, report.already_there, report.bad) == (3, 3, 0, 2)
    assert report.problems == (Problem(2, "too odd."), Problem(4, "too odd."))


def test_what_is_no_fault_of_a_record_ends_an_import(
    aspen: Aspen, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("notes.jsonl", plain("a", "b"))

    def fail(*_: object) -> None:
        raise StoreError("The disk is full.")

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="disk"):
        patch.setattr(aspen, "remember_many", fail)
        import_file(aspen, path)
    with Aspen.open(tmp_path / "other.db", config=replace(aspen.config, model=str(tmp_path))) as modelless:
        with pytest.raises(ModelError):
            import_file(modelless, path)
        assert stored(modelless) == []


def test_problems_of_a_wholly_bad_file_are_counted_and_not_hoarded(aspen: Aspen, write: Write) -> None:
    report = import_file(aspen, write("notes.jsonl", "oops\n" * 1500), format=Format.PLAIN)
    assert (report.bad, len(report.problems), report.read) == (1500, 1000, 0)


def test_the_format_can_be_given(aspen: Aspen, write: Write) -> None:
    line = json.dumps({"text": "as text", "messages": [{"role": "user", "content": "as message"}]})
    path = write("both.jsonl", line)
    import_file(aspen, path, format=Format.PLAIN)
    import_file(aspen, path)
    assert [memory.text for memory in stored(aspen)] == ["as text", "as message"]


def test_a_file_name_that_cannot_be_stored_is_no_hindrance(aspen: Aspen, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"no\ntes\xff.jsonl")
    path.write_text(plain("a"))
    import_file(aspen, path)
    assert [memory.source for memory in stored(aspen)] == ["no?tes?.jsonl:1"]


def test_what_cannot_be_read_is_refused(aspen: Aspen, write: Write, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, reason in [
        (write("empty.jsonl", ""), "is empty"),
        (tmp_path, "is a folder"),
        (tmp_path / "pipe", "not a regular file"),
        (tmp_path / "missing.jsonl", "cannot be read"),
        (Path("a\0b"), "NUL"),
        (tmp_path / ("x" * 300), "cannot be used"),
        (Path("~nobody-of-this-name/a.jsonl"), "cannot be used"),
    ]:
        with pytest.raises(InvalidInput, match=reason):
            import_file(aspen, path)
    with pytest.raises(InvalidInput, match="conversation"):
        import_file(aspen, write("a.jsonl", plain("a")), conversation="two\nlines")
    assert stored(aspen) == []


def test_the_store_itself_is_not_imported(aspen: Aspen, tmp_path: Path) -> None:
    aspen.remember_many([MemoryItem("a")])
    (tmp_path / "link").symlink_to(tmp_path / "memory.db")
    for path in (tmp_path / "memory.db", tmp_path / "link"):
        with pytest.raises(InvalidInput, match="is the store itself"):
            import_file(aspen, path)
