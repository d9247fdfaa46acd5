"""Every counter and histogram; docs/metrics.md lists them with their labels."""

from typing import Final

from prometheus_client import Counter, Histogram, disable_created_metrics

# The `_created` series are not used and would double the number of series.
disable_created_metrics()

_REQUEST_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_COMMIT_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_SEND_BUCKETS: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 3, 5, 10, 15)
_SUBMIT_BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
_WEBHOOK_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 21600, 86400)
_TASK_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


REQUESTS: Final = Histogram(
    "waybill_http_request_duration_seconds",
    "Time to answer a request, by method, route and status code.",
    ("method", "route", "code"),
    buckets=_REQUEST_BUCKETS,
)
RECEIVED: Final = Counter(
    "waybill_callbacks_received_total",
    "Callbacks received, by how the web server handled them.",
    ("provider", "outcome"),
)
FORGED: Final = Counter(
    "waybill_callbacks_forged_total",
    "Callbacks with a missing or invalid signature, by reason.",
    ("provider", "reason"),
)
RECORDED: Final = Counter(
    "waybill_callbacks_recorded_total",
    "Callbacks taken from the inbox and committed, by status and effect.",
    ("provider", "status", "outcome"),
)
COMMITTED: Final = Histogram(
    "waybill_callback_commit_duration_seconds",
    "Time from the arrival of a callback to the commit that records it.",
    buckets=_COMMIT_BUCKETS,
)
MISSED: Final = Counter(
    "waybill_callbacks_missed_total",
    "Statuses learned by reconciliation because no callback reported them.",
    ("provider",),
)
DEAD_LETTERS: Final = Counter(
    "waybill_dead_letters_total",
    "Callbacks stored as dead letters because they could not be recorded.",
    ("provider",),
)
UNKNOWN_CODES: Final = Counter(
    "waybill_unknown_error_codes_total",
    "Reports with an error code that is not in the list of the provider's codes.",
    ("provider",),
)
INBOUND: Final = Counter(
    "waybill_inbound_recorded_total",
    "Inbound messages recorded, by keyword.",
    ("provider", "keyword"),
)
INBOUND_UNOWNED: Final = Counter(
    "waybill_inbound_unowned_total",
    "Inbound messages for which no client was found.",
    ("provider",),
)
INBOUND_MISSED: Final = Counter(
    "waybill_inbound_missed_total",
    "Inbound messages that never arrived and were found in the provider's list.",
    ("provider",),
)
SENDS: Final = Counter(
    "waybill_sends_total",
    "Calls to the provider that send a message, by result.",
    ("provider", "outcome"),
)
SEND_TIME: Final = Histogram(
    "waybill_send_duration_seconds",
    "Duration of calls to the provider that send a message.",
    ("provider",),
    buckets=_SEND_BUCKETS,
)
SUBMIT_TIME: Final = Histogram(
    "waybill_submit_duration_seconds",
    "Time from when a message is due until the provider accepts it.",
    ("provider",),
    buckets=_SUBMIT_BUCKETS,
)
EXPIRED: Final = Counter(
    "waybill_claims_expired_total",
    "Sends whose worker died during the call; their messages are in doubt.",
)
EXPIRED_MESSAGES: Final = Counter(
    "waybill_messages_expired_total",
    "Messages not sent because their deadline had passed.",
    ("provider",),
)
WEBHOOKS: Final = Counter(
    "waybill_webhook_calls_total",
    "Calls to webhook endpoints, by result.",
    ("outcome",),
)
WEBHOOK_CALL_TIME: Final = Histogram(
    "waybill_webhook_call_duration_seconds",
    "Duration of calls to webhook endpoints.",
    buckets=_SEND_BUCKETS,
)
WEBHOOK_TIME: Final = Histogram(
    "waybill_webhook_delivery_duration_seconds",
    "Time from a change until its event is delivered to an endpoint.",
    buckets=_WEBHOOK_BUCKETS,
)
WEBHOOK_ENDPOINTS_DISABLED: Final = Counter(
    "waybill_webhook_endpoints_disabled_total",
    "Webhook endpoints disabled by Waybill, by reason.",
    ("reason",),
)
OPT_OUTS: Final = Counter(
    "waybill_opt_outs_changed_total",
    "Opt-outs that began or ended, by the reason.",
    ("change", "reason"),
)
TASKS: Final = Histogram(
    "waybill_task_duration_seconds",
    "Duration of Celery tasks, by result.",
    ("task", "outcome"),
    buckets=_TASK_BUCKETS,
)
