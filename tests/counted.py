"""What was counted meanwhile: counters are of the process, and other tests count, too."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import REGISTRY

from service.operations.metric_readings import Readings

Sample = tuple[str, tuple[tuple[str, str], ...]]


def samples() -> dict[Sample, float]:
    """Every sample of this process by name and labels."""
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for metric in REGISTRY.collect()
        for one in metric.samples
    }


@contextmanager
def counting(name: str) -> Iterator[dict[tuple[str, ...], float]]:
    """Yield what a counter grew by, by the values of its labels (in the order of their names)."""
    before, grown = samples(), dict[tuple[str, ...], float]()
    yield grown
    for (sample, labels), value in samples().items():
        more = value - before.get((sample, labels), 0.0)
        if sample == name and more:
            grown[tuple(value for _, value in labels)] = more


def settled(readings: Readings) -> Readings:
    """Wait for what is being read: it holds a connection, which outlives an engine's disposal."""
    for store in readings._stores:
        assert store._done.wait(20)
    return readings
