"""Disturbances: kills, freezes, lost network traffic, restarts."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from redis import Redis

from demo.servers import RedisServer, free_port
from demo.stack import COMMANDS, Stack
from service.recording.answers import ANSWER
from tests.chaos.plan import FROZEN
from tests.proxy import Proxy

#: In place of a status, for an inbound message.
RECEIVED: Final = "received"


class Targets(NamedTuple):
    """What can be disturbed, and the callbacks that were deleted with the file of Redis."""

    stack: Stack
    redis: RedisServer
    postgres: Any
    proxies: Mapping[str, Proxy]  # in front of PostgreSQL and Redis
    deleted: set[tuple[str, str]]  # SID and provider status of callbacks, and of inbound messages


def disturb(targets: Targets, name: str, seconds: float) -> None:
    """Start one disturbance, wait, and end it."""
    if name in _OTHERS:
        _OTHERS[name](targets, seconds)
    elif name.startswith(FROZEN):
        _freeze(targets, name.removeprefix(FROZEN), seconds)
    else:
        _kill(targets, name, seconds)


def _kill(targets: Targets, name: str, seconds: float) -> None:
    targets.stack.kill(name)  # the service manager restarts it
    time.sleep(seconds)


def _freeze(targets: Targets, name: str, seconds: float) -> None:
    targets.stack.freeze(name)
    time.sleep(seconds)
    targets.stack.thaw(name)


def _swallow(name: str) -> Callable[[Targets, float], None]:
    def swallow(targets: Targets, seconds: float) -> None:
        targets.proxies[name].swallow()
        time.sleep(seconds)
        targets.proxies[name].resume()

    return swallow


def _redis(targets: Targets, seconds: float) -> None:
    targets.redis.kill()
    time.sleep(seconds)
    targets.redis.start()


def _redis_without_its_file(targets: Targets, seconds: float) -> None:
    targets.redis.kill()
    targets.deleted.update(_callbacks_in_file(targets.redis))
    targets.redis.delete_data()
    time.sleep(seconds)
    targets.redis.start()


def _callbacks_in_file(server: RedisServer) -> Iterator[tuple[str, str]]:
    """Yield the unrecorded callbacks of a killed Redis, read on another port."""
    with Redis.from_url(server.start(free_port()), protocol=2) as redis:
        for _, fields in redis.xrange("waybill:inbox"):
            # Answers to sends do not count: a look-up recovers them.
            if fields[b"p"].decode() != ANSWER:
                yield _sid_and_status(fields[b"b"].decode())
    server.kill()


def _sid_and_status(body: str) -> tuple[str, str]:
    """Return the provider's id and status in a form or JSON; of an inbound message `received`."""
    if body.startswith("{"):
        report = json.loads(body)
        return report.get("batch_id") or report["id"], report.get("status", RECEIVED)
    form = dict(parse_qsl(body))
    return form["MessageSid"], form.get("MessageStatus", RECEIVED)


def _frozen_redis(targets: Targets, seconds: float) -> None:
    targets.redis.freeze()
    time.sleep(seconds)
    targets.redis.thaw()


def _postgres(targets: Targets, seconds: float) -> None:
    targets.postgres.stop()
    time.sleep(seconds)
    targets.postgres.start()


def _rolling_restart(targets: Targets, seconds: float) -> None:
    for name in COMMANDS:
        targets.stack.stop(name)
        time.sleep(seconds)


_OTHERS: dict[str, Callable[[Targets, float], None]] = {
    "redis": _redis,
    "redis without its file": _redis_without_its_file,
    "frozen redis": _frozen_redis,
    "swallowed redis": _swallow("redis"),
    "swallowed postgres": _swallow("postgres"),
    "postgres": _postgres,
    "rolling restart": _rolling_restart,
}
