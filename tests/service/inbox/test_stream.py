"""The inbox loses nothing that it accepted, and says at once when it cannot accept."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import RedisError

from demo.servers import free_port
from service.app import create_app
from service.components import components
from service.coordination.circuit_breaker import CircuitBreaker
from service.errors import InboxUnavailable
from service.inbox.stream import Entry, Inbox
from service.providers.base import Callback
from tests.conftest import make_settings

NOW = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
STREAM = "waybill:inbox"


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url, protocol=2) as redis:
        redis.flushall()
        yield redis


@pytest.fixture
def inbox(redis: Redis) -> Inbox:
    """An inbox whose group exists, as after the first drain."""
    inbox = make_inbox(redis)
    inbox.reclaim("nobody", 1, idle=0)
    return inbox


def make_inbox(redis: Redis, limit: int = 1000) -> Inbox:
    return Inbox(redis, redis, CircuitBreaker(), limit)


def callback(body: bytes = b"MessageStatus=sent", at: datetime = NOW) -> Callback:
    return Callback("twilio", "0198d1c5", body, at)


def bodies(entries: list[Entry]) -> list[bytes]:
    return [entry.callback.body for entry in entries]


def test_a_callback_comes_out_as_it_went_in(inbox: Inbox) -> None:
    inbox.put(callback())

    [entry] = inbox.take("a", 10, linger=0.01)

    assert entry.callback == callback()


@example(body=b"", attempt="", at=NOW)
@example(body=bytes(range(256)), attempt="é", at=NOW.replace(microsecond=999_999))
@given(
    body=st.binary(),
    attempt=st.text(max_size=64),
    at=st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_byte_and_every_microsecond_survive(
    inbox: Inbox, body: bytes, attempt: str, at: datetime
) -> None:
    given = Callback("twilio", attempt, body, at)
    inbox.put(given)

    [entry] = inbox.take("a", 10, linger=0.01)
    inbox.ack([entry])

    assert entry.callback == given


def test_entry_from_before_the_rename_names_the_sandbox(inbox: Inbox) -> None:
    inbox.put(callback()._replace(provider="test"))

    [entry] = inbox.take("a", 10, linger=0.01)

    assert entry.callback.provider == "sandbox"


def test_callbacks_come_out_in_the_order_in_which_they_came(inbox: Inbox) -> None:
    sent = [b"%d" % number for number in range(50)]
    for body in sent:
        inbox.put(callback(body))

    taken = inbox.take("a", 20, linger=0.01) + inbox.take("b", 100, linger=0.01)

    assert bodies(taken) == sent


def test_nobody_takes_what_another_has_taken(inbox: Inbox) -> None:
    inbox.put(callback())

    assert inbox.take("a", 10, linger=0.01)
    assert inbox.take("b", 10, linger=0.01) == []
    assert inbox.reclaim("b", 10, idle=60) == []


def test_what_a_dead_consumer_took_is_taken_over(inbox: Inbox) -> None:
    inbox.put(callback())
    taken = inbox.take("dead", 10, linger=0.01)

    assert bodies(inbox.reclaim("alive", 10, idle=0)) == bodies(taken)
    assert inbox.lag() == 1


def test_what_was_acknowledged_is_gone_for_everybody(inbox: Inbox, redis: Redis) -> None:
    inbox.put(callback(b"1"))
    inbox.put(callback(b"2"))
    first, second = inbox.take("a", 10, linger=0.01)

    inbox.ack([first])

    assert inbox.lag() == 1
    assert bodies(inbox.reclaim("b", 10, idle=0)) == bodies([second])
    inbox.ack([second])
    inbox.ack([second])
    inbox.ack([])
    assert inbox.lag() == 0
    assert redis.xpending(STREAM, "recorders")["pending"] == 0


def test_what_nobody_has_taken_counts_as_lag(inbox: Inbox) -> None:
    for _ in range(3):
        inbox.put(callback())

    assert inbox.lag() == 3


def test_an_empty_inbox_is_waited_for_no_longer_than_asked(inbox: Inbox) -> None:
    begun = monotonic()

    assert inbox.take("a", 10, linger=0.05) == []
    assert 0.04 < monotonic() - begun < 0.5


def test_without_a_linger_nobody_is_waited_for(inbox: Inbox) -> None:
    """A blocking read of a millisecond lasts until Redis next looks at its clock, 100 ms."""
    begun = monotonic()

    assert [inbox.take("a", 10, linger=0) for _ in range(10)] == [[]] * 10
    assert monotonic() - begun < 0.5


@pytest.mark.parametrize("memory", ["fresh", "lost"])
def test_a_redis_without_the_group_gets_one_and_loses_nothing(redis: Redis, memory: str) -> None:
    inbox = make_inbox(redis)
    if memory == "lost":
        inbox.put(callback(b"forgotten"))
        inbox.reclaim("a", 10, idle=0)
        redis.flushall()
    inbox.put(callback())

    assert inbox.take("a", 10, linger=0.01) == []  # makes the group
    assert inbox.take("a", 10, linger=0.01)[0].callback == callback()


def test_a_drain_that_begins_by_reclaiming_finds_callbacks_older_than_the_group(
    redis: Redis,
) -> None:
    inbox = make_inbox(redis)
    inbox.put(callback())

    assert inbox.reclaim("a", 10, idle=0) == []
    assert len(inbox.take("a", 10, linger=0.01)) == 1


def test_what_is_given_back_may_be_taken_at_once_and_was_not_delivered_once_more(
    inbox: Inbox,
) -> None:
    inbox.put(callback())
    taken = inbox.take("a", 10, linger=0.01)
    assert inbox.reclaim("b", 10, idle=20) == []

    inbox.release("a", taken, idle=20)

    [again] = inbox.reclaim("b", 10, idle=20)
    assert again.deliveries == 2, "the first time and this one"


def test_two_consumers_may_make_the_group_at_once(redis: Redis) -> None:
    inbox = make_inbox(redis)
    inbox.take("a", 1, linger=0.01)
    redis.xgroup_destroy(STREAM, "recorders")

    assert inbox.reclaim("a", 1, idle=0) == []
    assert inbox.reclaim("b", 1, idle=0) == []


def test_an_entry_deleted_by_hand_harms_nobody(inbox: Inbox, redis: Redis) -> None:
    inbox.put(callback(b"1"))
    inbox.put(callback(b"2"))
    deleted, kept = inbox.take("dead", 10, linger=0.01)
    redis.xdel(STREAM, deleted.id)

    assert bodies(inbox.reclaim("alive", 10, idle=0)) == bodies([kept])


def test_what_is_taken_again_and_again_is_counted(inbox: Inbox) -> None:
    inbox.put(callback())
    inbox.take("a", 10, linger=0.01)
    counts = [inbox.reclaim("b", 10, idle=0)[0].deliveries for _ in range(3)]
    assert counts == [2, 3, 4]


def test_a_full_inbox_takes_nothing_more_for_a_moment(redis: Redis) -> None:
    for _ in range(3):
        make_inbox(redis).put(callback())
    inbox = make_inbox(redis, limit=2)
    with pytest.raises(InboxUnavailable, match="full"):
        inbox.put(callback())
    assert inbox.lag() == 3
    assert not inbox.has_room()


def test_an_entry_that_is_being_recorded_alone_is_suspect_until_it_is_cleared(
    inbox: Inbox,
) -> None:
    assert inbox.mark_suspect("1-0")
    assert not inbox.mark_suspect("1-0")
    inbox.clear_suspect("1-0")
    assert inbox.mark_suspect("1-0")


def test_an_inbox_out_of_reach_says_so_at_once(tmp_path: Path) -> None:
    """As the application connects: the provider waits a few seconds for an answer, no more."""
    settings = make_settings(f"sqlite:///{tmp_path}/w.db", f"redis://127.0.0.1:{free_port()}/0")
    app = create_app(settings, providers={})
    with app.app_context():
        inbox = components().inbox
    begun = monotonic()

    with pytest.raises(InboxUnavailable):
        inbox.put(callback())
    with pytest.raises(RedisError):
        inbox.ping()
    assert monotonic() - begun < 2


def test_an_inbox_that_cannot_write_accepts_nothing(redis: Redis) -> None:
    redis.set(STREAM, "not a stream")

    with pytest.raises(InboxUnavailable):
        make_inbox(redis).put(callback())


def finish_one(inbox: Inbox, consumer: str) -> None:
    """Take an entry and acknowledge it: before that Redis 6.2 knows no name."""
    inbox.put(callback())
    inbox.ack(inbox.take(consumer, 10, linger=0.01))


def consumers(redis: Redis) -> set[str]:
    return {consumer["name"].decode() for consumer in redis.xinfo_consumers(STREAM, "recorders")}


def test_consumer_that_holds_nothing_is_removed(inbox: Inbox, redis: Redis) -> None:
    for name in ("a", "b"):
        finish_one(inbox, name)

    assert inbox.remove_consumers("a") == 1
    assert consumers(redis) == {"b"}


def test_consumer_that_holds_an_entry_is_kept(inbox: Inbox, redis: Redis) -> None:
    """Redis forgets who holds an entry together with its consumer: it would never come back."""
    inbox.put(callback())
    inbox.take("a", 10, linger=0.01)

    assert inbox.remove_consumers("a", idle=0) == 0
    assert inbox.reclaim("b", 10, idle=0)


def test_consumers_idle_for_long_are_removed(inbox: Inbox, redis: Redis) -> None:
    for number in range(300):
        redis.xgroup_createconsumer(STREAM, "recorders", f"dead-{number}")
    sleep(0.3)
    finish_one(inbox, "alive")

    assert inbox.remove_consumers(idle=60) == 0
    assert inbox.remove_consumers(idle=0.2) == 300
    assert consumers(redis) == {"alive"}


def test_removed_consumer_reads_again(inbox: Inbox) -> None:
    finish_one(inbox, "a")
    assert inbox.remove_consumers("a") == 1
    inbox.put(callback())

    assert len(inbox.take("a", 10, linger=0.01)) == 1


def test_nothing_is_removed_where_there_is_no_group(redis: Redis) -> None:
    assert make_inbox(redis).remove_consumers("a", idle=0) == 0
    make_inbox(redis).put(callback())
    assert make_inbox(redis).remove_consumers("a", idle=0) == 0


def test_a_clock_that_went_back_keeps_the_order_of_arrival(inbox: Inbox) -> None:
    inbox.put(callback(b"first", NOW))
    inbox.put(callback(b"second", NOW - timedelta(hours=1)))

    assert bodies(inbox.take("a", 10, linger=0.01)) == [b"first", b"second"]
