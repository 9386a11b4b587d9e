"""Times that prompts name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from aspen.resonance_search.dates import periods_in

NOW = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)  # a Saturday


def days(text: str, *, now: datetime = NOW, years: tuple[int, ...] = (2023, 2024)) -> list[tuple[str, str]]:
    return [
        (f"{period.start:%Y-%m-%d}", f"{period.end:%Y-%m-%d}")
        for period in periods_in(text, now=now, years=years)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What did Ann do on 8 May, 2023?", [("2023-05-08", "2023-05-09")]),
        ("what happened on May 8th 2023", [("2023-05-08", "2023-05-09")]),
        ("Who came on the 8th of May 2023?", [("2023-05-08", "2023-05-09")]),
        ("the log of 2023-05-08", [("2023-05-08", "2023-05-09")]),
        ("Where was I in May 2023?", [("2023-05-01", "2023-06-01")]),
        ("Where was I in Dec. 2023?", [("2023-12-01", "2024-01-01")]),
        ("Where was I in September, 2023?", [("2023-09-01", "2023-10-01")]),
        ("trips in 2023", [("2023-01-01", "2024-01-01")]),
        ("What came in May?", [("2023-05-01", "2023-06-01"), ("2024-05-01", "2024-06-01")]),
        ("our call on 29 February", [("2024-02-29", "2024-03-01")]),
        ("today", [("2026-11-21", "2026-11-22")]),
        ("yesterday", [("2026-11-20", "2026-11-21")]),
        ("the day before yesterday", [("2026-11-19", "2026-11-20")]),
        ("last Friday", [("2026-11-20", "2026-11-21")]),
        ("last Saturday", [("2026-11-14", "2026-11-15")]),
        ("this week", [("2026-11-16", "2026-11-23")]),
        ("last week", [("2026-11-09", "2026-11-16")]),
        ("last weekend", [("2026-11-14", "2026-11-16")]),
        ("this month", [("2026-11-01", "2026-12-01")]),
        ("last month", [("2026-10-01", "2026-11-01")]),
        ("last year", [("2025-01-01", "2026-01-01")]),
        ("three days ago", [("2026-11-18", "2026-11-19")]),
        ("2 weeks ago", [("2026-11-04", "2026-11-11")]),
        ("over the past ten days", [("2026-11-11", "2026-11-22")]),
        ("said at 2023-05-08T10:00", [("2023-05-08", "2023-05-09")]),
        ("on 30/05/2023", [("2023-05-30", "2023-05-31")]),
        ("on 5.6.2023", [("2023-06-05", "2023-06-06"), ("2023-05-06", "2023-05-07")]),
        ("last May", [("2026-05-01", "2026-06-01")]),
        ("last December", [("2025-12-01", "2026-01-01")]),
        ("in May and June 2023", [("2023-05-01", "2023-06-01"), ("2023-06-01", "2023-07-01")]),
        ("on 8th and 9th of May 2023", [("2023-05-08", "2023-05-09"), ("2023-05-09", "2023-05-10")]),
        ("8-10 May 2023", [("2023-05-08", "2023-05-11")]),
        ("between 2000 and 2010", [("2000-01-01", "2011-01-01")]),
        ("from May to July 2023", [("2023-05-01", "2023-08-01")]),
        ("between 3 May 2023 and June 2024", [("2023-05-03", "2024-07-01")]),
        ("between May and July", [("2023-05-01", "2023-08-01"), ("2024-05-01", "2024-08-01")]),
        ("before 2022", [("1-01-01", "2022-01-01")]),
        ("until May 2022", [("1-01-01", "2022-06-01")]),
        ("after May 2023", [("2023-06-01", "9999-12-31")]),
        ("since last week", [("2026-11-09", "9999-12-31")]),
        ("a week after 8 May 2023", [("2023-05-09", "2023-05-16")]),
        ("the day before 8 May 2023", [("2023-05-07", "2023-05-08")]),
    ],
)
def test_a_time_is_read_as_the_period_it_names(text: str, expected: list[tuple[str, str]]) -> None:
    assert days(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "May I ask who marched?",
        "Which version, 3.11 or 12?",
        "31 November 2023",
        "Do they march and may I?",
        "What is new recently?",
        "room 20231",
        "",
    ],
)
def test_what_names_no_time_is_read_as_none(text: str) -> None:
    assert days(text) == []


def test_several_times_are_all_read() -> None:
    assert days("Did Ann go in May 2023 or on 3 June 2024?") == [
        ("2023-05-01", "2023-06-01"),
        ("2024-06-03", "2024-06-04"),
    ]
    assert days("in May or June") == [
        ("2023-05-01", "2023-06-01"),
        ("2024-05-01", "2024-06-01"),
        ("2023-06-01", "2023-07-01"),
        ("2024-06-01", "2024-07-01"),
    ]


def test_the_end_of_the_calendar_has_no_end() -> None:
    assert days("what happened in December, on 31 December?", years=(2023, 9999)) == [
        ("2023-12-01", "2024-01-01"),
        ("2023-12-31", "2024-01-01"),
    ]


def test_yesterday_is_that_of_the_one_who_asks() -> None:
    auckland = timezone(timedelta(hours=13))
    (period,) = periods_in("yesterday", now=NOW.astimezone(auckland), years=())
    assert period.start == datetime(2026, 11, 21, tzinfo=auckland)
    assert period.end - period.start == timedelta(days=1)
