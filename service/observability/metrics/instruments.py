"""Every counter and histogram. Labels have few values, all of them ours; see docs/metrics.md."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from prometheus_client import Counter, Histogram, disable_created_metrics

# When a counter was made says nothing here, and would double the number of series.
disable_created_metrics()

_REQUEST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_COMMIT: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_CALL: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 3, 5, 10, 15)
_SUBMIT: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
_TASK: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Spread(Histogram):
    """A histogram that takes a batch of values at the price of a few."""

    def observe_all(self, amounts: Sequence[float]) -> None:
        """Observe each of these amounts."""
        rest = sorted(amounts)
        self._sum.inc(sum(rest))
        taken = 0
        for bucket, bound in zip(self._buckets, self._upper_bounds, strict=True):
            upto = bisect_right(rest, bound, taken)
            if upto > taken:
                bucket.inc(upto - taken)
            taken = upto


REQUESTS: Final = Histogram(
    "waybill_http_request_duration_seconds",
    "Time to answer a request, by method, route and status code.",
    ("method", "route", "code"),
    buckets=_REQUEST,
)
RECEIVED: Final = Counter(
    "waybill_callbacks_received_total",
    "Callbacks that came, by what was done with them at once.",
    ("provider", "outcome"),
)
FORGED: Final = Counter(
    "waybill_callbacks_forged_total",
    "Callbacks that the provider did not sign, by what was wrong with them.",
    ("provider", "reason"),
)
RECORDED: Final = Counter(
    "waybill_callbacks_recorded_total",
    "Callbacks taken out of the inbox and committed, by what they brought.",
    ("provider", "status", "outcome"),
)
COMMITTED: Final = Spread(
    "waybill_callback_commit_duration_seconds",
    "Time from the arrival of a callback to the commit that recorded it.",
    buckets=_COMMIT,
)
MISSED: Final = Counter(
    "waybill_callbacks_missed_total",
    "Statuses that we had to ask the provider for because no callback had told them.",
    ("provider",),
)
DEAD_LETTERS: Final = Counter(
    "waybill_dead_letters_total",
    "Callbacks set aside because they could not be recorded.",
    ("provider",),
)
SENDS: Final = Counter(
    "waybill_sends_total",
    "Calls to the provider that hand over a message, by how they ended.",
    ("provider", "outcome"),
)
SEND_TIME: Final = Histogram(
    "waybill_send_duration_seconds",
    "Time that a call to the provider took.",
    ("provider",),
    buckets=_CALL,
)
SUBMIT_TIME: Final = Histogram(
    "waybill_submit_duration_seconds",
    "Time from when a message was due until the provider took it.",
    ("provider",),
    buckets=_SUBMIT,
)
EXPIRED: Final = Counter(
    "waybill_claims_expired_total",
    "Sends whose worker died, and which are in doubt since.",
)
EXPIRED_MESSAGES: Final = Counter(
    "waybill_messages_expired_total",
    "Messages that were not sent because their deadline had passed.",
    ("provider",),
)
TASKS: Final = Histogram(
    "waybill_task_duration_seconds",
    "Time that a task took, by how it ended.",
    ("task", "outcome"),
    buckets=_TASK,
)
