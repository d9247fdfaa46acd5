"""Webhook endpoints of all clients for operators: their health, enable, retry and recover."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from service.errors import Conflict, NotFound
from service.models import WebhookDelivery, WebhookEndpoint
from service.observability import events
from service.queries import webhook_backlog, webhook_health, webhook_log
from service.queries.backlog import COUNT_LIMIT, Backlog
from service.queries.webhook_health import EndpointHealth, Health, Trouble
from service.queries.webhook_log import DeliveryFilter, DeliveryPage, DeliveryStatus
from service.webhooks import endpoints, recover

# A client restarts its server. Longer failures are problems.
_FAILING: Final = timedelta(minutes=5)
# Deliveries that are counted for each endpoint of a list: 25 times 10,000 take half a second.
_LISTED_COUNT: Final = 1_000
_MAX_ADDRESS: Final = 120


class ListedEndpoint(NamedTuple):
    """An endpoint with its client, its health, and what it is owed.

    `owed` has the time at which the oldest of these deliveries was created. Counts stop at
    `count_limit`.
    """

    endpoint: WebhookEndpoint
    client: str
    health: Health
    since: datetime | None
    owed: Backlog
    failed: Backlog
    next_attempt: datetime | None
    count_limit: int


class EndpointPage(NamedTuple):
    """Endpoints, and whether there are more."""

    endpoints: list[ListedEndpoint]
    has_more: bool


class Troubles(NamedTuple):
    """Endpoints with a trouble that lasts: how many, by their health, and the worst."""

    numbers: dict[Health, Trouble]
    worst: list[ListedEndpoint]


def read_endpoints(now: datetime, limit: int, offset: int, client: str | None) -> EndpointPage:
    """Return the endpoints of all clients or of one, those in trouble first."""
    rows = webhook_health.page(now, limit + 1, offset, client)
    return EndpointPage(_listed(rows[:limit], _LISTED_COUNT), len(rows) > limit)


def read_endpoint(endpoint_id: UUID, now: datetime) -> ListedEndpoint:
    """Return one endpoint of any client. Raises NotFound."""
    row = webhook_health.find(endpoint_id, now)
    if row is None:
        raise NotFound("there is no such webhook endpoint, or it is deleted")
    return _listed([row], COUNT_LIMIT)[0]


def read_deliveries(
    endpoint_id: UUID, status: DeliveryStatus | None, before: UUID | None, limit: int
) -> DeliveryPage:
    """Return deliveries to an endpoint, the newest first."""
    return webhook_log.page(endpoint_id, DeliveryFilter(status=status), before, limit)


def read_troubles(now: datetime, limit: int) -> Troubles:
    """Return what an operator must know of."""
    before = now - _FAILING
    numbers = webhook_health.troubles(now, before)
    worst = webhook_health.worst(now, before, limit) if numbers else []
    return Troubles(numbers, _listed(worst, _LISTED_COUNT))


def enable(endpoint_id: UUID, operator: str) -> datetime:
    """Enable an endpoint: what it is owed is due. Return since when it was disabled.

    Raises NotFound, and Conflict if it is enabled.
    """
    endpoint = read_endpoint(endpoint_id, datetime.now(UTC)).endpoint
    disabled_at = endpoint.disabled_at
    if disabled_at is None:
        raise Conflict("the webhook endpoint is enabled already")
    endpoints.enable(endpoint.client_id, endpoint_id)
    events.operator_action(operator, "webhook_enabled", endpoint_id=endpoint_id)
    return disabled_at


def retry(endpoint_id: UUID, delivery_id: UUID, operator: str) -> WebhookDelivery:
    """Make a delivery due now. Raises NotFound and Conflict."""
    endpoint = read_endpoint(endpoint_id, datetime.now(UTC)).endpoint
    delivery = recover.retry(endpoint.client_id, endpoint_id, delivery_id)
    events.operator_action(
        operator, "webhook_retried", endpoint_id=endpoint_id, delivery_id=delivery_id
    )
    return delivery


def recover_since(endpoint_id: UUID, since: datetime, operator: str) -> int:
    """Owe an endpoint every event since a time that it did not take; return how many.

    Raises NotFound, Conflict and Invalid.
    """
    endpoint = read_endpoint(endpoint_id, datetime.now(UTC)).endpoint
    number = recover.recover(endpoint.client_id, endpoint_id, since)
    events.operator_action(
        operator, "webhook_recovered", endpoint_id=endpoint_id, deliveries=number
    )
    return number


def address(url: str) -> str:
    """Return a URL as operators see it: without a password or the query, 120 characters at most."""
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return shown if len(shown) <= _MAX_ADDRESS else f"{shown[:_MAX_ADDRESS]}…"


def describe_delivery(delivery: WebhookDelivery, endpoint: WebhookEndpoint) -> str:
    """Return what became of a delivery: its attempts, the last answer, and what is next."""
    calls = f"{delivery.attempts} {'attempt' if delivery.attempts == 1 else 'attempts'}"
    answer = f", answer {delivery.answer_status}" if delivery.answer_status else ""
    error = f", {delivery.error}" if delivery.error else ""
    return f"{calls}{answer}{error}; {_result(delivery, endpoint)}"


def _result(delivery: WebhookDelivery, endpoint: WebhookEndpoint) -> str:
    if delivery.due_at is None:
        if delivery.delivered_at is None:
            return "failed, no further attempt"
        return f"delivered at {_time(delivery.delivered_at)}"
    next_attempt = endpoint.next_attempt(delivery.due_at)
    if endpoint.deleted_at or next_attempt is None:
        return f"the endpoint is {'deleted' if endpoint.deleted_at else 'disabled'}"
    return f"next attempt at {_time(next_attempt)} or later"


def _time(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def _listed(rows: Sequence[EndpointHealth], limit: int) -> list[ListedEndpoint]:
    owed = webhook_backlog.owed([row.endpoint.id for row in rows], limit)
    return [_endpoint(row, owed[row.endpoint.id], limit) for row in rows]


def _endpoint(row: EndpointHealth, owed: webhook_backlog.Owed, limit: int) -> ListedEndpoint:
    next_attempt = row.endpoint.next_attempt(owed.due_at)
    return ListedEndpoint(*row, owed.owed, owed.failed, next_attempt, limit)
