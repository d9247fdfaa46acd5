"""How much a client may post: 429 beyond, for each client, and never without Redis."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from demo.servers import free_port
from service.app import create_app
from service.database import db
from tests.conftest import make_key, make_settings
from tests.fakes import FakeProvider

HELLO = {"to": "+14155552671", "body": "Hello"}
LIMITS = "10/minute;30/hour"


def limited(database_url: str, redis_url: str, **changes: Any) -> Flask:
    settings = make_settings(database_url, redis_url, RATE_LIMIT_POSTS=LIMITS, **changes)
    return create_app(settings, providers={"twilio": FakeProvider()})


@pytest.fixture
def strict(app: Flask, database_url: str, redis_url: str) -> Iterator[Flask]:
    """An application with limits, over the same stores."""
    made = limited(database_url, redis_url)
    yield made
    with made.app_context():
        db.engine.dispose()


def client_of(app: Flask, key: str) -> FlaskClient:
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


@pytest.fixture
def posting(strict: Flask, key: str) -> FlaskClient:
    return client_of(strict, key)


def batch(count: int) -> dict[str, Any]:
    return {"messages": [HELLO] * count}


def test_beyond_its_limit_a_client_is_told_when_to_come_back(posting: FlaskClient) -> None:
    answers = [posting.post("/v1/messages", json=HELLO) for _ in range(11)]
    assert [one.status_code for one in answers] == [202] * 10 + [429]
    refused = answers[-1]
    assert refused.content_type == "application/problem+json"
    assert refused.json["title"] == "Too many requests"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit-Limit"] == "10"
    assert refused.headers["RateLimit-Remaining"] == "0"
    assert refused.headers["RateLimit-Reset"] == refused.headers["Retry-After"]
    assert len(posting.get("/v1/messages?limit=200").json["messages"]) == 10


def test_the_refusal_is_the_one_that_the_document_shows(posting: FlaskClient) -> None:
    told = posting.get("/openapi.json").json["components"]["responses"]["TooManyRequests"]
    refused = [posting.post("/v1/messages", json=HELLO) for _ in range(11)][-1]
    example = told["content"]["application/problem+json"]["example"]
    wait = refused.headers["Retry-After"]
    assert refused.json == {**example, "detail": f"rate limit exceeded; retry after {wait} s"}
    assert set(told["headers"]) <= set(refused.headers.keys())


def test_each_client_has_a_limit_of_its_own(posting: FlaskClient, strict: Flask) -> None:
    for _ in range(11):
        posting.post("/v1/messages", json=HELLO)
    other = client_of(strict, make_key(strict, "shipping"))
    assert other.post("/v1/messages", json=HELLO).status_code == 202


def test_a_batch_counts_as_its_messages(posting: FlaskClient) -> None:
    assert posting.post("/v1/messages/batch", json=batch(6)).status_code == 202
    assert posting.post("/v1/messages/batch", json=batch(6)).status_code == 429
    assert [posting.post("/v1/messages", json=HELLO).status_code for _ in range(5)] == [
        *[202] * 4,
        429,
    ]


def test_a_batch_over_a_limit_takes_the_whole_of_it(posting: FlaskClient) -> None:
    assert posting.post("/v1/messages/batch", json=batch(25)).status_code == 202
    assert posting.post("/v1/messages", json=HELLO).status_code == 429


@pytest.mark.parametrize("body", [[], {}, {"messages": 1}, {"messages": []}])
def test_a_bad_batch_is_refused_as_one(posting: FlaskClient, body: Any) -> None:
    assert posting.post("/v1/messages/batch", json=body).status_code == 422


def test_reading_and_health_are_not_limited(posting: FlaskClient) -> None:
    for _ in range(12):
        posting.post("/v1/messages", json=HELLO)
    for path in ("/v1/messages", "/healthz", "/readyz", "/openapi.json"):
        assert {posting.get(path).status_code for _ in range(12)} == {200}, path


def test_callbacks_are_not_limited(posting: FlaskClient) -> None:
    answers = {posting.post("/callbacks/twilio", data={"a": "b"}).status_code for _ in range(40)}
    assert 429 not in answers


def test_whoever_has_no_key_is_refused_for_that(strict: Flask) -> None:
    nobody = client_of(strict, "wb_nobody")
    answers = {nobody.post("/v1/messages", json=HELLO).status_code for _ in range(12)}
    assert answers == {401}


def test_without_redis_nobody_is_refused(app: Flask, key: str, database_url: str) -> None:
    alone = limited(database_url, f"redis://127.0.0.1:{free_port()}/0")
    posting = client_of(alone, key)
    answers = {posting.post("/v1/messages", json=HELLO).status_code for _ in range(15)}
    assert answers == {202}
    with alone.app_context():
        db.engine.dispose()


def test_a_post_asks_redis_at_most_once_for_each_limit(
    posting: FlaskClient, redis_url: str
) -> None:
    posting.post("/v1/messages", json=HELLO)  # loads the script
    with Redis.from_url(redis_url) as redis:
        before = asked(redis)
        for _ in range(5):
            posting.post("/v1/messages", json=HELLO)
        # Less when a busy machine let Redis wait: then nobody is counted.
        assert 0 < asked(redis) - before <= 5 * 2


def asked(redis: Redis) -> int:
    return int(redis.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


def test_without_the_setting_nothing_is_counted(web: FlaskClient, redis_url: str) -> None:
    for _ in range(40):
        assert web.post("/v1/messages", json=HELLO).status_code == 202
    with Redis.from_url(redis_url) as redis:
        assert list(redis.scan_iter("waybill:posts*")) == []
