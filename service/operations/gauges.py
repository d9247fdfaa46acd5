"""The gauges that are read from the database and Redis; docs/metrics.md lists them."""

from typing import Final, NamedTuple


class Gauge(NamedTuple):
    """A gauge: its name, its help text, and the names of its labels."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


UP: Final = Gauge("waybill_store_up", "Whether a store answered the last read.", ("store",))
AGE: Final = Gauge(
    "waybill_store_reading_age_seconds", "Age of the readings of a store.", ("store",)
)
DUE: Final = Gauge("waybill_messages_due", "Messages that are due and not claimed by a worker.")
DUE_AGE: Final = Gauge(
    "waybill_messages_due_oldest_age_seconds", "How long the oldest due message has waited."
)
IN_DOUBT: Final = Gauge(
    "waybill_messages_in_doubt",
    "Messages whose outcome is unknown, by what they wait for.",
    ("waits_for",),
)
HOLDS: Final = Gauge(
    "waybill_holds",
    "Active holds, by kind, by what they are about, and by provider.",
    ("kind", "scope", "provider"),
)
HELD: Final = Gauge("waybill_held_messages", "Messages that wait for a block or a pause to end.")
OVERDUE: Final = Gauge("waybill_claims_overdue", "Expired claims that no worker has released yet.")
OVERFLOW: Final = Gauge("waybill_overflow_entries", "Callbacks in the overflow table.")
OVERFLOW_AGE: Final = Gauge(
    "waybill_overflow_oldest_age_seconds", "Age of the oldest callback in the overflow table."
)
DEAD_LETTERS: Final = Gauge(
    "waybill_dead_letters_waiting", "Dead letters: callbacks that could not be recorded."
)
WEBHOOK_ENDPOINTS: Final = Gauge(
    "waybill_webhook_endpoints", "Webhook endpoints, by state.", ("state",)
)
WEBHOOKS_OWED: Final = Gauge(
    "waybill_webhook_deliveries_owed",
    "Webhook deliveries that did not succeed and are not given up.",
)
WEBHOOKS_DUE_AGE: Final = Gauge(
    "waybill_webhook_deliveries_due_oldest_age_seconds",
    "How long the oldest due webhook delivery has waited, by the state of its endpoint.",
    ("state",),
)
FEED_DELAY: Final = Gauge(
    "waybill_event_feed_delay_seconds",
    "Age of the oldest event that a running transaction keeps out of the event feed.",
)
INBOX: Final = Gauge("waybill_inbox_entries", "Accepted callbacks that are not yet recorded.")
INBOX_AGE: Final = Gauge(
    "waybill_inbox_oldest_age_seconds", "Age of the oldest callback that is not yet recorded."
)
INBOX_STREAM: Final = Gauge(
    "waybill_inbox_stream_entries",
    "Accepted callbacks in one stream of the inbox that are not yet recorded.",
    ("stream",),
)
INBOX_STREAM_AGE: Final = Gauge(
    "waybill_inbox_stream_oldest_age_seconds",
    "Age of the oldest callback in one stream of the inbox that is not yet recorded.",
    ("stream",),
)
QUEUE: Final = Gauge("waybill_queue_tasks", "Tasks waiting on a Celery queue.", ("queue",))
QUEUE_AGE: Final = Gauge(
    "waybill_queue_oldest_age_seconds", "Age of the oldest task on a Celery queue.", ("queue",)
)
ALIVE: Final = Gauge(
    "waybill_replicas_alive", "Processes with a heartbeat in the last 20 s, by kind.", ("kind",)
)
QUEUE_READERS: Final = Gauge(
    "waybill_queue_workers_alive", "Live workers that read a Celery queue.", ("queue",)
)
REPLICA_LAG: Final = Gauge(
    "waybill_replica_lag_seconds", "By how many seconds the replica is behind the database."
)
GAUGES: Final = (
    REPLICA_LAG,
    *(UP, AGE, DUE, DUE_AGE, IN_DOUBT, HOLDS, HELD, OVERDUE, OVERFLOW, OVERFLOW_AGE, DEAD_LETTERS),
    *(WEBHOOK_ENDPOINTS, WEBHOOKS_OWED, WEBHOOKS_DUE_AGE),
    *(
        FEED_DELAY,
        INBOX,
        INBOX_AGE,
        INBOX_STREAM,
        INBOX_STREAM_AGE,
        QUEUE,
        QUEUE_AGE,
        ALIVE,
        QUEUE_READERS,
    ),
)


class Reading(NamedTuple):
    """A value of a gauge, and the values of its labels."""

    gauge: Gauge
    labels: tuple[str, ...]
    value: float
