"""Rate limits of posts: per client, 429 above the limit, no limit without Redis."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from demo.servers import free_port, redis_server
from service.app import create_app
from service.database import db
from tests.conftest import make_key, make_settings
from tests.fakes import FakeProvider
from tests.redis_stand import cluster_of_one

HELLO = {"to": "+14155552671", "body": "Hello"}
LIMITS = "10/minute;30/hour"


def limited(database_url: str, redis_url: str, **changes: Any) -> Flask:
    settings = make_settings(database_url, redis_url, RATE_LIMIT_POSTS=LIMITS, **changes)
    return create_app(settings, providers={"twilio": FakeProvider()})


@pytest.fixture
def limited_app(app: Flask, database_url: str, redis_url: str) -> Iterator[Flask]:
    """An application with rate limits that uses the same database and Redis."""
    limited_app = limited(database_url, redis_url)
    yield limited_app
    with limited_app.app_context():
        db.engine.dispose()


def client_of(app: Flask, key: str) -> FlaskClient:
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


@pytest.fixture
def client(limited_app: Flask, key: str) -> FlaskClient:
    return client_of(limited_app, key)


def post(client: FlaskClient, count: int) -> list[int]:
    return [client.post("/v1/messages", json=HELLO).status_code for _ in range(count)]


def batch(count: int) -> dict[str, Any]:
    return {"messages": [HELLO] * count}


def test_post_above_the_limit_gets_429(client: FlaskClient) -> None:
    assert post(client, 10) == [202] * 10
    refused = client.post("/v1/messages", json=HELLO)
    assert refused.status_code == 429
    assert refused.content_type == "application/problem+json"
    assert refused.json["title"] == "Too many requests"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit-Limit"] == "10"
    assert refused.headers["RateLimit-Remaining"] == "0"
    assert refused.headers["RateLimit-Reset"] == refused.headers["Retry-After"]
    assert len(client.get("/v1/messages?limit=200").json["messages"]) == 10


def test_429_matches_the_openapi_document(client: FlaskClient) -> None:
    responses = client.get("/openapi.json").json["components"]["responses"]
    documented = responses["TooManyRequests"]
    post(client, 10)
    refused = client.post("/v1/messages", json=HELLO)
    example = documented["content"]["application/problem+json"]["example"]
    wait = refused.headers["Retry-After"]
    assert refused.json == {**example, "detail": f"rate limit exceeded; retry after {wait} s"}
    assert set(documented["headers"]) <= set(refused.headers.keys())


def test_each_client_has_its_own_limit(client: FlaskClient, limited_app: Flask) -> None:
    post(client, 11)
    other = client_of(limited_app, make_key(limited_app, "shipping"))
    assert post(other, 1) == [202]


def test_replicas_share_the_count(
    client: FlaskClient, key: str, database_url: str, redis_url: str
) -> None:
    replica = limited(database_url, redis_url)
    post(client, 10)
    assert post(client_of(replica, key), 1) == [429]
    with replica.app_context():
        db.engine.dispose()


def test_batch_counts_its_messages(client: FlaskClient) -> None:
    assert client.post("/v1/messages/batch", json=batch(6)).status_code == 202
    assert client.post("/v1/messages/batch", json=batch(6)).status_code == 429
    assert post(client, 5) == [*[202] * 4, 429]


def test_batch_above_the_limit_counts_as_the_limit(client: FlaskClient) -> None:
    assert client.post("/v1/messages/batch", json=batch(25)).status_code == 202
    assert post(client, 1) == [429]


@pytest.mark.parametrize("body", [[], {}, {"messages": 1}, {"messages": []}])
def test_invalid_batch_gets_422(client: FlaskClient, body: Any) -> None:
    assert client.post("/v1/messages/batch", json=body).status_code == 422


def test_reads_and_health_checks_are_not_limited(client: FlaskClient) -> None:
    post(client, 12)
    for path in ("/v1/messages", "/healthz", "/readyz", "/openapi.json"):
        assert {client.get(path).status_code for _ in range(12)} == {200}, path


def test_callbacks_are_not_limited(client: FlaskClient) -> None:
    statuses = {client.post("/callbacks/twilio", data={"a": "b"}).status_code for _ in range(40)}
    assert 429 not in statuses


def test_unknown_key_gets_401_above_the_limit(limited_app: Flask) -> None:
    assert set(post(client_of(limited_app, "wb_unknown"), 12)) == {401}


def test_no_limit_without_redis(app: Flask, key: str, database_url: str) -> None:
    without_redis = limited(database_url, f"redis://127.0.0.1:{free_port()}/0")
    assert set(post(client_of(without_redis, key), 15)) == {202}
    assert without_redis.test_client().get("/healthz").status_code == 200
    with without_redis.app_context():
        db.engine.dispose()


def test_limit_applies_again_when_redis_answers(
    app: Flask, key: str, database_url: str, tmp_path: Path
) -> None:
    with redis_server(tmp_path) as redis:
        limited_app = limited(database_url, redis.url)
        client = client_of(limited_app, key)
        post(client, 10)
        redis.freeze()
        began = time.monotonic()
        assert set(post(client, 10)) == {202}
        assert time.monotonic() - began < 10 * 0.5  # Redis times out after 0.2 s
        redis.thaw()
        deadline = time.monotonic() + 20
        while post(client, 1) == [202]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        with limited_app.app_context():
            db.engine.dispose()


def test_limit_is_counted_on_a_cluster(
    app: Flask, key: str, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with cluster_of_one(tmp_path) as node:
        url = f"cluster://127.0.0.1:{node.port}"
        clustered = limited(database_url, url, BROKER_URL=redis_url)
        client = client_of(clustered, key)
        post(client, 1)  # connects
        assert 429 in post(client, 15)
        with clustered.app_context():
            db.engine.dispose()


def test_post_costs_one_redis_command_per_limit(client: FlaskClient, redis_url: str) -> None:
    post(client, 1)  # loads the script
    with Redis.from_url(redis_url) as redis:
        before = script_calls(redis)
        post(client, 5)
        # Fewer when Redis answers too late on a busy machine: then posts are not counted.
        assert 0 < script_calls(redis) - before <= 5 * 2


def script_calls(redis: Redis) -> int:
    return int(redis.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0))


def test_nothing_is_counted_without_the_setting(web: FlaskClient, redis_url: str) -> None:
    assert set(post(web, 40)) == {202}
    with Redis.from_url(redis_url) as redis:
        assert list(redis.scan_iter("waybill:posts*")) == []
