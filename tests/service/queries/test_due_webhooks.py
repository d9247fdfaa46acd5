"""The backlog of one webhook endpoint is not read to find what is due for others."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import text

from service.database import db, transaction
from service.queries import due_webhooks
from service.queries.dialect import is_postgresql
from service.webhooks.claim import claim
from tests.plans import explained
from tests.service.webhooks.owed import add_endpoints, owe_tests

pytestmark = pytest.mark.slow

ENDPOINTS = 40
BACKLOG = 20_000
_FILL = text(
    "INSERT INTO webhook_delivery (id, endpoint_id, event_id, created_at, due_at, attempts) "
    "SELECT gen_random_uuid(), :endpoint_id, 1000000 + number, now(), "
    "now() - number * interval '1 ms', 0 "
    "FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS number"
)


def fill(endpoint_id: UUID) -> None:
    for first in range(0, BACKLOG, 5_000):
        numbers = {"first": first + 1, "last": first + 5_000}
        with transaction():
            db.session.execute(_FILL, {"endpoint_id": endpoint_id, **numbers})
    with db.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))


def test_claim_steps_over_the_backlog_of_an_endpoint(client_id: int) -> None:
    if not is_postgresql():
        pytest.skip("plans of PostgreSQL")
    ids = add_endpoints(client_id, ["https://hooks.example.com"] * ENDPOINTS)
    for endpoint_id in ids:
        owe_tests(client_id, endpoint_id)
    fill(ids[17])
    with explained(db.engine) as plans:
        claim(32, datetime.now(UTC))
        with transaction():
            due_webhooks.endpoint_states(datetime.now(UTC))
    assert plans
    for plan in plans:
        assert plan.read <= 4 * ENDPOINTS, str(plan)
        assert "webhook_delivery" not in _sequential(plan.text), str(plan)


def _sequential(node: dict[str, object]) -> set[object]:
    """Return the tables of which a plan reads every row."""
    below: list[dict[str, object]] = node.get("Plans", [])  # type: ignore[assignment]
    tables = {node["Relation Name"]} if node["Node Type"] == "Seq Scan" else set()
    return tables.union(*map(_sequential, below))
