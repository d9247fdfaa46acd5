"""Minutes are counted newest first until a time limit; the next overview continues."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from service.components import components
from service.operations import activity
from service.operations.activity import Minute
from service.queries.overview import StatusCount

NOW = datetime(2026, 11, 21, 12, 30, 20, tzinfo=UTC)
CountedMinutes = list[datetime]


@pytest.fixture
def counted(context: Flask, monkeypatch: pytest.MonkeyPatch) -> CountedMinutes:
    """Return the minutes that were counted; each takes 10 ms of a fake clock."""
    minutes: CountedMinutes = []
    monkeypatch.setattr("service.operations.activity.time.monotonic", lambda: len(minutes) / 100)

    def count(start: datetime, end: datetime) -> list[StatusCount]:
        assert end - start == timedelta(minutes=1)
        minutes.append(start)
        return [StatusCount("sent", "twilio", None, 1)]

    monkeypatch.setitem(activity.COUNTERS, "messages", count)
    return minutes


def last_hour(counted: CountedMinutes) -> list[Minute]:
    """Count for 80 ms."""
    return activity.last_hour("messages", NOW, deadline=len(counted) / 100 + 0.08)


def test_counting_stops_at_the_deadline_and_continues(counted: CountedMinutes) -> None:
    first = last_hour(counted)
    assert [minute.start for minute in first][::-1][:3] == [
        datetime(2026, 11, 21, 12, minute, tzinfo=UTC) for minute in (30, 29, 28)
    ]
    is_counted = [minute.counts is not None for minute in first]
    assert sum(is_counted) == 9
    assert is_counted == sorted(is_counted), "the newest are counted"
    counted.clear()
    second = last_hour(counted)
    assert sum(minute.counts is not None for minute in second) == 17
    assert len(counted) == 9, "the current one, and eight more"


def test_past_minutes_are_counted_once(
    counted: CountedMinutes,
) -> None:
    for _ in range(12):
        hour = last_hour(counted)
    assert all(minute.counts == [StatusCount("sent", "twilio", None, 1)] for minute in hour)
    counted.clear()
    last_hour(counted)
    assert [minute.minute for minute in counted] == [30]


def test_current_minute_is_counted_after_the_deadline(
    counted: CountedMinutes,
) -> None:
    hour = activity.last_hour("messages", NOW, deadline=-1)
    assert [minute.counts is not None for minute in hour] == [False] * 59 + [True]


def test_cached_counts_expire_within_two_minutes(counted: CountedMinutes) -> None:
    """Cache keys hold the time of day only: no count may live for a day."""
    assert all(activity._ttl(age) <= 120 for age in range(activity.MINUTES))
    last_hour(counted)
    assert components().cache.read(["messages:1228"]) == [[["sent", "twilio", None, 1]]]
