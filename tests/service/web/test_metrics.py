"""GET /metrics: access, metrics of requests and callbacks, and labels without personal data."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families as parse

from demo.servers import free_port
from service.app import create_app
from service.database import db
from tests.conftest import make_settings
from tests.counted import counting, settled
from tests.fakes import fake_signature

REQUESTS = "waybill_http_request_duration_seconds_count"
RECEIVED = "waybill_callbacks_received_total"
FORGED = "waybill_callbacks_forged_total"
TOKEN = "a-token-of-some-length"
PATH = f"/callbacks/twilio/{UUID(int=7)}"


def genuine(path: str, body: bytes) -> dict[str, str]:
    return {"X-Fake-Signature": fake_signature(path, body)}


def families(app: Flask) -> set[str]:
    answer = app.test_client().get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=0.0.4")
    return {family.name for family in parse(answer.text)}


def test_metrics_are_in_the_text_format(app: Flask) -> None:
    assert {"waybill_callbacks_received", "waybill_store_up"} <= families(app)


def test_request_is_counted_by_route_not_by_path(web: FlaskClient) -> None:
    with counting(REQUESTS) as counted:
        web.get(f"/v1/messages/{UUID(int=1)}")
        web.get(f"/v1/messages/{UUID(int=2)}")
        web.post("/v1/messages", json={"to": "+14155552671", "body": "Hello"})

    assert counted == {
        ("404", "GET", "/v1/messages/{message_id}"): 2,
        ("202", "POST", "/v1/messages"): 1,
    }


def test_unknown_paths_and_methods_are_counted_as_other(app: Flask) -> None:
    with counting(REQUESTS) as counted:
        app.test_client().get("/+14155552671")
        app.test_client().open("/healthz", method="+14155552671")

    assert counted == {("404", "GET", "other"): 1, ("405", "other", "other"): 1}


def test_failed_request_is_counted_with_status_500(
    app: Flask, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.web.api.messages.check", lambda *_: 1 / 0)
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    with counting(REQUESTS) as counted:
        app.test_client().get("/v1/messages", headers={"Authorization": f"Bearer {key}"})

    assert counted == {("500", "GET", "/v1/messages"): 1}


# Callbacks, by the fast path and by Flask


@pytest.mark.parametrize("environ", [{}, {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}])
def test_fast_path_and_flask_count_callbacks_the_same(
    app: Flask, environ: dict[str, object]
) -> None:
    web = app.test_client()
    with counting(REQUESTS) as requests, counting(RECEIVED) as received:
        for path in (PATH, "/callbacks/twilio", "/callbacks/twilio/a-secret/plan"):
            headers = genuine(path, b"a=b")
            web.post(path, data=b"a=b", headers=headers, environ_overrides=environ)

    assert received == {("stored", "twilio"): 3}
    assert requests == {
        ("204", "POST", "/callbacks/{provider}/{secret}/{attempt}"): 1,
        ("204", "POST", "/callbacks/{provider}/{attempt}"): 1,
        ("204", "POST", "/callbacks/{provider}"): 1,
    }


def test_invalid_signature_is_counted_by_reason(app: Flask) -> None:
    with counting(FORGED) as forged, counting(RECEIVED) as received:
        app.test_client().post(PATH, data=b"MessageStatus=sent")

    assert forged == {("twilio", "mismatch"): 1}
    assert received == {("forged", "twilio"): 1}


def test_callback_of_unknown_provider_is_only_a_request(app: Flask) -> None:
    with counting(REQUESTS) as requests, counting(RECEIVED) as received:
        app.test_client().post("/callbacks/+14155552671", data=b"a=b")

    assert received == {}
    assert requests == {("404", "POST", "/callbacks/{provider}"): 1}


@pytest.fixture
def without_redis(app: Flask, database_url: str) -> Iterator[Flask]:
    yield from application(database_url, f"redis://127.0.0.1:{free_port()}/0", app)


@pytest.fixture
def without_stores(app: Flask) -> Iterator[Flask]:
    nowhere = f"postgresql://waybill@127.0.0.1:{free_port()}/waybill"
    yield from application(nowhere, f"redis://127.0.0.1:{free_port()}/0", app)


def application(
    database_url: str, redis_url: str, template: Flask, **settings: str
) -> Iterator[Flask]:
    providers = template.extensions["waybill"].providers
    app = create_app(make_settings(database_url, redis_url, **settings), providers=providers)
    yield app
    settled(app.extensions["waybill-readings"])
    with app.app_context():
        db.engine.dispose()


def test_callback_without_redis_is_counted_as_overflow(without_redis: Flask) -> None:
    with counting(RECEIVED) as received:
        without_redis.test_client().post(PATH, data=b"a=b", headers=genuine(PATH, b"a=b"))

    assert received == {("overflow", "twilio"): 1}


def test_callback_without_stores_is_counted_as_refused(without_stores: Flask) -> None:
    with counting(RECEIVED) as received:
        without_stores.test_client().post(PATH, data=b"a=b", headers=genuine(PATH, b"a=b"))

    assert received == {("refused", "twilio"): 1}


def test_metrics_answer_without_stores(without_stores: Flask) -> None:
    assert "waybill_store_up" in families(without_stores)


# Access


@pytest.fixture
def guarded(app: Flask, database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Flask]:
    yield from application(database_url, redis_url, app, METRICS_TOKEN=TOKEN)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        (f"Bearer {TOKEN}x", 401),
        (f"Basic {TOKEN}", 401),
        ("Bearer \xe9\xff", 401),
        (f"Bearer {TOKEN}", 200),
    ],
)
def test_metrics_need_the_token_if_it_is_set(
    guarded: Flask, header: str | None, status: int
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = guarded.test_client().get("/metrics", headers=headers)

    assert answer.status_code == status
    assert ("waybill_" in answer.text) is (status == 200)
    assert TOKEN not in answer.text
