"""With 500 endpoints and many deliveries, the pages of webhooks read bounded ranges of indexes."""

from collections.abc import Callable, Iterator
from hashlib import md5
from typing import Final
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Connection, text

from service.database import db
from tests.filled import filled_application
from tests.plans import explained
from tests.service.web.ops.conftest import Operator, make_operator_key

pytestmark = pytest.mark.slow

SIZES: Final = (100_000, 1_000_000)
# Each of 500 endpoints is looked up a few times in an index of four levels.
BLOCKS: Final = 500 * 4 * 8
BUSY: Final = UUID(hex=md5(b"e1", usedforsecurity=False).hexdigest())

# Every second delivery is owed to the first endpoint; of the others most arrived and some failed.
FILL: Final = """
INSERT INTO client (id, name, test, created_at)
SELECT n, 'client-' || n, false, now() FROM generate_series(1, 100) AS n;
INSERT INTO webhook_endpoint (id, client_id, url, types, statuses, include_body, secrets,
    created_at, updated_at, failures, failing_since, disabled_at)
SELECT md5('e' || n)::uuid, 1 + n % 100, 'https://shop.example/' || n, '[]', '[]', false, '[]',
    now(), now(), 0, CASE WHEN n % 10 = 1 THEN now() - interval '1 minute' * (600 - n) END,
    CASE WHEN n % 10 = 2 THEN now() END
FROM generate_series(1, 500) AS n;
INSERT INTO webhook_delivery (id, endpoint_id, event_id, message_id, created_at, due_at, attempts,
    delivered_at)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7000a'
        || left(md5('d' || n), 15))::uuid,
    md5('e' || CASE WHEN n % 2 = 0 THEN 1 ELSE 2 + n / 2 % 499 END)::uuid, n,
    md5('m' || n / 10)::uuid, at, CASE WHEN n % 2 = 0 THEN at END, 1,
    CASE WHEN n % 2 = 1 AND n % 100 <> 7 THEN at END
FROM (
    SELECT n, now() - interval '1 second' * (:many - n) AS at FROM generate_series(1, :many) AS n
) AS moments;
ANALYZE client, webhook_endpoint, webhook_delivery
"""


@pytest.fixture(scope="module", params=SIZES)
def filled(request: pytest.FixtureRequest, postgres_url: str, redis_url: str) -> Iterator[Flask]:
    """An application over a database with many deliveries."""

    def fill(connection: Connection) -> None:
        for statement in map(text, FILL.split(";")):
            many = {"many": request.param} if "many" in statement.compile().params else {}
            connection.execute(statement, many)

    with filled_application(postgres_url, redis_url, f"webhooks_{request.param}", fill) as app:
        yield app


@pytest.fixture(scope="module")
def get(filled: Flask) -> Callable[[str], str]:
    """Get a page as an operator; each statement must read a bounded range of an index."""
    operator = Operator(filled)
    operator.log_in(make_operator_key(filled, "ada"))

    def page(path: str) -> str:
        with explained(db.engine) as plans:
            answer = operator.get(path)
        assert answer.status_code == 200
        assert len(plans) > 3
        for plan in plans:
            assert "webhook_delivery" not in plan.whole_tables, str(plan)
            assert plan.blocks <= BLOCKS, str(plan)
        return answer.text

    return page


@pytest.mark.parametrize("path", ["", "?page=20", "?client=client-7"])
def test_list_reads_bounded_ranges(get: Callable[[str], str], path: str) -> None:
    assert "https://shop.example/" in get(f"/webhooks{path}")


def test_list_stops_counting_what_is_owed(get: Callable[[str], str]) -> None:
    assert "Owed: <b>1,000+</b>" in get("/webhooks")


@pytest.mark.parametrize("query", ["", *(f"?status={status}" for status in ("pending", "failed"))])
def test_page_of_a_busy_endpoint_reads_bounded_ranges(
    get: Callable[[str], str], query: str
) -> None:
    assert "10,000+, the oldest since" in get(f"/webhooks/{BUSY}{query}")


def test_overview_reads_bounded_ranges(get: Callable[[str], str]) -> None:
    assert "failing webhook endpoints, the first for 10 h" in get("/live")
