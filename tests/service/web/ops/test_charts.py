"""Charts: heights, totals, tooltips, minutes that are not counted."""

from datetime import UTC, datetime, timedelta

from service.domain.status import Status
from service.operations.activity import Minute
from service.queries.overview import StatusCount
from service.web.ops.charts import FAMILIES, HEIGHT, chart

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def minutes(*numbers: dict[str | None, int] | None) -> list[Minute]:
    return [
        Minute(
            NOON + timedelta(minutes=index),
            None
            if counts is None
            else [StatusCount(status, "twilio", None, number) for status, number in counts.items()],
        )
        for index, counts in enumerate(numbers)
    ]


def test_every_status_has_a_family() -> None:
    assert {status for family in FAMILIES.values() for status in family} == set(Status)


def test_tooltips_show_the_counts() -> None:
    drawn = chart(minutes({"delivered": 5, "read": 1, "failed": 2}, {}, None), "messages")
    assert [column.tooltip for column in drawn.columns] == [
        "12:00: 2 failed, 6 delivered",
        "12:01: no messages",
        "12:02: not counted yet",
    ]
    assert (drawn.total, drawn.max_per_minute, drawn.uncounted) == (8, 8, 1)
    assert [column.counted for column in drawn.columns] == [True, True, False]


def test_unknown_status_is_counted_as_other() -> None:
    assert chart(minutes({None: 3}), "callbacks").totals["other"] == 3


def test_one_failure_among_a_million_is_visible() -> None:
    full = {"failed": 1, "in_doubt": 1, "pending": 1, "sent": 1, "canceled": 1}
    drawn = chart(minutes({**full, "delivered": 1_000_000}), "messages")
    heights = [float(path.split("v")[1].split("h")[0]) for path in drawn.paths.values()]
    assert min(heights) == 2.0
    assert sum(heights) <= HEIGHT


def test_hour_without_messages_is_an_empty_chart() -> None:
    drawn = chart(minutes({}, {}), "messages")
    assert (drawn.paths, drawn.max_per_minute) == ({}, 0)
    assert drawn.summary == "Messages per minute over the last hour: none."
