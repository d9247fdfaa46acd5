"""A connection that is kept is as good as one that is looked at every time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from demo.servers import RedisServer, redis_server
from service import straight
from service.straight import Straight


@pytest.fixture
def server(directory: Path) -> Iterator[RedisServer]:
    with redis_server(directory / "straight") as running:
        yield running


@pytest.fixture
def line(server: RedisServer) -> Iterator[Straight]:
    made = Straight(Redis.from_url(server.url, socket_timeout=0.3, retry=None, protocol=2))
    yield made
    server.thaw()
    made.close()


def test_a_command_is_answered(line: Straight) -> None:
    assert line.call(b"SET", "name", b"\x00\xff") == b"OK"
    assert line.call(b"GET", "name") == b"\x00\xff"


def test_what_redis_refuses_is_raised_and_the_connection_goes_on(line: Straight) -> None:
    with pytest.raises(ResponseError):
        line.call(b"NONSENSE")

    assert line.call(b"ECHO", "still here") == b"still here"


def test_an_answer_that_comes_too_late_is_never_taken_for_another(
    line: Straight, server: RedisServer
) -> None:
    line.call(b"PING")
    server.freeze()
    with pytest.raises(RedisError):
        line.call(b"ECHO", "late")
    server.thaw()

    assert line.call(b"ECHO", "next") == b"next"


def test_a_connection_that_died_while_it_rested_is_replaced_unseen(
    line: Straight, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.call(b"PING")
    server.kill()
    server.start()
    monkeypatch.setattr(straight, "_RESTED", -1.0)

    assert line.call(b"ECHO", "here") == b"here"


def test_a_connection_that_died_in_use_fails_one_command_only(
    line: Straight, server: RedisServer
) -> None:
    line.call(b"PING")
    server.kill()
    server.start()
    with pytest.raises(RedisError):
        line.call(b"PING")

    assert line.call(b"ECHO", "here") == b"here"


def test_every_thread_has_a_connection_of_its_own(line: Straight) -> None:
    all_have_one = Barrier(3, timeout=10)

    def own() -> int:
        first = line.call(b"CLIENT", "ID")
        all_have_one.wait()
        assert line.call(b"CLIENT", "ID") == first
        return int(first)

    with ThreadPoolExecutor(3) as threads:
        ids = list(threads.map(lambda _: own(), range(3)))

    assert len(set(ids)) == 3
