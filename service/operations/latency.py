"""Percentiles of the time to delivery and of the time from callback to ledger."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from service.queries import overview

_SAMPLE: Final = 500  # latest callbacks


class Percentiles(NamedTuple):
    """Percentiles in seconds, and the sample size."""

    p50: float
    p95: float
    p99: float
    sample: int


class Latencies(NamedTuple):
    """From acceptance to the delivery report, and from callback to ledger; None: no sample."""

    delivery: Percentiles | None
    recording: Percentiles | None


def latencies(now: datetime) -> Latencies:
    """Return the percentiles of the latest callbacks of the last hour."""
    delivery, recording = list[float](), list[float]()
    for callback in overview.latest_callbacks(now - timedelta(hours=1), _SAMPLE):
        if callback.recorded_at is not None:
            recording.append(_seconds(callback.received_at, callback.recorded_at))
        if callback.created_at is not None:
            times = callback.created_at, callback.send_at, callback.resent_at
            start = max(time for time in times if time is not None)
            delivery.append(_seconds(start, callback.received_at))
    return Latencies(percentiles(delivery), percentiles(recording))


def percentiles(seconds: Sequence[float]) -> Percentiles | None:
    """Return the nearest-rank percentiles; None for an empty sample."""
    if not seconds:
        return None
    ordered, sample = sorted(seconds), len(seconds)
    p50, p95, p99 = (ordered[math.ceil(sample * rank) - 1] for rank in (0.5, 0.95, 0.99))
    return Percentiles(p50, p95, p99, sample)


def _seconds(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds())
