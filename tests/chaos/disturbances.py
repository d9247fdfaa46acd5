"""What happens to the processes while messages travel."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from redis import Redis

from demo.servers import RedisServer, free_port
from demo.stack import COMMANDS, Stack
from service.recording.answers import ANSWER
from tests.chaos.plan import FREEZES, KILLS
from tests.proxy import Proxy


class World(NamedTuple):
    """Everything that can be disturbed, and the callbacks that Redis's file took with it."""

    stack: Stack
    redis: RedisServer
    postgres: Any
    proxies: Mapping[str, Proxy]  # before either of them
    lost: set[tuple[str, str]]  # SID and status


def disturb(world: World, what: str, seconds: float) -> None:
    """Do one thing to the world, wait, and mend it."""
    if what in KILLS:
        _kill(world, what, seconds)
        return
    if what in FREEZES:
        _freeze(world, FREEZES[what], seconds)
        return
    _OTHERS[what](world, seconds)


def _kill(world: World, name: str, seconds: float) -> None:
    world.stack.kill(name)  # and the service manager starts it again
    time.sleep(seconds)


def _freeze(world: World, name: str, seconds: float) -> None:
    world.stack.freeze(name)
    time.sleep(seconds)
    world.stack.thaw(name)


def _swallow(name: str) -> Callable[[World, float], None]:
    def swallow(world: World, seconds: float) -> None:
        world.proxies[name].swallow()
        time.sleep(seconds)
        world.proxies[name].resume()

    return swallow


def _redis(world: World, seconds: float) -> None:
    world.redis.kill()
    time.sleep(seconds)
    world.redis.start()


def _redis_without_its_file(world: World, seconds: float) -> None:
    world.redis.kill()
    world.lost.update(_in_the_file(world.redis))
    world.redis.delete_data()
    time.sleep(seconds)
    world.redis.start()


def _in_the_file(server: RedisServer) -> Iterator[tuple[str, str]]:
    """Read what the dead Redis had accepted and nobody had recorded, where nobody sees it."""
    with Redis.from_url(server.start(free_port()), protocol=2) as redis:
        for _, fields in redis.xrange("waybill:inbox"):
            # An answer to a send may wait there, too: whoever loses it looks the message up.
            if fields[b"p"].decode() != ANSWER:
                yield _said(fields[b"b"].decode())
    server.kill()


def _said(body: str) -> tuple[str, str]:
    """Return the carrier's id and word in a callback: a form, or JSON."""
    if body.startswith("{"):
        report = json.loads(body)
        return report["batch_id"], report["status"]
    form = dict(parse_qsl(body))
    return form["MessageSid"], form["MessageStatus"]


def _frozen_redis(world: World, seconds: float) -> None:
    world.redis.freeze()
    time.sleep(seconds)
    world.redis.thaw()


def _postgres(world: World, seconds: float) -> None:
    world.postgres.stop()
    time.sleep(seconds)
    world.postgres.start()


def _rolling_restart(world: World, seconds: float) -> None:
    for name in COMMANDS:
        world.stack.stop(name)
        time.sleep(seconds)


_OTHERS: dict[str, Callable[[World, float], None]] = {
    "redis": _redis,
    "redis without its file": _redis_without_its_file,
    "frozen redis": _frozen_redis,
    "swallowed redis": _swallow("redis"),
    "swallowed postgres": _swallow("postgres"),
    "postgres": _postgres,
    "rolling restart": _rolling_restart,
}
