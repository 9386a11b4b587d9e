from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aspen.errors import InvalidInput
from aspen.interchange import Format, detect_format
from aspen.interchange import lines as lines_module
from aspen.interchange.chat_jsonl import read_chat
from aspen.interchange.locomo import read_locomo
from aspen.interchange.plain_jsonl import read_plain
from aspen.interchange.records import LeftOut, Problem, Reader, Reading, Record, Source
from aspen.types import MemoryItem, Provenance

Write = Callable[[str, str | bytes], Path]


def read(reader: Reader, path: Path, conversation: str | None = None) -> list[Reading]:
    return list(reader(Source(path, conversation)))


def items(readings: list[Reading]) -> list[MemoryItem]:
    return [reading.item for reading in readings if isinstance(reading, Record)]


def problems(readings: list[Reading]) -> list[tuple[int, str]]:
    return [(reading.number, reading.reason) for reading in readings if isinstance(reading, Problem)]


def jsonl(*values: object) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def test_chat_messages_become_memories(write: Write) -> None:
    line = {
        "id": "c7",
        "conversation": "family",
        "created": 1_683_553_000,
        "messages": [
            {"role": "system", "content": "You are kind."},
            {"role": "user", "content": "Mara moved", "name": "Ann"},
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "Where"}, {"type": "text", "text": "to?"}],
            },
            {"role": "assistant", "content": None, "tool_calls": []},
            {"role": "tool", "content": "Lisbon", "id": "call-1", "created_at": "2024-01-02T03:04:05+02:00"},
        ],
    }
    readings = read(read_chat, write("chat.jsonl", jsonl(line)))
    time = datetime(2023, 5, 8, 13, 36, 40, tzinfo=UTC)
    assert items(readings) == [
        MemoryItem("Mara moved", "Ann", time, "family", "c7#2", Provenance.IMPORTED),
        MemoryItem("Where\nto?", "assistant", time, "family", "c7#3", Provenance.GENERATED),
        MemoryItem(
            "Lisbon",
            "tool",
            datetime(2024, 1, 2, 1, 4, 5, tzinfo=UTC),
            "family",
            "call-1",
            Provenance.IMPORTED,
        ),
    ]
    assert sum(isinstance(reading, LeftOut) for reading in readings) == 2


def test_a_chat_line_without_names_gets_them_from_its_place(write: Write) -> None:
    message = {"messages": [{"role": "user", "content": "hi"}]}
    path = write("chat.jsonl", jsonl(message, message))
    first, second = items(read(read_chat, path))
    assert (first.source, first.conversation) == ("chat.jsonl:1#1", "chat.jsonl:1")
    assert (second.source, second.conversation) == ("chat.jsonl:2#1", "chat.jsonl:2")
    assert {item.conversation for item in items(read(read_chat, path, "given"))} == {"given"}


def test_a_bad_message_is_named_and_the_others_kept(write: Write) -> None:
    messages = [
        {"role": "user", "content": "one"},
        "two",
        {"role": "user", "content": {"text": "three"}},
        {"role": "user", "content": "four", "created": float("inf")},
        {"role": "user", "content": "fi\u0000ve"},
        {"role": "user", "content": "six"},
    ]
    readings = read(read_chat, write("chat.jsonl", jsonl({"messages": messages}, {"messages": 1})))
    assert [item.text for item in items(readings)] == ["one", "six"]
    assert [number for number, _ in problems(readings)] == [1, 1, 1, 1, 2]
    assert [reason.split(":")[0] for _, reason in problems(readings)][:4] == [
        f"message {position}" for position in (2, 3, 4, 5)
    ]


def test_plain_lines_become_memories(write: Write) -> None:
    path = write(
        "notes.jsonl",
        jsonl(
            {"text": "a", "speaker": "Ann", "said_at": "2026-05-02T18:30:00+02:00", "conversation": "pets"},
            {"text": "b", "id": 17, "created": 1_683_553_000_000},
            {"text": "c", "source": "diary", "unknown": [1], "provenance": None},
            {"text": "d", "source": "diary", "provenance": "generated"},
        ),
    )
    assert items(read(read_plain, path, "notes")) == [
        MemoryItem(
            "a", "Ann", datetime(2026, 5, 2, 16, 30, tzinfo=UTC), "pets", "notes.jsonl:1", Provenance.IMPORTED
        ),
        MemoryItem(
            "b", None, datetime(2023, 5, 8, 13, 36, 40, tzinfo=UTC), "notes", "17", Provenance.IMPORTED
        ),
        MemoryItem("c", None, None, "notes", "diary", Provenance.IMPORTED),
        MemoryItem("d", None, None, "notes", "diary", Provenance.GENERATED),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "caf\xe9"}', "not UTF-8"),
        (b'{"text": "cut', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"text": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'["text"]', "expected a JSON object, got list"),
        (b'{"speaker": "Ann"}', "no 'text'"),
        (b'{"text": null}', "must be a string"),
        (b'{"text": "  "}', "empty"),
        (b'{"text": "a\\u0000b"}', "U+0000"),
        (b'{"text": "a\\ud800b"}', "U+D800"),
        (b'{"text": "a\\u001b[2J"}', "U+001B"),
        (b'{"text": "' + b"a" * 1_000_000 + b'"}', "1,000,000 characters"),
        (b'{"text": "a", "said_at": "yesterday"}', "no date"),
        (b'{"text": "a", "said_at": [2026]}', "datetime"),
        (b'{"text": "a", "provenance": "dreamt"}', "unknown provenance 'dreamt'"),
        (b'{"text": "a", "created": NaN}', "no time"),
        (b'{"text": "a", "created": 1e300}', "no time"),
        (b'{"text": "a", "conversation": {"id": 1}}', "conversation must be a string"),
        (b'{"text": "a", "speaker": "' + b"x" * 501 + b'"}', "501 characters"),
    ],
)
def test_a_bad_line_is_a_problem_with_its_number(write: Write, line: bytes, reason: str) -> None:
    path = write("notes.jsonl", b'{"text": "first"}\n\n' + line + b'\n{"text": "last"}')
    readings = read(read_plain, path)
    assert [item.text for item in items(readings)] == ["first", "last"]
    ((number, found),) = problems(readings)
    assert number == 3
    assert reason in found
    assert "Item 0" not in found


def test_a_line_that_is_too_long_is_passed_over(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "MAX_LINE", 64)
    long = json.dumps({"text": "x" * 200})
    readings = read(read_plain, write("notes.jsonl", f'{{"text": "a"}}\n{long}\n{{"text": "b"}}\n{long}'))
    assert [item.text for item in items(readings)] == ["a", "b"]
    assert [number for number, _ in problems(readings)] == [2, 4]
    done = [reading.done for reading in readings if isinstance(reading, Record)]
    assert done == sorted(done)
    assert done[-1] <= 1


def test_a_byte_order_mark_is_ignored(write: Write) -> None:
    path = write("notes.jsonl", b'\xef\xbb\xbf{"text": "a"}\r\n{"text": "b"}\r\n')
    assert [item.text for item in items(read(read_plain, path))] == ["a", "b"]


LOCOMO = [
    {
        "sample_id": "conv-1",
        "qa": [],
        "conversation": {
            "speaker_a": "Ann",
            "session_2": [{"speaker": "Bo", "dia_id": "D2:1", "text": "Hello"}],
            "session_2_date_time": "12:10 am on 11 August, 2023",
            "session_1": [
                {"speaker": "Ann", "dia_id": "D1:1", "text": "Look", "blip_caption": "a photo of a cat"},
                {"speaker": "Bo", "dia_id": "D1:2", "text": "Nice"},
            ],
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_3_date_time": "9:00 am on 1 September, 2023",
        },
    }
]


def test_locomo_turns_become_memories(write: Write) -> None:
    readings = read(read_locomo, write("locomo.json", json.dumps(LOCOMO, indent=1)))
    first = datetime(2023, 5, 8, 13, 56, tzinfo=UTC)
    assert items(readings) == [
        MemoryItem("Look [shares a photo of a cat]", "Ann", first, "conv-1", "D1:1", Provenance.IMPORTED),
        MemoryItem("Nice", "Bo", first, "conv-1", "D1:2", Provenance.IMPORTED),
        MemoryItem(
            "Hello", "Bo", datetime(2023, 8, 11, 0, 10, tzinfo=UTC), "conv-1", "D2:1", Provenance.IMPORTED
        ),
    ]
    assert [r.done for r in readings if isinstance(r, Record)] == pytest.approx([1 / 3, 2 / 3, 1])


def test_what_is_wrong_in_a_locomo_file_is_named(write: Write) -> None:
    broken = json.loads(json.dumps(LOCOMO))
    conversation = broken[0]["conversation"]
    conversation["session_1_date_time"] = "once upon a time"
    conversation["session_2"] = [7, {"dia_id": "D2:2", "text": ""}, {"dia_id": "D2:3", "text": "ok"}]
    readings = read(read_locomo, write("locomo.json", json.dumps([*broken, {"qa": []}, 3])))
    assert [item.text for item in items(readings)] == ["ok"]
    found = problems(readings)
    assert [number for number, _ in found] == [1, 3, 4, 6, 6]
    assert "'once upon a time' is no date, so its 2 turns are not read" in found[0][1]
    assert "turn D2:2 of conv-1" in found[2][1]
    assert "sample 2" in found[3][1]


def test_a_locomo_file_that_is_no_json_is_refused(write: Write) -> None:
    with pytest.raises(InvalidInput, match="not a LoCoMo file"):
        read(read_locomo, write("locomo.json", '[{"sample_id": '))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (jsonl({"messages": []}), Format.CHAT),
        ("not json\n" + jsonl({"text": "a", "messages": "none"}), Format.PLAIN),
        ("\ufeff\n  " + json.dumps(LOCOMO, indent=2), Format.LOCOMO),
        (json.dumps(LOCOMO[0]), Format.LOCOMO),
        (jsonl({"aspen_export": 1}), Format.ASPEN),
    ],
)
def test_the_format_is_told_by_the_content(write: Write, content: str, expected: Format) -> None:
    assert detect_format(write("file", content)) is expected


@pytest.mark.parametrize("content", ["hello\n", jsonl({"a": 1}), "\n\n", b"\xff\xfe\x00\x01"])
def test_a_file_of_no_known_format_is_refused(write: Write, content: str | bytes) -> None:
    with pytest.raises(InvalidInput, match="which format it is: chat, plain, locomo, aspen"):
        detect_format(write("file", content))
