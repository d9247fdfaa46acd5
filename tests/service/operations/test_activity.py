"""Minutes are counted until time is up, the newest first; what is left is left to the next."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from service.components import components
from service.operations import activity
from service.operations.activity import Minute
from service.queries.overview import Count

NOW = datetime(2026, 11, 21, 12, 30, 20, tzinfo=UTC)
Counted = list[datetime]


@pytest.fixture
def counted(context: Flask, monkeypatch: pytest.MonkeyPatch) -> Counted:
    """The minutes that were counted; each takes a hundredth of a second on a clock of our own."""
    seen: Counted = []
    monkeypatch.setattr("service.operations.activity.time.monotonic", lambda: len(seen) / 100)

    def count(start: datetime, end: datetime) -> list[Count]:
        assert end - start == timedelta(minutes=1)
        seen.append(start)
        return [Count("sent", "twilio", None, 1)]

    monkeypatch.setitem(activity.COUNTERS, "messages", count)
    return seen


def last_hour(counted: Counted) -> list[Minute]:
    """Count for eight hundredths of a second."""
    return activity.last_hour("messages", NOW, until=len(counted) / 100 + 0.08)


def test_one_look_counts_until_its_time_is_up_and_the_next_goes_on(counted: Counted) -> None:
    first = last_hour(counted)
    assert [minute.start for minute in first][::-1][:3] == [
        datetime(2026, 11, 21, 12, minute, tzinfo=UTC) for minute in (30, 29, 28)
    ]
    known = [minute.counts is not None for minute in first]
    assert sum(known) == 9
    assert known == sorted(known), "the newest are known"
    counted.clear()
    second = last_hour(counted)
    assert sum(minute.counts is not None for minute in second) == 17
    assert len(counted) == 9, "the one that still fills, and eight more"


def test_after_a_few_requests_the_hour_is_whole_and_only_its_end_is_counted(
    counted: Counted,
) -> None:
    for _ in range(12):
        hour = last_hour(counted)
    assert all(minute.counts == [Count("sent", "twilio", None, 1)] for minute in hour)
    counted.clear()
    last_hour(counted)
    assert [one.minute for one in counted] == [30]


def test_who_has_no_time_counts_this_minute_unless_told_to_leave_it_as_well(
    counted: Counted,
) -> None:
    hour = activity.last_hour("messages", NOW, until=-1)
    assert [minute.counts is not None for minute in hour] == [False] * 59 + [True]
    hour = activity.last_hour("messages", NOW, until=-1, at_least=0)
    assert not any(minute.counts for minute in hour)


def test_a_count_of_yesterday_is_not_that_of_today(counted: Counted) -> None:
    """Names hold the time of day only: no count lives for a day."""
    assert all(activity._seconds(age) <= 120 for age in range(activity.MINUTES))
    last_hour(counted)
    assert components().cache.read(["messages:1228"]) == [[["sent", "twilio", None, 1]]]
