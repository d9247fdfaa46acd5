"""Changes of counters during a test; counters belong to the process, which runs other tests."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY

from service.operations.metric_readings import Readings

Sample = tuple[str, tuple[tuple[str, str], ...]]


def samples() -> dict[Sample, float]:
    """Return every sample of this process by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
    }


@contextmanager
def counting(name: str) -> Iterator[dict[tuple[str, ...], float]]:
    """Yield the increases of a counter by label values, in the order of the label names."""
    before, increases = samples(), dict[tuple[str, ...], float]()
    yield increases
    for (sample, labels), value in samples().items():
        increase = value - before.get((sample, labels), 0.0)
        if sample == name and increase:
            increases[tuple(value for _, value in labels)] = increase


def settled(readings: Readings) -> Readings:
    """Wait for the threads that read; each holds a connection, which outlives its engine."""
    for store in readings._stores.values():
        assert store.wait(time.monotonic() + 20)
    return readings
