import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from aspen.errors import InvalidInput
from aspen.items import check_item, memory_id
from aspen.types import MemoryItem, Provenance

NOON = datetime(2026, 5, 8, 12, tzinfo=UTC)
ITEM = MemoryItem(
    "Mara lives in Lisbon.",
    speaker="Ann",
    said_at=NOON,
    conversation="c",
    source="chat.jsonl:1",
    provenance=Provenance.IMPORTED,
)


def test_an_item_and_a_mapping_of_its_fields_are_the_same() -> None:
    mapping = {
        "text": "Mara lives in Lisbon.",
        "speaker": "Ann",
        "said_at": "2026-05-08T14:00:00+02:00",
        "conversation": "c",
        "source": "chat.jsonl:1",
        "provenance": "imported",
    }
    assert check_item(mapping) == check_item(ITEM) == ITEM
    assert check_item({"text": "Rain."}) == MemoryItem("Rain.")


def test_times_come_as_strings_or_datetimes_and_leave_in_utc() -> None:
    assert check_item(MemoryItem("Rain.", said_at=datetime(2026, 5, 8, 12))).said_at == NOON
    assert check_item({"text": "Rain.", "said_at": "2026-05-08"}).said_at == datetime(2026, 5, 8, tzinfo=UTC)
    assert check_item({"text": "Rain.", "said_at": "2026-05-08T12:00:00Z"}).said_at == NOON


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("only a text", "expected a MemoryItem or a mapping, got str"),
        (None, "expected a MemoryItem or a mapping, got NoneType"),
        ({}, "text must be a string"),
        ({"text": ""}, "text is empty"),
        ({"text": "a\0"}, r"text has U\+0000"),
        ({"text": "a", "speaker": "A\nnn"}, "speaker must be one line"),
        ({"text": "a", "said_at": "yesterday"}, "said_at 'yesterday' is no date"),
        ({"text": "a", "said_at": 5}, "said_at must be a datetime"),
        ({"text": "a", "provenance": "dreamt"}, "unknown provenance 'dreamt'"),
        ({"text": "a", "provenance": None}, "unknown provenance None"),
        ({"text": "a", "when": NOON}, "unknown field 'when'"),
        ({"text": "a", 5: NOON}, "unknown field '5'"),
    ],
)
def test_a_bad_item_is_named_by_its_position_and_by_what_is_wrong(bad: Any, why: str) -> None:
    with pytest.raises(InvalidInput, match=f"^Item 7: {why}") as caught:
        check_item(bad, position=7)
    assert caught.value.details["position"] == 7


def test_equal_items_have_equal_ids_however_their_time_is_written() -> None:
    there = replace(ITEM, said_at=NOON.astimezone(timezone(timedelta(hours=9))))
    assert memory_id(check_item(there)) == memory_id(check_item(ITEM)) == memory_id(ITEM)
    assert re.fullmatch(r"m_[0-9a-f]{20}", memory_id(ITEM))


@pytest.mark.parametrize(
    "change",
    [
        {"text": "Mara lives in Lisbon!"},
        {"speaker": None},
        {"said_at": NOON + timedelta(microseconds=1)},
        {"said_at": None},
        {"conversation": "d"},
        {"source": "chat.jsonl:2"},
    ],
)
def test_items_that_differ_have_other_ids(change: Mapping[str, Any]) -> None:
    assert memory_id(replace(ITEM, **change)) != memory_id(ITEM)


def test_fields_do_not_run_into_each_other() -> None:
    assert memory_id(MemoryItem("b", speaker="a")) != memory_id(MemoryItem("b", conversation="a"))
    assert memory_id(MemoryItem('a", "b')) != memory_id(MemoryItem("b", speaker="a"))


def test_ids_stay_what_they_are() -> None:
    # Stores and exports name memories by them: a change here makes every memory a new one.
    assert memory_id(MemoryItem("Grüße", speaker="Ann", said_at=NOON)) == "m_275e97a9fb6849b53def"
