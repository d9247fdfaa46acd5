"""The list of deliveries to an endpoint, and the test of an endpoint."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from flask.testing import FlaskClient
from uuid_utils.compat import uuid7

from service.database import db
from service.models import WebhookDelivery
from service.queries import webhook_log

pytestmark = pytest.mark.usefixtures("context")

NOW = datetime.now(UTC).replace(microsecond=0)
PENDING = {"due_at": NOW + timedelta(hours=1), "attempts": 2, "answer_status": 500}
DELIVERED = {"due_at": None, "attempts": 1, "answer_status": 204, "delivered_at": NOW}
FAILED = {"due_at": None, "attempts": 10, "error": "timed out"}


@pytest.fixture
def endpoint_id(web: FlaskClient) -> UUID:
    return UUID(web.post("/v1/webhook-endpoints", json={"url": "https://8.8.8.8/"}).json["id"])


Add = Callable[..., list[str]]


@pytest.fixture
def add(endpoint_id: UUID) -> Add:
    """Add deliveries; return their ids, the newest first."""

    def added(*states: dict[str, Any], message_id: UUID | None = None) -> list[str]:
        count = db.session.scalar(db.select(db.func.count(WebhookDelivery.id))) or 0
        rows = [
            WebhookDelivery(
                id=uuid7(),
                endpoint_id=endpoint_id,
                event_id=count + number,
                message_id=message_id or uuid4(),
                created_at=NOW,
                **{"attempts": 0, **state},
            )
            for number, state in enumerate(states, 1)
        ]
        db.session.add_all(rows)
        db.session.commit()
        return [str(row.id) for row in reversed(rows)]

    return added


@pytest.fixture
def page(web: FlaskClient, endpoint_id: UUID) -> Callable[..., Any]:
    def get(**query: Any) -> Any:
        answer = web.get(f"/v1/webhook-endpoints/{endpoint_id}/deliveries?{urlencode(query)}")
        assert answer.status_code == 200, answer.json
        return answer.json

    return get


def ids(page: Any) -> list[str]:
    return [delivery["id"] for delivery in page["deliveries"]]


def walk(page: Callable[..., Any], **query: Any) -> list[str]:
    """Return the ids on all pages."""
    found, cursor = list[str](), dict[str, str]()
    while True:
        answer = page(**query, **cursor)
        found += ids(answer)
        if answer["next_cursor"] is None:
            return found
        cursor = {"cursor": answer["next_cursor"]}


def test_delivery_shows_its_state(page: Callable[..., Any], add: Add) -> None:
    message_id = uuid4()
    [delivery_id] = add(PENDING, message_id=message_id)
    assert page() == {
        "deliveries": [
            {
                "id": delivery_id,
                "event_id": "evt_1",
                "message_id": str(message_id),
                "status": "pending",
                "attempts": 2,
                "answer_status": 500,
                "error": None,
                "created_at": NOW.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                "attempted_at": None,
                "delivered_at": None,
                "next_attempt_at": PENDING["due_at"].strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            }
        ],
        "next_cursor": None,
    }


STATES: Sequence[dict[str, Any]] = (PENDING, DELIVERED, FAILED)


@pytest.mark.parametrize("few", [webhook_log._FEW, 3])
@pytest.mark.parametrize("status", ["pending", "delivered", "failed"])
def test_pages_of_a_status_are_complete(
    page: Callable[..., Any], add: Add, monkeypatch: pytest.MonkeyPatch, status: str, few: int
) -> None:
    """Also where few rows are compared at a time, and with more pending ones than are sorted."""
    monkeypatch.setattr(webhook_log, "_FEW", few)
    monkeypatch.setattr(webhook_log, "_SEARCH_FACTOR", 2)
    state = dict(zip(("pending", "delivered", "failed"), STATES, strict=True))[status]
    add(*STATES * 3)
    matching = add(*[state] * 4)
    rest = add(*STATES * 2)
    found = walk(page, status=status, limit=2)
    assert found == sorted(found, reverse=True)
    assert len(found) == 3 + 4 + 2
    assert found[2:6] == matching
    assert set(found[:2]) < set(rest)


def test_pages_without_a_filter_are_complete(page: Callable[..., Any], add: Add) -> None:
    expected = add(*STATES * 3)
    assert walk(page, limit=2) == expected
    assert len(ids(page(limit=2))) == 2


def test_deliveries_of_a_message_are_found(page: Callable[..., Any], add: Add) -> None:
    message_id = uuid4()
    add(*STATES)
    expected = add(*STATES, message_id=message_id)
    add(*STATES)
    assert walk(page, message_id=message_id, limit=2) == expected
    assert walk(page, message_id=message_id, status="failed") == expected[:1]
    assert walk(page, message_id=uuid4()) == []


def test_deliveries_of_another_endpoint_are_not_listed(
    web: FlaskClient, page: Callable[..., Any], add: Add
) -> None:
    message_id = uuid4()
    add(*STATES, message_id=message_id)
    other = web.post("/v1/webhook-endpoints", json={"url": "https://8.8.8.8/"}).json["id"]
    for query in ("", f"?message_id={message_id}", "?status=pending", "?status=failed"):
        shown = web.get(f"/v1/webhook-endpoints/{other}/deliveries{query}").json
        assert shown == {"deliveries": [], "next_cursor": None}


@pytest.mark.parametrize(
    "query", ["status=lost", "message_id=1", "cursor=x", "limit=0", "limit=201", "page=2"]
)
def test_invalid_query_is_refused(web: FlaskClient, endpoint_id: UUID, query: str) -> None:
    answer = web.get(f"/v1/webhook-endpoints/{endpoint_id}/deliveries?{query}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [query.partition("=")[0]]


def test_next_attempt_of_an_endpoint_is_that_of_its_deliveries(
    web: FlaskClient, endpoint_id: UUID, add: Add
) -> None:
    path = f"/v1/webhook-endpoints/{endpoint_id}"
    add(PENDING, DELIVERED, FAILED, {**PENDING, "due_at": NOW + timedelta(hours=2)})
    due = PENDING["due_at"].strftime("%Y-%m-%dT%H:%M:%S.000Z")
    assert web.get(path).json["next_attempt_at"] == due
    [listed] = web.get("/v1/webhook-endpoints").json["webhook_endpoints"]
    assert listed["next_attempt_at"] == due


def test_deliveries_of_a_message_name_their_endpoints(
    web: FlaskClient, endpoint_id: UUID, add: Add
) -> None:
    message_id = uuid4()
    expected = add(*STATES, message_id=message_id)
    web.delete(f"/v1/webhook-endpoints/{endpoint_id}")
    found = webhook_log.of_message(message_id)
    assert [str(delivery.id) for delivery, _ in found] == expected[::-1]
    assert {endpoint.id for _, endpoint in found} == {endpoint_id}
