"""Streams are spread evenly over the nodes of a cluster, and callbacks over streams."""

from collections import Counter
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from service.inbox.stream_names import MAX_STREAMS, other_stream, stream_names, stream_of
from service.providers.base import Callback

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def nodes(streams: int, number: int) -> Counter[int]:
    """Return how many of the first streams each of some nodes with equal slot ranges has."""
    slots = [key_slot(name.encode()) for name in stream_names()[:streams]]
    return Counter(slot * number // REDIS_CLUSTER_HASH_SLOTS for slot in slots)


@pytest.mark.parametrize("streams", [2, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 8])
def test_powers_of_two_are_spread_evenly(streams: int, number: int) -> None:
    counts = nodes(streams, number)
    assert max(counts.values()) - min(counts[node] for node in range(number)) <= 1


def test_names_never_change() -> None:
    """Another name would strand the callbacks of a stream at an upgrade."""
    names = stream_names()
    assert names[:4] == ("waybill:inbox", *(f"waybill:inbox:{{{tag}}}" for tag in (73, 72, 70)))
    assert names[-1] == "waybill:inbox:{62}"
    assert len(set(names)) == MAX_STREAMS


def test_callbacks_about_an_attempt_are_in_one_stream() -> None:
    attempt = str(uuid4())
    callbacks = [Callback("twilio", attempt, b"%d" % number, NOW) for number in range(20)]
    assert len({stream_of(callback, 16) for callback in callbacks}) == 1


@pytest.mark.parametrize("kind", ["status", "inbound"])
def test_callbacks_are_spread_over_all_streams(kind: str) -> None:
    counts = Counter(
        stream_of(Callback("twilio", str(uuid4()) if kind == "status" else "", body, NOW), 16)
        for body in (b"%d" % number for number in range(4_000))
    )
    assert len(counts) == 16
    assert max(counts.values()) < 2 * min(counts.values())


@pytest.mark.parametrize("streams", [2, 3, 4, 7, 16, 64])
def test_other_stream_is_in_use_and_another(streams: int) -> None:
    others = [other_stream(number, streams) for number in range(streams)]
    assert all(0 <= other < streams for other in others)
    assert all(number != other for number, other in enumerate(others))
