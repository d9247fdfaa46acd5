"""With many events and deliveries every statement of webhooks reads by index, and only some rows.

The tests use the service and explain the statements that it sends.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import pytest
from sqlalchemy import Connection, insert, text
from uuid_utils.compat import uuid7

from service.database import db
from service.models import Client, WebhookEndpoint
from service.queries import webhook_log
from service.queries.webhook_log import DeliveryFilter, DeliveryStatus
from service.representations import webhook_endpoints as representations
from service.webhooks import recover
from tests import plans
from tests.filled import filled_application
from tests.plans import Plan, explained

pytestmark = pytest.mark.slow

SIZES: Final = (30_000, 300_000)
LIMIT: Final = 20
# Deliveries of every fifth event; those of each thousandth event wait or failed.
_FILL: Final = (
    """
    INSERT INTO message (id, client_id, "to", metadata, resend_if_unknown, provider, status,
        attempts, lookups, failed_in, delivered_in, created_at, updated_at)
    SELECT md5('m' || n)::uuid, 1, '+14155550001', '{}', false, 'twilio', 'delivered',
        1, 0, 0, 2, now(), now()
    FROM generate_series(1, :many / 5) n
    """,
    """
    INSERT INTO event (transaction_id, client_id, type, message_id, status, version, created_at)
    SELECT 1000 + n / 20, 1 + (n % 10 = 0)::int, 'message.updated', md5('m' || (n + 4) / 5)::uuid,
        CASE n % 5 WHEN 1 THEN 'delivered' ELSE 'sent' END, n % 5 + 2,
        now() - (:many - n) * (interval '20 days' / :many)
    FROM generate_series(1, :many) n
    """,
    """
    INSERT INTO webhook_delivery (id, endpoint_id, event_id, message_id, created_at, attempts,
        due_at, delivered_at)
    SELECT (lpad(to_hex(id), 12, '0') || '7000a' || left(md5('d' || id), 15))::uuid, :endpoint, id,
        message_id, created_at, 1,
        CASE WHEN id % 1000 = 1 THEN now() + interval '1 day' END,
        CASE WHEN id % 1000 NOT IN (1, 501) THEN created_at END
    FROM event WHERE id % 5 = 1 AND id < :many - 200
    """,
    "ANALYZE",
)


@pytest.fixture(scope="module", params=SIZES)
def many(request: pytest.FixtureRequest) -> int:
    count: int = request.param
    return count


@pytest.fixture(scope="module")
def endpoint_id(many: int, postgres_url: str, redis_url: str) -> Iterator[UUID]:
    """The endpoint of client 1 in a filled database."""
    endpoint_id = uuid7()

    def fill(connection: Connection) -> None:
        now = datetime.now(UTC)
        clients = [{"name": name, "created_at": now} for name in ("one", "two")]
        connection.execute(insert(Client), clients)
        endpoint = {
            "id": endpoint_id,
            "client_id": 1,
            "url": "https://8.8.8.8/",
            "types": ["message.updated"],
            "statuses": ["delivered"],
            "secrets": [],
            "created_at": now,
            "updated_at": now,
        }
        connection.execute(insert(WebhookEndpoint), endpoint)
        for statement in _FILL:
            names = {"many": many, "endpoint": endpoint_id}
            used = {name: value for name, value in names.items() if f":{name}" in statement}
            connection.execute(text(statement), used)

    with filled_application(postgres_url, redis_url, f"webhook_plans_{many}", fill):
        yield endpoint_id


def plans_of(use: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    monkeypatch.setattr(plans, "LARGE", {"message", "event", "webhook_delivery"})
    db.session.remove()
    with explained(db.engine, repeats=100) as shown:
        use()
    db.session.remove()
    assert shown
    for plan in shown:
        assert not plan.whole_tables, str(plan)
    return shown


def test_recover_reads_the_events_since_the_time(
    many: int, endpoint_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not all those of the client: there may be a million."""
    since = datetime.now(UTC) - timedelta(hours=2)
    shown = plans_of(lambda: recover.recover(1, endpoint_id, since), monkeypatch)
    expected = many * timedelta(hours=2, minutes=10) / timedelta(days=20)
    for plan in shown:
        assert plan.read <= 2 * expected + 20, str(plan)
    bisection = [plan for plan in shown if "event.id >=" in plan.statement]
    assert 5 < len(bisection) < 25
    assert {plan.read for plan in bisection} == {1}


def test_recover_finds_the_same_events_as_a_walk_over_all(many: int, endpoint_id: UUID) -> None:
    since = datetime.now(UTC) - timedelta(hours=30)
    undelivered = """
        SELECT count(*) FROM event e LEFT JOIN webhook_delivery d ON d.event_id = e.id
        WHERE e.client_id = 1 AND e.status = 'delivered' AND e.created_at >= :since
        AND d.delivered_at IS NULL AND (d.due_at IS NULL OR d.due_at > now() + interval '45 s')
    """
    expected = db.session.scalar(text(undelivered), {"since": since})
    db.session.remove()
    assert expected
    assert recover.recover(1, endpoint_id, since) == expected


@pytest.mark.parametrize("before", [None, UUID("00000000-6000-7000-a000-000000000000")])
@pytest.mark.parametrize("status", [None, *DeliveryStatus])
def test_list_of_deliveries_reads_little_more_than_a_page(
    endpoint_id: UUID,
    monkeypatch: pytest.MonkeyPatch,
    status: DeliveryStatus | None,
    before: UUID | None,
) -> None:
    """Also where only few deliveries have the status."""
    filters = DeliveryFilter(status=status)
    shown = plans_of(lambda: webhook_log.page(endpoint_id, filters, before, LIMIT), monkeypatch)
    allowed = {DeliveryStatus.PENDING: webhook_log._FEW + 1, DeliveryStatus.DELIVERED: 10 * LIMIT}
    for plan in shown:
        assert plan.read <= allowed.get(status, LIMIT + 1), str(plan)


def test_deliveries_of_a_message_are_read_by_index(
    endpoint_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = db.session.scalar(text("SELECT message_id FROM webhook_delivery LIMIT 1"))
    filters = DeliveryFilter(message_id=message_id)
    for plan in plans_of(lambda: webhook_log.page(endpoint_id, filters, None, 50), monkeypatch):
        assert plan.read <= 2, str(plan)


def test_health_of_an_endpoint_is_read_by_index(
    endpoint_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = db.session.get_one(WebhookEndpoint, endpoint_id)
    for plan in plans_of(lambda: representations.endpoint(endpoint), monkeypatch):
        assert plan.read <= 2, str(plan)
