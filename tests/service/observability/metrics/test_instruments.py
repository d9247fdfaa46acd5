"""BatchHistogram counts as the library's Histogram does."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from service.observability.metrics.instruments import BatchHistogram

BUCKETS = (0.01, 0.5, 1.0, 60.0)
# Integers over a power of two, so that sums do not depend on the order of the values.
VALUES = st.lists(st.integers(0, 100 * 64).map(lambda number: number / 64))


def exposed(histogram: type[Histogram], registry: CollectorRegistry, values: list[float]) -> bytes:
    made = histogram("seconds", "Seconds.", buckets=BUCKETS, registry=registry)
    if isinstance(made, BatchHistogram):
        made.observe_all(values)
    else:
        for value in values:
            made.observe(value)
    return generate_latest(registry)


@given(VALUES)
def test_batch_histogram_equals_single_observations(values: list[float]) -> None:
    single = exposed(Histogram, CollectorRegistry(), values)
    assert exposed(BatchHistogram, CollectorRegistry(), values) == single
