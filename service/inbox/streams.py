"""The streams of the inbox: which one a callback goes to, and whose turn it is to be read."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from redis import Redis
from redis.exceptions import RedisError

from service.coordination.circuit_breaker import CircuitOpen
from service.errors import InboxUnavailable
from service.inbox.entry import Entry
from service.inbox.stream import Stream
from service.inbox.stream_names import MAX_STREAMS, other_stream, stream_of
from service.inbox.streams_in_use import StreamsInUse
from service.providers.base import Callback
from service.redis_client.fast_client import FastClient


class StreamFigures(NamedTuple):
    """The number of entries of a stream, and the age of the oldest in seconds."""

    entries: int
    oldest_age: float


class Streams:
    """All streams. This process puts callbacks into the first `own`, and reads those in use."""

    def __init__(
        self, redis: Redis, fast: FastClient, limit: int, own: int, replicas: int = 0
    ) -> None:
        """Share the limit of the inbox among the own streams."""
        self._redis = redis
        self._own = own
        self._in_use = StreamsInUse(redis, fast, own)
        share = max(1, limit // own)
        self.all = [Stream(redis, fast, number, share, replicas) for number in range(MAX_STREAMS)]
        # The stream that is read next. Threads share it: at worst two read the same one.
        self._next = os.getpid()

    @property
    def own(self) -> list[Stream]:
        """The streams into which this process puts callbacks."""
        return self.all[: self._own]

    def in_use(self) -> list[Stream]:
        """Return the streams into which any process puts callbacks. Raises RedisError."""
        return self.all[: self._in_use.number()]

    def put(self, callback: Callback) -> None:
        """Put a callback into its stream, or into another while that is unavailable.

        Raises InboxUnavailable and NotReplicated.
        """
        number = stream_of(callback, self._own)
        try:
            self._put(number, callback)
        except InboxUnavailable:
            if self._own == 1:
                raise
            self._put(other_stream(number, self._own), callback)

    def gather(self, take: Callable[..., list[Entry]], count: int) -> list[Entry]:
        """Take up to `count` entries from the streams in turn. Raises RedisError if all fail."""
        batch, streams, failures = list[Entry](), self._in_turn(), list[RedisError]()
        for stream in streams:
            try:
                batch += take(stream, count=count - len(batch))
            except RedisError as error:  # its node failed; the others go on
                failures.append(error)
            self._next = stream.number + 1
            if len(batch) >= count:
                break
        if failures and len(failures) == len(streams):
            raise failures[0]
        return batch

    def by_stream(self, entries: Iterable[Entry]) -> list[tuple[Stream, list[Entry]]]:
        """Return the streams of entries, each with its entries."""
        grouped = dict[int, list[Entry]]()
        for entry in entries:
            grouped.setdefault(entry.stream, []).append(entry)
        return [(self.all[number], its_entries) for number, its_entries in grouped.items()]

    def lengths(self, streams: Sequence[Stream]) -> list[int]:
        """Return the lengths of streams, from one packet for each node. Raises RedisError."""
        if len(streams) == 1:
            return [streams[0].length()]
        pipe = self._redis.pipeline(transaction=False)
        for stream in streams:
            pipe.xlen(stream.name)
        return [int(length) for length in pipe.execute()]

    def figures(self) -> list[StreamFigures]:
        """Return the figures of the streams in use. Raises RedisError."""
        streams = self.in_use()
        pairs = zip(streams, self.lengths(streams), strict=True)
        return [
            StreamFigures(length, stream.oldest_age() if length else 0.0)
            for stream, length in pairs
        ]

    def keep_in_use(self) -> None:
        """Keep streams with entries in use, also those that no process uses any more."""
        lengths = self.lengths(self.all)
        used = max((number + 1 for number, length in enumerate(lengths) if length), default=1)
        if used > 1:
            self._in_use.keep(used)

    def _put(self, number: int, callback: Callback) -> None:
        try:
            self._in_use.say()
            self.all[number].put(callback)
        except (RedisError, CircuitOpen) as error:
            raise InboxUnavailable(type(error).__name__) from error

    def _in_turn(self) -> list[Stream]:
        """Return the streams with entries, beginning with that whose turn it is.

        One look at all lengths saves two commands for each stream without entries.
        """
        streams = self.in_use()
        if len(streams) == 1:
            return streams
        lengths = self._reachable_lengths(streams)
        order = [(self._next + step) % len(streams) for step in range(len(streams))]
        return [streams[number] for number in order if lengths[number]]

    def _reachable_lengths(self, streams: Sequence[Stream]) -> list[int]:
        """Return the lengths of streams, 0 for those on nodes that do not answer."""
        try:
            return self.lengths(streams)
        except RedisError:
            lengths = [stream.reachable_length() for stream in streams]
            if not any(lengths):
                raise
            return lengths
