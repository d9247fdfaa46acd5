"""A batch of values is counted as the library counts each of them."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from service.observability.metrics.counting import observe_all

BUCKETS = (0.01, 0.5, 1.0, 60.0)
# Integers over a power of two, so that sums do not depend on the order of the values.
VALUES = st.lists(st.integers(0, 100 * 64).map(lambda number: number / 64))


@given(VALUES)
def test_batch_equals_single_observations(values: list[float]) -> None:
    single, batch = CollectorRegistry(), CollectorRegistry()
    one_by_one = Histogram("seconds", "Seconds.", buckets=BUCKETS, registry=single)
    for value in values:
        one_by_one.observe(value)
    observe_all(Histogram("seconds", "Seconds.", buckets=BUCKETS, registry=batch), values)
    assert generate_latest(batch) == generate_latest(single)
