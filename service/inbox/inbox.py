"""The durable buffer of accepted callbacks: one stream, or several on the nodes of a cluster."""

import os
import socket
import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from service.inbox.consumers import FOREVER
from service.inbox.entry import Entry
from service.inbox.stream import Stream
from service.inbox.streams import StreamFigures, Streams
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

    def __init__(
        self, redis: Redis, fast: FastClient, limit: int, streams: int = 1, replicas: int = 0
    ) -> None:
        """Use `fast`, a client with short time-outs, to put callbacks, and `redis` for the rest.

        With more than `limit` entries the inbox refuses callbacks, to protect Redis's memory.
        """
        # The name of this process in the consumer group.
        self.consumer = f"{socket.gethostname()}-{os.getpid()}"
        self._redis = redis
        self._fast = fast
        self._limit = limit
        self._streams = Streams(redis, fast, limit, streams, replicas)

    def put(self, callback: Callback) -> None:
        """Store a callback. The caller then requests a recording task.

        Raises InboxUnavailable if it is not stored; NotReplicated if it is, but a failover may lose
        it. While one node of a cluster is down, the callback goes to a stream of another.
        """
        self._streams.put(callback)

    def has_room(self) -> bool:
        """Return whether callbacks of the overflow table may move here.

        The inbox must be at most half full, and its replicas connected: without them each callback
        would stay in the table, too.
        """
        has_replicas = all(stream.is_replicated() for stream in self._streams.own)
        return has_replicas and self.lag() <= self._limit // 2

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
        if not batch or len(batch) >= min(count, _SMALL_BATCH):
            return batch
        time.sleep(_LINGER)
        return batch + self.take(self.consumer, count - len(batch), linger=0)

    def take(self, consumer: str, count: int, linger: float) -> list[Entry]:
        """Take up to `count` new entries, waiting up to `linger` seconds for the first."""
        streams = self._streams.in_use()
        if len(streams) == 1:
            return streams[0].take(consumer, count, linger)
        take = partial(Stream.take, consumer=consumer, linger=0)
        batch = self._streams.gather(take, count)
        if not batch and linger:
            time.sleep(linger)  # no command waits for several streams of a cluster
            batch = self._streams.gather(take, count)
        return batch

    def reclaim(self, consumer: str, count: int, idle: float) -> list[Entry]:
        """Take entries that another consumer took `idle` seconds ago and did not acknowledge."""
        return self._streams.gather(partial(Stream.reclaim, consumer=consumer, idle=idle), count)

    def release(self, consumer: str, entries: Iterable[Entry], idle: float) -> None:
        """Mark entries as idle for `idle` seconds, so that they can be reclaimed immediately."""
        for stream, its_entries in self._streams.by_stream(entries):
            stream.release(consumer, its_entries, idle)

    def pages(self, count: int) -> Iterator[list[Entry]]:
        """Yield the entries that are in the inbox now, up to `count` at a time, taking none."""
        streams = self._streams.all
        for stream, length in zip(streams, self._streams.lengths(streams), strict=True):
            after = "0"
            for _ in range(-(-length // count)):
                page = stream.page(after, count)
                if not page:
                    break
                yield page
                after = page[-1].id

    def ack(self, entries: Iterable[Entry]) -> None:
        """Delete entries. Call this only after the commit that recorded them."""
        failure: RedisError | None = None
        for stream, its_entries in self._streams.by_stream(entries):
            try:
                stream.ack(its_entries)
            except RedisError as error:  # the others may be on nodes that answer
                failure = error
        if failure is not None:
            raise failure

    def lag(self) -> int:
        """Return the number of accepted callbacks that are not yet recorded."""
        return sum(self._streams.lengths(self._streams.in_use()))

    def oldest_age(self) -> float:
        """Return the age of the oldest entry in seconds, by Redis's clock; 0 if there is none."""
        return max(each.oldest_age for each in self.figures())

    def figures(self) -> list[StreamFigures]:
        """Return how many entries each stream has, and the age of the oldest."""
        return self._streams.figures()

    def mark_suspect(self, entry: Entry) -> bool:
        """Mark an entry that is about to be recorded alone.

        Returns False if a mark is left from before: the process that set it died on the entry.
        """
        return bool(self._redis.set(_suspect(entry), 1, nx=True, ex=_SUSPECT_SECONDS))

    def clear_suspect(self, entry: Entry) -> None:
        """Remove the mark of an entry that did not kill its process."""
        self._redis.delete(_suspect(entry))

    def keep_in_use(self) -> None:
        """Let all consumers read every stream with entries, also if no process uses it any more.

        Call it now and then: after a loss of data Redis no longer knows which streams are used.
        """
        self._streams.keep_in_use()

    def remove_consumers(self, name: str = "", idle: float = FOREVER) -> int:
        """Remove a consumer, and those idle for `idle` seconds, unless they have entries."""
        return sum(stream.remove_consumers(name, idle) for stream in self._streams.in_use())

    def ping(self) -> None:
        """Raise RedisError unless Redis takes writes (a read-only replica answers PING, too)."""
        self._fast.call(b"SET", _READY, b"1", b"EX", _READY_SECONDS)


def _suspect(entry: Entry) -> str:
    """Return the key of the mark; entries of two streams may have the same id."""
    return f"{_SUSPECT}{entry.stream}:{entry.id}" if entry.stream else _SUSPECT + entry.id
