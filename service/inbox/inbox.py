"""The durable buffer of accepted callbacks: one stream, or several on the nodes of a cluster."""

import os
import socket
import time
from collections.abc import Iterable, Iterator
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from service.coordination.circuit_breaker import CircuitOpen
from service.errors import InboxUnavailable
from service.inbox.consumers import FOREVER
from service.inbox.entry import Entry
from service.inbox.stream import Stream
from service.inbox.stream_names import MAX_STREAMS, other_stream, stream_of
from service.inbox.streams_in_use import StreamsInUse
from service.providers.base import Callback
from service.redis_client.fast_client import FastClient

_PAUSED: Final = "waybill:inbox:rest"
_SUSPECT: Final = "waybill:inbox:suspect:"
_SUSPECT_SECONDS: Final = 86_400
_READY: Final = "waybill:inbox:ready"
_READY_SECONDS: Final = 60
# Entries that another consumer took and did not finish are recorded in smaller batches.
_RECLAIMED_BATCH: Final = 500
# Seconds for which a batch smaller than this waits for more entries, which then share its costs.
_LINGER: Final = 0.05
_SMALL_BATCH: Final = 500


class Inbox:
    """Accepted callbacks, in each stream in order of arrival."""

    def __init__(self, redis: Redis, fast: FastClient, limit: int, streams: int = 1) -> None:
        """Use `fast`, a client with short time-outs, to put callbacks, and `redis` for the rest.

        With more than `limit` entries the inbox refuses callbacks, to protect Redis's memory.
        """
        # The name of this process in the consumer group.
        self.consumer = f"{socket.gethostname()}-{os.getpid()}"
        self._redis = redis
        self._fast = fast
        self._limit = limit
        self._own = streams
        self._in_use = StreamsInUse(redis, fast, streams)
        self._streams = [
            Stream(redis, fast, number, max(1, limit // streams)) for number in range(MAX_STREAMS)
        ]
        # The stream that is read next. Threads share it: at worst two read the same one.
        self._next = os.getpid()

    def put(self, callback: Callback) -> None:
        """Store a callback. Raises InboxUnavailable. The caller then requests a recording task."""
        number = stream_of(callback, self._own)
        try:
            self._put(number, callback)
        except InboxUnavailable:
            if self._own == 1:
                raise
            self._put(other_stream(number, self._own), callback)

    def _put(self, number: int, callback: Callback) -> None:
        try:
            self._in_use.say()
            self._streams[number].put(callback)
        except (RedisError, CircuitOpen) as error:
            raise InboxUnavailable(type(error).__name__) from error

    def has_room(self) -> bool:
        """Return whether callbacks of the overflow table may move here: it is at most half full."""
        return self.lag() <= self._limit // 2

    def pause(self, seconds: float) -> None:
        """Pause all consumers, because the database does not answer."""
        self._redis.set(_PAUSED, 1, px=int(seconds * 1000))

    def is_paused(self) -> bool:
        """Return whether consumers are paused."""
        return bool(self._redis.exists(_PAUSED))

    def next_batch(self, count: int, idle: float) -> list[Entry]:
        """Take entries for this process: what another left for `idle` seconds, else new ones."""
        reclaimed = self.reclaim(self.consumer, _RECLAIMED_BATCH, idle)
        if reclaimed:
            return reclaimed
        batch = self.take(self.consumer, count, _LINGER)
        if not batch or len(batch) >= _SMALL_BATCH:
            return batch
        time.sleep(_LINGER)
        return batch + self.take(self.consumer, count - len(batch), linger=0)

    def take(self, consumer: str, count: int, linger: float) -> list[Entry]:
        """Take up to `count` new entries, waiting up to `linger` seconds for the first."""
        if self._in_use.number() == 1:
            return self._streams[0].take(consumer, count, linger)
        batch = self._take_in_turn(consumer, count)
        if not batch and linger:
            time.sleep(linger)  # no command waits for several streams of a cluster
            batch = self._take_in_turn(consumer, count)
        return batch

    def reclaim(self, consumer: str, count: int, idle: float) -> list[Entry]:
        """Take entries that another consumer took `idle` seconds ago and did not acknowledge."""
        batch = list[Entry]()
        for stream in self._with_entries():
            batch += stream.reclaim(consumer, count - len(batch), idle)
            if len(batch) >= count:
                break
        return batch

    def release(self, consumer: str, entries: Iterable[Entry], idle: float) -> None:
        """Mark entries as idle for `idle` seconds, so that they can be reclaimed immediately."""
        for stream, its_entries in self._by_stream(entries):
            stream.release(consumer, its_entries, idle)

    def pages(self, count: int) -> Iterator[list[Entry]]:
        """Yield the entries that are in the inbox now, up to `count` at a time, taking none."""
        for stream, length in zip(self._streams, self._lengths(MAX_STREAMS), strict=True):
            after = "0"
            for _ in range(-(-length // count)):
                page = stream.page(after, count)
                if not page:
                    break
                yield page
                after = page[-1].id

    def ack(self, entries: Iterable[Entry]) -> None:
        """Delete entries. Call this only after the commit that recorded them."""
        for stream, its_entries in self._by_stream(entries):
            stream.ack(its_entries)

    def lag(self) -> int:
        """Return the number of accepted callbacks that are not yet recorded."""
        return sum(self._lengths(self._in_use.number()))

    def oldest_age(self) -> float:
        """Return the age of the oldest entry in seconds, by Redis's clock; 0 if there is none."""
        return max((stream.oldest_age() for stream in self._with_entries()), default=0.0)

    def mark_suspect(self, entry: Entry) -> bool:
        """Mark an entry that is about to be recorded alone.

        Returns False if a mark is left from before: the process that set it died on the entry.
        """
        return bool(self._redis.set(_suspect(entry), 1, nx=True, ex=_SUSPECT_SECONDS))

    def clear_suspect(self, entry: Entry) -> None:
        """Remove the mark of an entry that did not kill its process."""
        self._redis.delete(_suspect(entry))

    def remove_consumers(self, name: str = "", idle: float = FOREVER) -> int:
        """Remove a consumer, and those idle for `idle` seconds, unless they have entries."""
        streams = self._streams[: self._in_use.number()]
        return sum(stream.remove_consumers(name, idle) for stream in streams)

    def ping(self) -> None:
        """Raise RedisError unless Redis takes writes (a read-only replica answers PING, too)."""
        self._fast.call(b"SET", _READY, b"1", b"EX", _READY_SECONDS)

    def _take_in_turn(self, consumer: str, count: int) -> list[Entry]:
        batch = list[Entry]()
        for stream in self._with_entries():
            batch += stream.take(consumer, count - len(batch), linger=0)
            self._next = stream.number + 1
            if len(batch) >= count:
                break
        return batch

    def _with_entries(self) -> list[Stream]:
        """Return the streams with entries, beginning with that whose turn it is."""
        number = self._in_use.number()
        if number == 1:
            return self._streams[:1]  # without asking
        lengths = self._lengths(number)
        order = [(self._next + step) % number for step in range(number)]
        return [self._streams[each] for each in order if lengths[each]]

    def _lengths(self, number: int) -> list[int]:
        """Return the lengths of the first streams."""
        if number == 1:
            return [self._streams[0].length()]
        pipe = self._redis.pipeline(transaction=False)
        for stream in self._streams[:number]:
            pipe.xlen(stream.name)
        return [int(length) for length in pipe.execute()]

    def _by_stream(self, entries: Iterable[Entry]) -> list[tuple[Stream, list[Entry]]]:
        grouped = dict[int, list[Entry]]()
        for entry in entries:
            grouped.setdefault(entry.stream, []).append(entry)
        return [(self._streams[number], each) for number, each in grouped.items()]


def _suspect(entry: Entry) -> str:
    """Return the key of the mark; entries of two streams may have the same id."""
    return f"{_SUSPECT}{entry.stream}:{entry.id}" if entry.stream else _SUSPECT + entry.id
