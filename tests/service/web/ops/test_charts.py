"""A chart shows every number, however small beside another, and says what it does not know."""

from datetime import UTC, datetime, timedelta

from service.domain.status import Status
from service.operations.activity import Minute
from service.queries.overview import Count
from service.web.ops.charts import FAMILIES, HEIGHT, chart

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def minutes(*numbers: dict[str | None, int] | None) -> list[Minute]:
    return [
        Minute(
            NOON + timedelta(minutes=at),
            None
            if one is None
            else [Count(word, "twilio", None, number) for word, number in one.items()],
        )
        for at, one in enumerate(numbers)
    ]


def test_every_status_has_a_colour() -> None:
    assert {status for family in FAMILIES.values() for status in family} == set(Status)


def test_what_is_said_is_what_was_counted() -> None:
    drawn = chart(minutes({"delivered": 5, "read": 1, "failed": 2}, {}, None), "messages")
    assert [one.says for one in drawn.columns] == [
        "12:00: 2 failed, 6 delivered",
        "12:01: no messages",
        "12:02: not counted yet",
    ]
    assert (drawn.total, drawn.top, drawn.missing) == (8, 8, 1)
    assert [one.counted for one in drawn.columns] == [True, True, False]


def test_a_word_that_we_do_not_know_is_shown_as_other() -> None:
    assert chart(minutes({None: 3}), "callbacks").totals["other"] == 3


def test_one_failure_among_a_million_can_be_seen_and_nothing_leaves_the_chart() -> None:
    full = {"failed": 1, "in_doubt": 1, "pending": 1, "sent": 1, "canceled": 1}
    drawn = chart(minutes({**full, "delivered": 1_000_000}), "messages")
    heights = [float(path.split("v")[1].split("h")[0]) for path in drawn.paths.values()]
    assert min(heights) == 2.0
    assert sum(heights) <= HEIGHT


def test_an_empty_hour_is_an_empty_chart() -> None:
    drawn = chart(minutes({}, {}), "messages")
    assert (drawn.paths, drawn.top) == ({}, 0)
    assert drawn.summary == "Messages per minute over the last hour: none."
