"""An idempotency key makes one message of any number of posts."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from service.database import db
from service.models import Message
from service.sending import deliver
from service.task_queue.queue import DELIVER
from service.web.api import schemas
from tests.conftest import make_key

HELLO = {"to": "+14155552671", "body": "Hello", "metadata": {"b": 1, "a": 0.1}}
CROWD = 8


def post(web: FlaskClient, message: Any, key: str = "k") -> TestResponse:
    return web.post("/v1/messages", json=message, headers={"Idempotency-Key": key})


def stored(app: Flask) -> int:
    with app.app_context():
        return db.session.scalars(select(func.count()).select_from(Message)).one()


def test_repeated_post_creates_nothing(web: FlaskClient, app: Flask) -> None:
    first, second = post(web, HELLO), post(web, HELLO)
    assert second.status_code == first.status_code == 202
    assert second.data == first.data
    assert second.headers["Location"] == first.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert stored(app) == 1


def test_repeated_post_gets_first_answer_after_delivery(web: FlaskClient, app: Flask) -> None:
    first = post(web, HELLO)
    with app.app_context():
        deliver.deliver()
    assert web.get(first.headers["Location"]).json["status"] == "queued"
    assert post(web, HELLO).data == first.data


def test_repeated_post_wakes_no_worker(
    web: FlaskClient, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested: list[str] = []
    monkeypatch.setattr(app.extensions["waybill"].queue, "request", requested.append)
    post(web, HELLO), post(web, HELLO)
    assert requested == [DELIVER]


def test_repeated_post_gets_first_answer_after_send_at(
    web: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that saw no answer repeats what it asked, and that does not age."""
    message = {**HELLO, "send_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
    first = post(web, message)
    assert first.status_code == 202

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(days=1)

    monkeypatch.setattr(schemas, "datetime", Tomorrow)
    second = post(web, message)
    assert (second.status_code, second.data) == (202, first.data)


def test_field_order_and_whitespace_make_no_difference(web: FlaskClient) -> None:
    first = post(web, HELLO)
    text = '{ "metadata": {"a":0.1,  "b":1}, "body":"Hello", "to":"+14155552671" }'
    second = web.post(
        "/v1/messages",
        data=text,
        content_type="application/json",
        headers={"Idempotency-Key": "k"},
    )
    assert second.data == first.data


@pytest.mark.parametrize("change", [{"body": "Goodbye"}, {"reference": "r"}, {"metadata": {}}])
def test_reused_key_with_other_body_gets_409(
    web: FlaskClient, app: Flask, change: dict[str, Any]
) -> None:
    first = post(web, HELLO)
    second = post(web, {**HELLO, **change})
    assert second.status_code == 409
    assert second.content_type == "application/problem+json"
    assert "Idempotent-Replayed" not in second.headers
    assert post(web, HELLO).data == first.data
    assert stored(app) == 1


def test_refused_post_does_not_use_up_its_key(web: FlaskClient) -> None:
    assert post(web, {**HELLO, "body": ""}).status_code == 422
    assert post(web, HELLO).status_code == 202


def test_clients_do_not_share_idempotency_keys(web: FlaskClient, app: Flask) -> None:
    stranger = app.test_client()
    stranger.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {make_key(app, 'stranger')}"
    first, second = post(web, HELLO), post(stranger, {**HELLO, "body": "Goodbye"})
    assert second.status_code == 202
    assert second.json["id"] != first.json["id"]


def test_api_keys_of_a_client_share_idempotency_keys(web: FlaskClient, app: Flask) -> None:
    other = app.test_client()
    other.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {make_key(app, 'billing')}"
    assert post(other, HELLO).data == post(web, HELLO).data


def test_every_post_without_a_key_creates_a_message(web: FlaskClient, app: Flask) -> None:
    first, second = (web.post("/v1/messages", json=HELLO).json["id"] for _ in range(2))
    assert first != second
    assert stored(app) == 2


@pytest.mark.parametrize("unusable", ["", "x" * 256, "caf\xe9", "a\tb"])
def test_invalid_idempotency_key_is_refused(web: FlaskClient, app: Flask, unusable: str) -> None:
    refused = post(web, HELLO, unusable)
    assert refused.status_code == 422
    assert refused.json["errors"][0]["field"] == "Idempotency-Key"
    assert stored(app) == 0


def test_concurrent_equal_posts_create_one_message(app: Flask, key: str) -> None:
    barrier = Barrier(CROWD)

    def hurry(_: int) -> TestResponse:
        web = app.test_client()
        web.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        barrier.wait(timeout=10)
        return post(web, HELLO)

    with ThreadPoolExecutor(CROWD) as pool:
        answers = list(pool.map(hurry, range(CROWD)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.data for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert stored(app) == 1


def test_concurrent_different_posts_create_one_message(app: Flask, key: str) -> None:
    barrier = Barrier(CROWD)

    def hurry(number: int) -> TestResponse:
        web = app.test_client()
        web.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        barrier.wait(timeout=10)
        return post(web, {**HELLO, "body": f"Hello {number}"})

    with ThreadPoolExecutor(CROWD) as pool:
        answers = list(pool.map(hurry, range(CROWD)))

    assert sorted(answer.status_code for answer in answers) == [202] + [409] * (CROWD - 1)
    assert stored(app) == 1
