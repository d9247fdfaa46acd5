"""Several streams are one inbox: nothing is lost, and no stream waits for another."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from service.errors import InboxUnavailable, NotReplicated
from service.inbox import streams_in_use
from service.inbox.entry import Entry
from service.inbox.inbox import Inbox
from service.inbox.stream import Stream
from service.inbox.stream_names import stream_names, stream_of
from service.providers.base import Callback
from service.redis_client.fast_client import FastClient

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url, protocol=2) as redis:
        redis.flushall()
        yield redis


def make_inbox(redis: Redis, streams: int = 4, limit: int = 10_000, replicas: int = 0) -> Inbox:
    return Inbox(redis, FastClient(redis), limit, streams, replicas)


def callbacks(number: int, first: int = 0) -> list[Callback]:
    return [
        Callback("twilio", str(each), b"%d" % each, NOW) for each in range(first, first + number)
    ]


def put(inbox: Inbox, number: int, first: int = 0) -> list[Callback]:
    for each in (sent := callbacks(number, first)):
        inbox.put(each)
    return sent


def all_batches(inbox: Inbox, count: int = 2000) -> list[list[Entry]]:
    """Take and acknowledge batches until the inbox is empty."""
    batches = list[list[Entry]]()
    while inbox.lag():
        batches.append(inbox.next_batch(count, idle=20))
        inbox.ack(batches[-1])
    return batches


def taken(batches: list[list[Entry]]) -> list[Callback]:
    return sorted(entry.callback for batch in batches for entry in batch)


def test_one_batch_has_callbacks_of_all_streams(redis: Redis) -> None:
    inbox = make_inbox(redis)
    sent = put(inbox, 40)

    lengths = [redis.xlen(name) for name in stream_names()[:4]]
    batch = inbox.next_batch(2000, idle=20)

    assert (sum(lengths), min(lengths) > 0) == (40, True)
    assert taken([batch]) == sorted(sent)


def test_order_of_arrival_is_kept_for_an_attempt(redis: Redis) -> None:
    inbox = make_inbox(redis)
    for body in (b"queued", b"sent", b"delivered"):
        for attempt in map(str, range(20)):
            inbox.put(Callback("twilio", attempt, body, NOW))

    entries = [entry.callback for batch in all_batches(inbox, 7) for entry in batch]

    for attempt in map(str, range(20)):
        of_attempt = [each.body for each in entries if each.attempt == attempt]
        assert of_attempt == [b"queued", b"sent", b"delivered"]


def test_every_stream_has_its_turn_in_a_backlog(redis: Redis) -> None:
    """With batches smaller than a stream, no stream waits until another is empty."""
    inbox = make_inbox(redis)
    put(inbox, 400)

    visits = [{entry.stream for entry in inbox.next_batch(50, idle=20)} for _ in range(4)]

    assert set().union(*visits) == {0, 1, 2, 3}


def test_no_consumer_is_idle_while_one_stream_has_a_backlog(redis: Redis) -> None:
    first, second = make_inbox(redis), make_inbox(redis)
    one_stream = [each for each in callbacks(400) if stream_of(each, 4) == 2][:60]
    for each in one_stream:
        first.put(each)
    first.reclaim("", 1, idle=20)  # creates the group

    assert len(first.take("a", 30, linger=0)) == 30
    assert len(second.take("b", 30, linger=0)) == 30


def test_entry_of_any_stream_is_reclaimed_and_released(redis: Redis) -> None:
    inbox = make_inbox(redis)
    sent = put(inbox, 40)
    batch = inbox.next_batch(2000, idle=20)

    assert inbox.reclaim("alive", 100, idle=20) == []
    inbox.release("dead", batch, idle=20)
    reclaimed = inbox.reclaim("alive", 100, idle=20)

    assert taken([reclaimed]) == sorted(sent)
    assert {entry.deliveries for entry in reclaimed} == {2}


def test_pages_show_every_stream_and_take_nothing(redis: Redis) -> None:
    sent = put(make_inbox(redis), 40)

    pages = list(make_inbox(redis, streams=1).pages(3))

    assert max(map(len, pages)) == 3
    assert taken(pages) == sorted(sent)
    assert taken(all_batches(make_inbox(redis))) == sorted(sent)


def test_figures_are_those_of_each_stream(redis: Redis) -> None:
    inbox = make_inbox(redis)
    sent = put(inbox, 40)

    figures = inbox.figures()

    expected = Counter(stream_of(each, 4) for each in sent)
    assert [each.entries for each in figures] == [expected[number] for number in range(4)]
    assert inbox.oldest_age() >= min(each.oldest_age for each in figures)


def test_idle_streams_cost_one_look_together(redis: Redis) -> None:
    inbox = make_inbox(redis, streams=16)
    put(inbox, 1)
    all_batches(inbox)
    redis.config_resetstat()

    inbox.take("a", 10, linger=0)

    calls = redis.info("commandstats")
    assert calls["cmdstat_xlen"]["calls"] == 16
    assert "cmdstat_xreadgroup" not in calls


def test_one_stream_costs_no_more_commands(redis: Redis) -> None:
    """Putting, taking and acknowledging cost what they cost before there were several streams."""
    inbox = make_inbox(redis, streams=1)
    put(inbox, 1)
    all_batches(inbox)
    redis.config_resetstat()

    put(inbox, 500)
    inbox.ack(inbox.next_batch(2000, idle=20))

    stats = redis.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()}
    looks = calls.pop("xlen", 0) + calls.pop("zrangebyscore", 0)
    assert looks < 250, "a few a second, not one for each callback"
    del calls["config|resetstat"]
    assert calls == {
        "xadd": 500, "xpending": 1, "xreadgroup": 1, "multi": 1, "xack": 1, "xdel": 1, "exec": 1,
    }  # fmt: skip


def test_consumer_reads_streams_that_only_others_use(redis: Redis) -> None:
    sent = put(make_inbox(redis), 40)

    assert taken(all_batches(make_inbox(redis, streams=1))) == sorted(sent)


def test_running_consumer_notices_more_streams(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_in_use, "_ASK_INTERVAL", 0.0)
    consumer = make_inbox(redis, streams=1)
    sent = put(consumer, 5)
    assert taken(all_batches(consumer)) == sorted(sent)

    more = put(make_inbox(redis), 40, first=5)

    assert taken(all_batches(consumer)) == sorted(more)


def test_sweep_finds_streams_that_redis_forgot(redis: Redis) -> None:
    sent = put(make_inbox(redis), 40)
    redis.delete("waybill:inbox:streams")

    make_inbox(redis, streams=1).keep_in_use()

    assert taken(all_batches(make_inbox(redis, streams=1))) == sorted(sent)


@given(
    st.lists(
        st.tuples(st.sampled_from([1, 2, 3, 4, 16, 64]), st.integers(0, 30), st.booleans()),
        max_size=8,
    )
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_is_lost_while_streams_grow_and_shrink(
    redis: Redis, steps: list[tuple[int, int, bool]]
) -> None:
    """Each step is a new process with its own number of streams, which may also consume."""
    redis.flushall()
    sent, received = list[Callback](), list[list[Entry]]()
    for streams, number, consumes in steps:
        inbox = make_inbox(redis, streams)
        sent += put(inbox, number, first=len(sent))
        if consumes:
            batch = inbox.next_batch(10, idle=20)
            inbox.ack(batch)
            received.append(batch)
    received += all_batches(make_inbox(redis, streams=1))

    assert taken(received) == sorted(sent)


def test_callback_goes_to_another_stream_while_its_own_fails(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when one node of a cluster is down."""
    original = Stream.put

    def put_or_fail(stream: Stream, callback: Callback) -> None:
        if stream.number in (1, 3):
            raise RedisConnectionError
        original(stream, callback)

    monkeypatch.setattr(Stream, "put", put_or_fail)
    inbox = make_inbox(redis)
    sent = put(inbox, 40)

    batches = all_batches(inbox)

    assert taken(batches) == sorted(sent)
    assert {entry.stream for batch in batches for entry in batch} == {0, 2}


def test_stream_that_fails_does_not_stop_the_others(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = make_inbox(redis)
    sent = put(inbox, 40)
    all_groups = inbox.next_batch(1, idle=20)
    inbox.ack(all_groups)
    monkeypatch.setattr(Stream, "reclaim", _failing(Stream.reclaim))
    monkeypatch.setattr(Stream, "take", _failing(Stream.take))

    batch = inbox.next_batch(2000, idle=20)

    expected = [each for each in sent if stream_of(each, 4) != 1]
    assert set(taken([batch])) | {all_groups[0].callback} >= set(expected)


def _failing(original: object) -> object:
    def fail_or_call(stream: Stream, **options: object) -> list[Entry]:
        if stream.number == 1:
            raise RedisConnectionError
        result: list[Entry] = original(stream, **options)  # type: ignore[operator]
        return result

    return fail_or_call


def test_limit_is_shared_by_the_streams(redis: Redis) -> None:
    put(make_inbox(redis, limit=10_000), 400)

    with pytest.raises(InboxUnavailable, match="full"):
        put(make_inbox(redis, limit=200), 400)


def test_callback_without_a_replica_is_stored_and_reported(redis: Redis) -> None:
    inbox = make_inbox(redis, streams=1, replicas=1)

    with pytest.raises(NotReplicated):
        put(inbox, 1)

    assert inbox.lag() == 1
    assert not inbox.has_room(), "it would stay in the overflow, too"


def test_missing_replica_is_waited_for_once_a_second(redis: Redis) -> None:
    """Each wait takes 50 ms or more of a thread that answers callbacks."""
    inbox = make_inbox(redis, streams=1, replicas=1)
    redis.config_resetstat()
    for each in callbacks(20):
        with pytest.raises(NotReplicated):
            inbox.put(each)
    stats = redis.info("commandstats")

    assert stats["cmdstat_xadd"]["calls"] == 20
    assert stats["cmdstat_wait"]["calls"] < 10
