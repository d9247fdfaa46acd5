"""The inbox loses no accepted callback, and refuses quickly when it is unavailable."""

import timeit
from collections.abc import Callable, Iterator
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
from service.errors import InboxUnavailable
from service.inbox.entry import Entry
from service.inbox.inbox import Inbox
from service.providers.base import Callback
from service.redis_client.fast_client import FastClient
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
    """An inbox whose group exists, as after the first read."""
    inbox = make_inbox(redis)
    inbox.reclaim("first", 1, idle=0)
    return inbox


def make_inbox(redis: Redis, limit: int = 1000) -> Inbox:
    return Inbox(redis, FastClient(redis), limit)


def callback(body: bytes = b"MessageStatus=sent", at: datetime = NOW) -> Callback:
    return Callback("twilio", "0198d1c5", body, at)


def bodies(entries: list[Entry]) -> list[bytes]:
    return [entry.callback.body for entry in entries]


def test_callback_is_returned_unchanged(inbox: Inbox) -> None:
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
def test_every_byte_and_microsecond_is_kept(
    inbox: Inbox, body: bytes, attempt: str, at: datetime
) -> None:
    original = Callback("twilio", attempt, body, at)
    inbox.put(original)

    [entry] = inbox.take("a", 10, linger=0.01)
    inbox.ack([entry])

    assert entry.callback == original


def test_entry_from_before_the_rename_names_the_sandbox(inbox: Inbox) -> None:
    inbox.put(callback()._replace(provider="test"))

    [entry] = inbox.take("a", 10, linger=0.01)

    assert entry.callback.provider == "sandbox"


def test_callbacks_are_taken_in_order_of_arrival(inbox: Inbox) -> None:
    sent = [b"%d" % number for number in range(50)]
    for body in sent:
        inbox.put(callback(body))

    taken = inbox.take("a", 20, linger=0.01) + inbox.take("b", 100, linger=0.01)

    assert bodies(taken) == sent


def test_entry_is_taken_by_one_consumer(inbox: Inbox) -> None:
    inbox.put(callback())

    assert inbox.take("a", 10, linger=0.01)
    assert inbox.take("b", 10, linger=0.01) == []
    assert inbox.reclaim("b", 10, idle=60) == []


def test_entry_of_a_dead_consumer_is_reclaimed(inbox: Inbox) -> None:
    inbox.put(callback())
    taken = inbox.take("dead", 10, linger=0.01)

    assert bodies(inbox.reclaim("alive", 10, idle=0)) == bodies(taken)
    assert inbox.lag() == 1


def test_acknowledged_entry_is_gone_for_all_consumers(inbox: Inbox, redis: Redis) -> None:
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


def test_entries_that_were_not_taken_count_as_lag(inbox: Inbox) -> None:
    for _ in range(3):
        inbox.put(callback())

    assert inbox.lag() == 3


def test_take_waits_no_longer_than_linger(inbox: Inbox) -> None:
    assert 0.04 < fastest(lambda: inbox.take("a", 10, linger=0.05)) < 0.5


def test_take_without_linger_does_not_wait(inbox: Inbox) -> None:
    """A blocking read of 1 ms would last until the next timer event of Redis, up to 100 ms."""
    assert fastest(lambda: [inbox.take("a", 10, linger=0) for _ in range(10)]) < 0.5


def fastest(take: Callable[[], object]) -> float:
    """Return the seconds of the fastest of five: a stall of the machine delays one or two."""
    return min(timeit.repeat(take, number=1, repeat=5))


@pytest.mark.parametrize("memory", ["fresh", "lost"])
def test_missing_group_is_created_without_loss(redis: Redis, memory: str) -> None:
    inbox = make_inbox(redis)
    if memory == "lost":
        inbox.put(callback(b"lost"))
        inbox.reclaim("a", 10, idle=0)
        redis.flushall()
    inbox.put(callback())

    assert inbox.take("a", 10, linger=0.01) == []  # creates the group
    assert inbox.take("a", 10, linger=0.01)[0].callback == callback()


def test_reclaim_creates_the_group_for_older_callbacks(
    redis: Redis,
) -> None:
    inbox = make_inbox(redis)
    inbox.put(callback())

    assert inbox.reclaim("a", 10, idle=0) == []
    assert len(inbox.take("a", 10, linger=0.01)) == 1


def test_released_entry_is_reclaimed_without_another_delivery(
    inbox: Inbox,
) -> None:
    inbox.put(callback())
    taken = inbox.take("a", 10, linger=0.01)
    assert inbox.reclaim("b", 10, idle=20) == []

    inbox.release("a", taken, idle=20)

    [entry] = inbox.reclaim("b", 10, idle=20)
    assert entry.deliveries == 2


def test_two_consumers_may_create_the_group_together(redis: Redis) -> None:
    inbox = make_inbox(redis)
    inbox.take("a", 1, linger=0.01)
    redis.xgroup_destroy(STREAM, "recorders")

    assert inbox.reclaim("a", 1, idle=0) == []
    assert inbox.reclaim("b", 1, idle=0) == []


def test_entry_deleted_by_hand_is_skipped(inbox: Inbox, redis: Redis) -> None:
    inbox.put(callback(b"1"))
    inbox.put(callback(b"2"))
    deleted, kept = inbox.take("dead", 10, linger=0.01)
    redis.xdel(STREAM, deleted.id)

    assert bodies(inbox.reclaim("alive", 10, idle=0)) == bodies([kept])


def test_deliveries_are_counted(inbox: Inbox) -> None:
    inbox.put(callback())
    inbox.take("a", 10, linger=0.01)
    counts = [inbox.reclaim("b", 10, idle=0)[0].deliveries for _ in range(3)]
    assert counts == [2, 3, 4]


def test_full_inbox_refuses_callbacks(redis: Redis) -> None:
    for _ in range(3):
        make_inbox(redis).put(callback())
    inbox = make_inbox(redis, limit=2)
    with pytest.raises(InboxUnavailable, match="full"):
        inbox.put(callback())
    assert inbox.lag() == 3
    assert not inbox.has_room()


def test_entry_is_suspect_until_it_is_cleared(
    inbox: Inbox,
) -> None:
    entry = Entry("1-0", callback())
    assert inbox.mark_suspect(entry)
    assert not inbox.mark_suspect(entry)
    assert inbox.mark_suspect(entry._replace(stream=1)), "another entry with the same id"
    inbox.clear_suspect(entry)
    assert inbox.mark_suspect(entry)


def test_unreachable_inbox_refuses_quickly(tmp_path: Path) -> None:
    """With the time-outs of the application: a provider waits only a few seconds."""
    settings = make_settings(f"sqlite:///{tmp_path}/w.db", f"redis://127.0.0.1:{free_port()}/0")
    app = create_app(settings, providers={})
    with app.app_context():
        inbox = components().inbox
    start = monotonic()

    with pytest.raises(InboxUnavailable):
        inbox.put(callback())
    with pytest.raises(RedisError):
        inbox.ping()
    assert monotonic() - start < 5


def test_inbox_that_cannot_write_refuses_callbacks(redis: Redis) -> None:
    redis.set(STREAM, "not a stream")

    with pytest.raises(InboxUnavailable):
        make_inbox(redis).put(callback())


def record_one(inbox: Inbox, consumer: str) -> None:
    """Take an entry and acknowledge it; Redis 6.2 creates a consumer with its first entry."""
    inbox.put(callback())
    inbox.ack(inbox.take(consumer, 10, linger=0.01))


def consumers(redis: Redis) -> set[str]:
    return {consumer["name"].decode() for consumer in redis.xinfo_consumers(STREAM, "recorders")}


def test_consumer_without_entries_is_removed(inbox: Inbox, redis: Redis) -> None:
    for name in ("a", "b"):
        record_one(inbox, name)

    assert inbox.remove_consumers("a") == 1
    assert consumers(redis) == {"b"}


def test_consumer_with_an_entry_is_kept(inbox: Inbox, redis: Redis) -> None:
    """Redis deletes pending entries with their consumer, so they would be lost."""
    inbox.put(callback())
    inbox.take("a", 10, linger=0.01)

    assert inbox.remove_consumers("a", idle=0) == 0
    assert inbox.reclaim("b", 10, idle=0)


def test_idle_consumers_are_removed(inbox: Inbox, redis: Redis) -> None:
    for number in range(300):
        redis.xgroup_createconsumer(STREAM, "recorders", f"dead-{number}")
    sleep(0.3)
    record_one(inbox, "alive")

    assert inbox.remove_consumers(idle=60) == 0
    assert inbox.remove_consumers(idle=0.2) == 300
    assert consumers(redis) == {"alive"}


def test_removed_consumer_can_read_again(inbox: Inbox) -> None:
    record_one(inbox, "a")
    assert inbox.remove_consumers("a") == 1
    inbox.put(callback())

    assert len(inbox.take("a", 10, linger=0.01)) == 1


def test_remove_consumers_without_a_group_does_nothing(redis: Redis) -> None:
    assert make_inbox(redis).remove_consumers("a", idle=0) == 0
    make_inbox(redis).put(callback())
    assert make_inbox(redis).remove_consumers("a", idle=0) == 0


def test_clock_that_went_back_does_not_change_the_order(inbox: Inbox) -> None:
    inbox.put(callback(b"first", NOW))
    inbox.put(callback(b"second", NOW - timedelta(hours=1)))

    assert bodies(inbox.take("a", 10, linger=0.01)) == [b"first", b"second"]


def several(redis: Redis, streams: int) -> Inbox:
    return Inbox(redis, FastClient(redis), 1000, streams)


def about_attempts(number: int) -> list[Callback]:
    return [Callback("twilio", str(attempt), b"%d" % attempt, NOW) for attempt in range(number)]


def test_callbacks_of_all_streams_are_taken_once(redis: Redis) -> None:
    inbox = several(redis, 4)
    for each in about_attempts(40):
        inbox.put(each)

    assert redis.xlen(STREAM) < 20
    batch = inbox.next_batch(2000, idle=20) or inbox.next_batch(2000, idle=20)
    inbox.ack(batch)

    assert sorted(entry.callback for entry in batch) == sorted(about_attempts(40))
    assert inbox.lag() == 0


def test_consumer_reads_streams_that_only_others_use(redis: Redis) -> None:
    for each in about_attempts(40):
        several(redis, 4).put(each)

    inbox = make_inbox(redis)

    assert inbox.lag() == 40
    inbox.reclaim("a", 10, idle=0)  # creates the groups
    assert len(inbox.take("a", 100, linger=0)) == 40
