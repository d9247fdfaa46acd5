"""The API of webhook endpoints: what a client can create, read, change and delete."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from service.database import db
from service.domain.report import StatusReport
from service.errors import Refused
from service.models import WebhookEndpoint
from service.providers.base import Outbound
from service.sending import deliver as sending
from tests.conftest import make_key
from tests.fakes import FakeProvider

pytestmark = pytest.mark.usefixtures("context")

UNKNOWN = "c37d55d4-23cd-4db8-a15f-86727658f265"  # the same in each process of a run
ENDPOINTS = "/v1/webhook-endpoints"
# Addresses need no name server.
URL, OTHER_URL = "https://8.8.8.8/hook", "https://8.8.4.4/hook"
FINAL = ["expired", "canceled", "failed", "undelivered", "delivered", "read"]


def create(web: FlaskClient, **fields: Any) -> Any:
    return web.post(ENDPOINTS, json={"url": URL, **fields})


@pytest.fixture
def created(web: FlaskClient) -> dict[str, Any]:
    answer: dict[str, Any] = create(web, description="orders").json
    return answer


@pytest.fixture
def path(created: dict[str, Any]) -> str:
    return f"{ENDPOINTS}/{created['id']}"


@pytest.fixture
def other(app: Flask) -> FlaskClient:
    """Another client of the API."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {make_key(app, 'shipping')}"
    return client


def write(**columns: Any) -> None:
    """Change the columns of all endpoints, as deliveries do."""
    db.session.execute(update(WebhookEndpoint).values(**columns))
    db.session.commit()


def test_secret_is_shown_at_creation_only(web: FlaskClient) -> None:
    answer = create(web)
    endpoint = answer.json
    secret = endpoint.pop("secret")
    assert (answer.status_code, secret[:6]) == (201, "whsec_")
    shown = web.get(answer.headers["Location"])
    assert (shown.status_code, shown.json) == (200, endpoint)
    listed = web.get(ENDPOINTS).json
    assert listed == {"webhook_endpoints": [endpoint]}
    assert secret[6:] not in str([shown.json, listed])


def test_new_endpoint_has_defaults_and_is_healthy(web: FlaskClient) -> None:
    endpoint = create(web).json
    assert (endpoint["types"], endpoint["statuses"]) == (["message.updated"], FINAL)
    assert (endpoint["description"], endpoint["include_body"]) == (None, False)
    health = ("disabled_at", "disabled_reason", "failing_since", "last_success_at")
    assert endpoint["enabled"] is True
    assert [endpoint[name] for name in (*health, "next_attempt_at")] == [None] * 5


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"url": None}, "url"),
    ({"url": ""}, "url"),
    ({"url": 5}, "url"),
    ({"url": "hook"}, "url"),
    ({"url": "ftp://8.8.8.8/hook"}, "url"),
    ({"url": "http://8.8.8.8/hook"}, "url"),  # WEBHOOK_ALLOW_HTTP is not set
    ({"url": "https://8.8.8.8/a hook"}, "url"),
    ({"url": "https://8.8.8.8:99999/"}, "url"),
    ({"url": "https://[::1/"}, "url"),
    ({"url": "https://127.0.0.1/hook"}, "url"),
    ({"url": "https://169.254.169.254/hook"}, "url"),
    ({"url": "https://8.8.8.8/" + "a" * 2_000}, "url"),
    ({"description": ""}, "description"),
    ({"description": "a" * 256}, "description"),
    ({"description": "\x00"}, "description"),
    ({"types": []}, "types"),
    ({"types": None}, "types"),
    ({"types": ["message.sent"]}, "types.0"),
    ({"types": ["message.updated"] * 2}, "types"),
    ({"statuses": []}, "statuses"),
    ({"statuses": "delivered"}, "statuses"),
    ({"statuses": ["delivered", "lost"]}, "statuses.1"),
    ({"statuses": ["delivered", "delivered"]}, "statuses"),
    ({"include_body": "yes"}, "include_body"),
    ({"secret": "whsec_mine"}, "secret"),
    ({"enabled": False}, "enabled"),
]


@pytest.mark.parametrize(("fields", "field"), REFUSED)
def test_invalid_endpoint_is_refused_by_field(
    web: FlaskClient, path: str, fields: dict[str, Any], field: str
) -> None:
    before = web.get(path).json
    for answer in (create(web, **fields), web.patch(path, json=fields)):
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json["errors"]] == [field]
    assert web.get(ENDPOINTS).json["webhook_endpoints"] == [before]


@pytest.mark.parametrize("body", [[], "url", 5])
def test_body_that_is_no_object_is_refused(web: FlaskClient, path: str, body: Any) -> None:
    assert web.post(ENDPOINTS, json=body).status_code == 422
    assert web.patch(path, json=body).status_code == 422


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"url": OTHER_URL},
        {"description": None},
        {"statuses": ["sent", "delivered"], "include_body": True},
    ],
)
def test_patch_changes_the_given_fields_only(
    web: FlaskClient, path: str, changes: dict[str, Any]
) -> None:
    before = web.get(path).json
    answer = web.patch(path, json=changes)
    assert answer.status_code == 200
    assert answer.json == {**before, **changes, "updated_at": answer.json["updated_at"]}
    assert web.get(path).json == answer.json


def test_new_url_ends_the_pause_of_a_failing_endpoint(web: FlaskClient, path: str) -> None:
    now = datetime.now(UTC)
    write(failing_since=now, failures=3, retry_at=now + timedelta(minutes=5))
    assert web.patch(path, json={"description": "x"}).json["failing_since"] is not None
    assert web.patch(path, json={"url": OTHER_URL}).json["failing_since"] is None
    endpoint = db.session.scalars(db.select(WebhookEndpoint)).one()
    assert (endpoint.failures, endpoint.retry_at) == (0, None)


def test_health_is_shown(web: FlaskClient, path: str) -> None:
    at = datetime(2026, 11, 26, 12, tzinfo=UTC)
    write(disabled_at=at, disabled_reason="gone", failing_since=at, succeeded_at=at)
    shown = web.get(path).json
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "gone")
    names = ("disabled_at", "failing_since", "last_success_at")
    assert [shown[name] for name in names] == ["2026-11-26T12:00:00.000Z"] * 3


def test_enable_clears_the_failing_state(web: FlaskClient, path: str) -> None:
    now = datetime.now(UTC)
    write(disabled_at=now, disabled_reason="failing", failing_since=now, failures=9, retry_at=now)
    answer = web.post(f"{path}/enable")
    assert (answer.status_code, answer.json["enabled"]) == (200, True)
    assert answer.json == web.get(path).json
    endpoint = db.session.scalars(db.select(WebhookEndpoint)).one()
    state = (endpoint.disabled_reason, endpoint.failing_since, endpoint.retry_at)
    assert (*state, endpoint.failures) == (None, None, None, 0)


def test_deleted_endpoint_is_gone_and_makes_room(web: FlaskClient, path: str) -> None:
    answer = web.delete(path)
    assert (answer.status_code, answer.data) == (204, b"")
    assert web.get(ENDPOINTS).json == {"webhook_endpoints": []}
    assert web.delete(path).status_code == 404
    for _ in range(16):
        assert create(web).status_code == 201


def test_seventeenth_endpoint_is_refused(web: FlaskClient, other: FlaskClient) -> None:
    for _ in range(16):
        assert create(web).status_code == 201
    assert create(web).status_code == 409
    assert create(other).status_code == 201
    assert len(web.get(ENDPOINTS).json["webhook_endpoints"]) == 16


CALLS: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("PATCH", "", {"description": "x"}),
    ("DELETE", "", None),
    ("POST", "/rotate-secret", {}),
    ("POST", "/test", None),
    ("POST", "/enable", None),
    ("GET", "/deliveries", None),
    ("POST", f"/deliveries/{UNKNOWN}/retry", None),
    ("POST", "/recover", {"since": datetime.now(UTC).isoformat()}),
]


@pytest.mark.parametrize(("method", "suffix", "body"), CALLS)
def test_endpoint_of_another_client_is_unknown(
    web: FlaskClient, other: FlaskClient, app: Flask, path: str, method: str, suffix: str, body: Any
) -> None:
    before = web.get(path).json
    assert other.open(path + suffix, method=method, json=body).status_code == 404
    assert app.test_client().open(path + suffix, method=method, json=body).status_code == 401
    assert web.get(path).json == before
    web.delete(path)
    assert web.open(path + suffix, method=method, json=body).status_code == 404


def test_test_key_has_endpoints_of_its_own(app: Flask, web: FlaskClient, path: str) -> None:
    made = app.test_cli_runner().invoke(args=["clients", "create", "billing", "--test"])
    test = app.test_client()
    test.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {made.output.strip()}"
    assert test.get(path).status_code == 404
    assert create(test).status_code == 201
    assert len(test.get(ENDPOINTS).json["webhook_endpoints"]) == 1


def endpoint_id_of(web: FlaskClient) -> str:
    return str(create(web).json["id"])


Send = Callable[..., Any]


@pytest.fixture
def send(web: FlaskClient) -> Send:
    def post(key: str | None = None, **fields: Any) -> Any:
        message = {"to": "+14155552671", "body": "Hello", **fields}
        headers = {"Idempotency-Key": key} if key else {}
        return web.post("/v1/messages", json=message, headers=headers)

    return post


def test_message_shows_its_endpoint(web: FlaskClient, send: Send) -> None:
    endpoint_id = endpoint_id_of(web)
    posted = send(webhook_endpoint=endpoint_id.upper()).json
    assert posted["webhook_endpoint"] == endpoint_id
    assert web.get(f"/v1/messages/{posted['id']}").json["webhook_endpoint"] == endpoint_id
    assert send().json["webhook_endpoint"] is None


@pytest.mark.parametrize("value", [UNKNOWN, "hook", 5, True, ["a"], {}])
def test_unknown_endpoint_of_a_message_is_refused(send: Send, value: Any) -> None:
    answer = send(webhook_endpoint=value)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == ["webhook_endpoint"]


def test_message_cannot_name_a_foreign_or_deleted_endpoint(
    web: FlaskClient, other: FlaskClient, send: Send
) -> None:
    deleted = endpoint_id_of(web)
    web.delete(f"{ENDPOINTS}/{deleted}")
    for endpoint_id in (endpoint_id_of(other), deleted):
        assert send(webhook_endpoint=endpoint_id).status_code == 422


def test_batch_refuses_unknown_endpoints_separately(web: FlaskClient) -> None:
    endpoint_id, message = endpoint_id_of(web), {"to": "+14155552671", "body": "Hello"}
    named = [{**message, "webhook_endpoint": each} for each in (endpoint_id, UNKNOWN)]
    results = web.post("/v1/messages/batch", json={"messages": [*named, message]}).json["results"]
    assert [result["status"] for result in results] == [202, 422, 202]
    assert results[0]["message"]["webhook_endpoint"] == endpoint_id


def test_repeat_keeps_the_endpoint_also_when_it_is_deleted(web: FlaskClient, send: Send) -> None:
    endpoint_id = endpoint_id_of(web)
    first = send("once", webhook_endpoint=endpoint_id)
    assert send("once").status_code == 409  # another request
    for _ in range(2):
        again = send("once", webhook_endpoint=endpoint_id)
        assert (again.status_code, again.json) == (202, first.json)
        web.delete(f"{ENDPOINTS}/{endpoint_id}")


def test_message_that_is_sent_again_keeps_its_endpoint(
    web: FlaskClient, provider: FakeProvider, send: Send
) -> None:
    def refuse(_: Outbound) -> StatusReport:
        raise Refused("invalid number", "21211")

    endpoint_id = endpoint_id_of(web)
    provider.script = refuse
    message_id = send(webhook_endpoint=endpoint_id).json["id"]
    sending.deliver()
    answer = web.post(f"/v1/messages/{message_id}/resend")
    assert (answer.status_code, answer.json["webhook_endpoint"]) == (202, endpoint_id)
    provider.script = None
    sending.deliver()
    assert web.get(f"/v1/messages/{message_id}").json["webhook_endpoint"] == endpoint_id


def test_unchanged_url_is_not_checked_again(web: FlaskClient, path: str) -> None:
    """Its host may have no address for a while."""
    write(url="https://hooks.invalid/")
    assert web.patch(path, json={"statuses": ["failed"]}).status_code == 200
    assert web.patch(path, json={"url": "https://hooks.invalid/"}).status_code == 422
