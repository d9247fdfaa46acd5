"""Alive and ready: which part is missing is said, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis

from demo.servers import free_port, redis_server
from service.app import create_app
from service.database import db
from tests.conftest import make_settings

PASSWORD = "hunter2"


@pytest.fixture
def cut_off() -> Iterator[Flask]:
    """An application with neither database nor Redis."""
    yield from made(
        f"postgresql://somebody:{PASSWORD}@127.0.0.1:{free_port()}/waybill",
        f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0",
    )


@pytest.fixture
def unmigrated(tmp_path: Path, redis_url: str) -> Iterator[Flask]:
    """An application over an empty database."""
    yield from made(f"sqlite:///{tmp_path}/empty.db", redis_url)


@pytest.fixture
def without_redis(app: Flask, database_url: str) -> Iterator[Flask]:
    """An application over a good database, with a Redis that is away."""
    yield from made(database_url, f"redis://127.0.0.1:{free_port()}/0")


def made(database_url: str, redis_url: str) -> Iterator[Flask]:
    app = create_app(make_settings(database_url, redis_url))
    yield app
    with app.app_context():
        db.engine.dispose()


def test_healthz_is_alive(cut_off: Flask) -> None:
    answer = cut_off.test_client().get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "alive"})


def test_readyz_is_ready_when_every_part_answers(app: Flask) -> None:
    answer = app.test_client().get("/readyz")
    assert answer.status_code == 200
    assert answer.json == {"status": "ready", "parts": {"database": "ok", "redis": "ok"}}


def test_readyz_is_503_before_the_migration(unmigrated: Flask) -> None:
    answer = unmigrated.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json["status"] == "not ready"
    assert answer.json["parts"]["database"].startswith("not migrated")
    assert answer.json["parts"]["redis"] == "ok"


def test_readyz_is_degraded_without_redis(
    without_redis: Flask,
) -> None:
    """Callbacks go to the overflow: to take every server out would lose them."""
    answer = without_redis.test_client().get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (200, "degraded")
    assert answer.json["parts"]["redis"].startswith("unreachable")
    assert answer.json["parts"]["database"] == "ok"


def test_read_only_redis_is_not_ok(app: Flask, database_url: str, tmp_path: Path) -> None:
    """An old master that became a replica answers PING, and stores no callback."""
    with redis_server(tmp_path) as server, Redis.from_url(server.url) as redis:
        for degraded in made(database_url, server.url):
            client = degraded.test_client()
            assert client.get("/readyz").json["parts"]["redis"] == "ok"
            redis.replicaof("127.0.0.1", "1")
            assert client.get("/readyz").json == {
                "status": "degraded",
                "parts": {"database": "ok", "redis": "unreachable (ReadOnlyError)"},
            }
            redis.replicaof("NO", "ONE")
            assert client.get("/readyz").json["parts"]["redis"] == "ok"


def test_readyz_lists_every_unavailable_part(cut_off: Flask) -> None:
    answer = cut_off.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json["parts"]["database"].startswith("unreachable")
    assert answer.json["parts"]["redis"].startswith("unreachable")


@pytest.mark.parametrize("secret", [PASSWORD, "somebody", "127.0.0.1", "redis://", "postgresql"])
def test_readyz_shows_no_secrets_or_addresses(cut_off: Flask, secret: str) -> None:
    assert secret not in cut_off.test_client().get("/readyz").get_data(as_text=True)
