"""The API of messages, over a real database and a real Redis."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import update

from demo.servers import free_port
from service.app import create_app
from service.components import components
from service.database import db, transaction
from service.domain.report import StatusReport
from service.domain.status import Status
from service.errors import Refused
from service.models import Message
from service.providers.base import Outbound
from service.recording import record
from service.sending import deliver
from service.task_queue.queue import SEND
from tests.conftest import make_key, make_settings
from tests.fakes import FakeProvider, said
from tests.messages import assert_soon

HELLO = {"to": "+14155552671", "body": "Hello"}
SERVICE = "MG" + "0" * 32


def test_posted_message_is_readable_at_its_location(web: FlaskClient) -> None:
    posted = web.post("/v1/messages", json={**HELLO, "reference": "r-1", "metadata": {"a": 1}})

    assert posted.status_code == 202, posted.json
    read = web.get(posted.headers["Location"])
    assert read.json == posted.json
    assert posted.json["status"] == "pending"
    assert posted.json["final"] is False
    assert posted.json["reference"] == "r-1"
    assert posted.json["metadata"] == {"a": 1}
    assert posted.json["from"] == "+15005550006"


def test_delivered_message_shows_the_provider_report(
    web: FlaskClient, app: Flask, provider: FakeProvider
) -> None:
    posted = web.post("/v1/messages", json=HELLO).json
    with app.app_context():
        deliver.deliver()
    read = web.get(f"/v1/messages/{posted['id']}").json
    assert read["status"] == "queued"
    assert read["provider_sid"] == provider.sid(provider.on_air[0].attempt_id)


def test_message_shows_every_field_of_the_request(web: FlaskClient) -> None:
    fields = {
        "to": "whatsapp:+14155552671",
        "from": "whatsapp:+15005550006",
        "messaging_service_sid": SERVICE,
        "content_sid": "HX" + "0" * 32,
        "content_variables": {"1": "Ada"},
        "validity_period": 600,
        "reference": "order-7",
        "metadata": {"text": "Zoë 🎈", "whole": 10**30, "part": 0.1, "flag": True, "none": None},
        "priority": "high",
        "resend_if_unknown": True,
    }
    posted = web.post("/v1/messages", json=fields)
    read = web.get(posted.headers["Location"]).json
    assert {name: read[name] for name in fields} == fields
    assert read == posted.json


def test_media_need_no_text(web: FlaskClient) -> None:
    media = [f"https://example.com/{number}.png" for number in range(10)]
    posted = web.post("/v1/messages", json={"to": HELLO["to"], "media_urls": media})
    assert posted.status_code == 202
    assert (posted.json["media_urls"], posted.json["body"]) == (media, None)


@pytest.mark.parametrize(
    "body", ["x" * 1600, "🎈" * 800, "a\r\nb\t\u2028c", "' OR 1=1 --", "a\x01"]
)
def test_text_is_stored_unchanged(web: FlaskClient, body: str) -> None:
    posted = web.post("/v1/messages", json={**HELLO, "body": body})
    assert web.get(posted.headers["Location"]).json["body"] == body


def test_times_are_in_utc(web: FlaskClient) -> None:
    moment = datetime.now(UTC).replace(microsecond=250_000) + timedelta(hours=3)
    zoned = moment.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()
    posted = web.post("/v1/messages", json={**HELLO, "send_at": zoned}).json
    assert posted["send_at"] == moment.strftime("%Y-%m-%dT%H:%M:%S.250Z")
    assert posted["created_at"].endswith("Z")
    assert web.get(f"/v1/messages/{posted['id']}").json == posted


def test_post_wakes_a_send_worker(web: FlaskClient, redis_url: str) -> None:
    web.post("/v1/messages", json=HELLO)
    with Redis.from_url(redis_url) as redis:
        assert_soon(lambda: redis.llen(SEND) == 1)


def test_scheduled_post_wakes_no_worker(
    web: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        requested: list[str] = []
        monkeypatch.setattr(components().queue, "request", requested.append)
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert web.post("/v1/messages", json={**HELLO, "send_at": later}).status_code == 202
    assert requested == []


def test_events_show_source_status_and_repeats(
    web: FlaskClient, app: Flask, provider: FakeProvider
) -> None:
    posted = web.post("/v1/messages", json=HELLO).json
    with app.app_context():
        deliver.deliver()
        attempt_id = provider.on_air[0].attempt_id
        for _ in range(3):
            record.record([said("sent", attempt_id=attempt_id, sid="SM1")])

    events = web.get(f"/v1/messages/{posted['id']}/events").json["events"]
    assert [(event["provider_status"], event["repeats"]) for event in events] == [
        ("queued", 0),
        ("sent", 2),
    ]
    assert events[0]["attempt_id"] == str(attempt_id)
    assert events[0]["source"] == "api"
    assert events[1]["status"] == "sent"
    assert events[1]["raw"] == {"word": "sent"}
    assert events[1]["received_at"].endswith("Z")


def test_new_message_has_no_events(web: FlaskClient) -> None:
    posted = web.post("/v1/messages", json=HELLO).json
    assert web.get(f"/v1/messages/{posted['id']}/events").json == {"events": []}


def test_failed_message_has_an_explanation(
    web: FlaskClient, app: Flask, provider: FakeProvider
) -> None:
    def refuse(outbound: Outbound) -> StatusReport:
        raise Refused("not a mobile number", "21614", {"code": 21614})

    provider.script = refuse
    posted = web.post("/v1/messages", json=HELLO).json
    with app.app_context():
        deliver.deliver()
    read = web.get(f"/v1/messages/{posted['id']}").json
    assert (read["status"], read["final"]) == ("failed", True)
    assert read["error"] == {
        "code": "21614",
        "message": "not a mobile number",
        "explanation": "Explained: 21614.",
        "retryable": False,
    }
    assert read["final_at"] is not None


def test_message_of_an_unconfigured_provider_is_readable(web: FlaskClient, app: Flask) -> None:
    posted = web.post("/v1/messages", json=HELLO).json
    with app.app_context(), transaction():
        gone = {"provider": "gone", "error_code": "402", "status": Status.FAILED}
        db.session.execute(update(Message).values(gone))
    read = web.get(f"/v1/messages/{posted['id']}").json
    assert (read["provider"], read["error"]["code"]) == ("gone", "402")
    assert "no longer configured" in read["error"]["explanation"]


def test_contradicting_reports_are_a_conflict(
    web: FlaskClient, app: Flask, provider: FakeProvider
) -> None:
    posted = web.post("/v1/messages", json=HELLO).json
    with app.app_context():
        deliver.deliver()
        attempt_id = provider.on_air[0].attempt_id
        for word in ("delivered", "undelivered"):
            record.record([said(word, attempt_id=attempt_id)])
    read = web.get(f"/v1/messages/{posted['id']}").json
    assert (read["status"], read["conflict"]) == ("delivered", True)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/events"), ("POST", "/cancel")],
)
def test_message_of_another_client_is_not_found(
    web: FlaskClient, app: Flask, method: str, path: str
) -> None:
    posted = web.post("/v1/messages", json=HELLO).json
    stranger = {"Authorization": f"Bearer {make_key(app, 'stranger')}"}

    answer = app.test_client().open(
        f"/v1/messages/{posted['id']}{path}", method=method, headers=stranger
    )
    nobodys = web.open(f"/v1/messages/{uuid4()}{path}", method=method)

    assert answer.status_code == nobodys.status_code == 404
    assert answer.json == nobodys.json
    assert web.get(f"/v1/messages/{posted['id']}").json == posted


@pytest.fixture
def without_redis(database_url: str, key: str) -> Iterator[FlaskClient]:
    """A client of an application whose Redis is away."""
    url = f"redis://127.0.0.1:{free_port()}/0"
    app = create_app(make_settings(database_url, url))
    web = app.test_client()
    web.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    yield web
    with app.app_context():
        db.engine.dispose()


def test_post_is_accepted_without_redis(without_redis: FlaskClient, web: FlaskClient) -> None:
    """What is stored needs no queue: a sweep finds it."""
    posted = without_redis.post("/v1/messages", json=HELLO)
    assert posted.status_code == 202
    assert web.get(posted.headers["Location"]).json == posted.json
