"""Redis restarts, freezes or becomes read-only; no service manager restarts the processes."""

import time

import pytest
import requests
from redis import Redis

from demo.servers import RedisServer, free_port
from tests.as_started.conftest import Install
from tests.as_started.installation import Client, Installation, until

pytestmark = pytest.mark.slow

ROLES = ("web", "worker-send", "worker-status", "beat")
# Seconds from the recovery of Redis until a message is delivered (docs/reliability.md), on an idle
# machine; `recovery_limit` adds what a busy one needs.
RECOVERY = 15.0
START_TIMEOUT = 90.0  # workers took 30 s to start on a busy machine


@pytest.fixture
def waybill(install: Install) -> Installation:
    installation = install()
    installation.start(*ROLES)
    return installation


def redis_health(waybill: Installation) -> str:
    return str(requests.get(f"{waybill.url}/readyz", timeout=20).json()["parts"]["redis"])


def deliver(client: Client, waybill: Installation, limit: float) -> float:
    """Post a message; return the seconds until it is delivered, at most `limit`."""
    message_id = client.post()
    seconds = until(lambda: client.status(message_id) == "delivered", limit)
    assert [role for role in ROLES if not waybill.is_running(role)] == []
    return seconds


def recovery_limit(client: Client, waybill: Installation) -> float:
    """Wait until the workers have started; return the time limit of a recovery in seconds."""
    deliver(client, waybill, START_TIMEOUT)
    return RECOVERY + 5 * deliver(client, waybill, START_TIMEOUT)


def test_processes_survive_restarts_of_redis(waybill: Installation, redis: RedisServer) -> None:
    client = Client(waybill)
    limit = recovery_limit(client, waybill)
    for seconds in (0.1, 3.0):
        redis.kill()
        time.sleep(seconds)
        redis.start()
        deliver(client, waybill, limit)


def test_processes_survive_freezes_of_redis(waybill: Installation, redis: RedisServer) -> None:
    """Each freeze outlasts the time-out of the workers' connections."""
    client = Client(waybill)
    limit = recovery_limit(client, waybill)
    for _ in range(4):
        message_ids = [client.post() for _ in range(5)]
        redis.freeze()
        time.sleep(12)
        redis.thaw()
        for message_id in message_ids:
            until(lambda sent=message_id: client.status(sent) == "delivered", 2 * limit)
    deliver(client, waybill, limit)


def test_read_only_redis_is_reported_and_used_again(
    waybill: Installation, redis: RedisServer
) -> None:
    """A former master that comes back as a replica rejects every write."""
    client = Client(waybill)
    limit = recovery_limit(client, waybill)
    with Redis.from_url(redis.url) as admin:
        admin.execute_command("REPLICAOF", "127.0.0.1", free_port())
        until(lambda: redis_health(waybill) != "ok", limit)
        message_id = client.post()
        admin.execute_command("REPLICAOF", "NO", "ONE")
    until(lambda: redis_health(waybill) == "ok", limit)
    until(lambda: client.status(message_id) == "delivered", 2 * limit)
    deliver(client, waybill, limit)
