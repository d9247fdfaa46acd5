"""Minutes are counted within a budget, the newest first; what is left is left to the next."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from service.extensions import parts
from service.flows import counting
from service.store.overview import Count

NOW = datetime(2026, 11, 21, 12, 30, 20, tzinfo=UTC)
Counted = list[datetime]


@pytest.fixture
def counted(context: Flask, monkeypatch: pytest.MonkeyPatch) -> Counted:
    """The minutes that were counted; each takes a hundredth of a second on a clock of our own."""
    seen: Counted = []
    monkeypatch.setattr(counting, "_BUDGET", 0.08)
    monkeypatch.setattr("service.flows.counting.time.monotonic", lambda: len(seen) / 100)

    def count(start: datetime, end: datetime) -> list[Count]:
        assert end - start == timedelta(minutes=1)
        seen.append(start)
        return [Count("sent", "twilio", None, 1)]

    monkeypatch.setitem(counting.COUNTERS, "messages", count)
    return seen


def test_one_request_counts_as_far_as_its_budget_and_the_next_goes_on(counted: Counted) -> None:
    first = counting.last_hour("messages", NOW)
    assert [minute.start for minute in first][::-1][:3] == [
        datetime(2026, 11, 21, 12, minute, tzinfo=UTC) for minute in (30, 29, 28)
    ]
    known = [minute.counts is not None for minute in first]
    assert sum(known) == 9
    assert known == sorted(known), "the newest are known"
    counted.clear()
    second = counting.last_hour("messages", NOW)
    assert sum(minute.counts is not None for minute in second) == 17
    assert len(counted) == 9, "the one that still fills, and eight more"


def test_after_a_few_requests_the_hour_is_whole_and_only_its_end_is_counted(
    counted: Counted,
) -> None:
    for _ in range(12):
        hour = counting.last_hour("messages", NOW)
    assert all(minute.counts == [Count("sent", "twilio", None, 1)] for minute in hour)
    counted.clear()
    counting.last_hour("messages", NOW)
    assert [one.minute for one in counted] == [30]


def test_a_count_of_yesterday_is_not_that_of_today(counted: Counted) -> None:
    """Names hold the time of day only: no count lives for a day."""
    assert all(counting._seconds(age) <= 120 for age in range(counting.MINUTES))
    counting.last_hour("messages", NOW)
    assert parts().shelf.read(["messages:1228"]) == [[["sent", "twilio", None, 1]]]
