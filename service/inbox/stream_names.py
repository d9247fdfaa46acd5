"""The names of the streams, and the stream of a callback.

In a cluster the name of a stream decides on which node it is. A name does not depend on the number
of streams, so that processes with different numbers agree.
"""

import zlib
from collections.abc import Iterator
from functools import cache
from itertools import count
from typing import Final

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from service.providers.base import Callback

MAX_STREAMS: Final = 64
FIRST: Final = "waybill:inbox"
_BITS: Final = MAX_STREAMS.bit_length() - 1


@cache
def stream_names() -> tuple[str, ...]:
    """Return the names of all streams. The first is that of versions with only one stream."""
    return (FIRST, *(f"{FIRST}:{{{tag}}}" for tag in _tags()))


def stream_of(callback: Callback, streams: int) -> int:
    """Return the number of the stream of a callback.

    Callbacks about one attempt are in one stream, so that one batch records several of them.
    Inbound messages have no attempt.
    """
    return zlib.crc32(callback.attempt.encode() or callback.body) % streams


def other_stream(number: int, streams: int) -> int:
    """Return the number of a stream half of the slots away, which is likely on another node."""
    return number ^ 1 if number ^ 1 < streams else 0


def _tags() -> Iterator[int]:
    """Yield for each further stream the smallest number whose slot is in its range of slots.

    The ranges are taken in bit-reversed order, beginning with that of the first stream: thus the
    first 2, 4, 8 ... streams are evenly spaced over the slots, on any number of nodes.
    """
    smallest = dict[int, int]()
    for tag in count():
        smallest.setdefault(_range(str(tag)), tag)
        if len(smallest) == MAX_STREAMS:
            break
    for number in range(1, MAX_STREAMS):
        reversed_bits = int(f"{number:0{_BITS}b}"[::-1], 2)
        yield smallest[(_range(FIRST) + reversed_bits) % MAX_STREAMS]


def _range(key: str) -> int:
    return key_slot(key.encode()) * MAX_STREAMS // REDIS_CLUSTER_HASH_SLOTS
