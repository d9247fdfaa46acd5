"""What the inbox loses with its master: many callbacks, no worker that takes them.

A run of the whole system acknowledges few callbacks in the last milliseconds of a master. Here four
threads post signed callbacks all the time, and every acknowledged one must be in the stream of the
new master or in the table `overflow`.
"""

import threading
import time
from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import parse_qs

from flask import Flask
from flask_migrate import upgrade
from redis import Redis
from sqlalchemy import text
from werkzeug.test import Client

from bench.callbacks import BASE_URL, SignedCallback, callbacks, make_messages
from demo.stack import ACCOUNT, SENDER, TOKEN
from service.app import create_app
from service.config.settings import Settings
from service.database import db, schema
from tests.chaos.failovers.installations import master_killed
from tests.chaos.failovers.meters import longest_pause
from tests.cluster.sentinel import SentinelStand

_THREADS: Final = 4
_RATE: Final = 400.0  # callbacks per second
_BEFORE: Final = 1.0  # seconds of traffic before each failover, and after it
_READY: Final = 60.0
_STREAM: Final = "waybill:inbox"

Key = tuple[str, str]  # attempt and status of a callback


class Loss(NamedTuple):
    """What some failovers cost. Lists have one value for each failover."""

    acknowledged: int
    at_kill: list[int]  # acknowledged by the killed master, and missing
    later: list[int]  # acknowledged between the failover and the return of the server, and missing
    replaced: list[bool]  # Sentinel also replaced the new master, which was too slow to answer
    overflow: int
    doubles: int  # of these also in the stream
    pauses: list[float]  # the longest time without an acknowledged callback

    @property
    def missing(self) -> int:
        """Return how many callbacks were lost in failovers after a kill."""
        pairs = zip(self.later, self.replaced, strict=True)
        return sum(self.at_kill) + sum(lost for lost, replaced in pairs if not replaced)


class _Failover(NamedTuple):
    killed_at: float
    replaced_at: float
    ended_at: float
    again: bool


def measure(stand: SentinelStand, directory: Path, *, replicas: int, failovers: int) -> Loss:
    """Kill the master so many times under traffic; `replicas` is INBOX_REPLICAS."""
    app = _app(stand, directory, replicas)
    with _posting(app) as acknowledged:
        done = [_fail_over(stand) for _ in range(failovers)]
        time.sleep(_BEFORE)
    with stand.client() as redis:
        stream = _in_stream(redis)
    overflow = _in_overflow(app)
    moments = [moment for each in done for moment in (each.replaced_at, each.ended_at)]
    missing = acknowledged.keys() - stream - overflow
    lost = Counter(bisect(moments, acknowledged[key]) for key in missing)
    times = sorted(acknowledged.values())
    return Loss(
        acknowledged=len(acknowledged),
        at_kill=[lost[2 * number] for number in range(failovers + 1)],
        later=[lost[2 * number + 1] for number in range(failovers)],
        replaced=[each.again for each in done],
        overflow=len(overflow),
        doubles=len(stream & overflow),
        pauses=[longest_pause(times, each.killed_at, each.ended_at) for each in done],
    )


def _fail_over(stand: SentinelStand) -> _Failover:
    time.sleep(_BEFORE)
    old = stand.master
    with master_killed(stand) as killed_at:
        stand.await_failover(old, _READY)
        new, replaced_at = stand.master, time.monotonic()
        time.sleep(_BEFORE)
    return _Failover(killed_at, replaced_at, time.monotonic(), stand.master is not new)


def _app(stand: SentinelStand, directory: Path, replicas: int) -> Flask:
    settings = Settings.load(
        {
            "DATABASE_URL": f"sqlite:///{directory}/waybill.db",
            "REDIS_URL": stand.url,
            "INBOX_REPLICAS": str(replicas),
            "PUBLIC_BASE_URL": BASE_URL,
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_PHONE_NUMBER": SENDER,
            "OPS_SECRET": "a secret that only this run has, and nobody else",
            "LOG_LEVEL": "ERROR",
        }
    )
    app = create_app(settings)
    schema.prepare(app)
    with app.app_context():
        upgrade()
    return app


@contextmanager
def _posting(app: Flask) -> Iterator[Mapping[Key, float]]:
    """Post callbacks until the end of the block; yield when each was acknowledged."""
    acknowledged, done = dict[Key, float](), threading.Event()
    requests, lock = callbacks(make_messages(200_000)), threading.Lock()
    start = time.monotonic()

    def post(number: int) -> None:
        client = Client(app)
        while not done.wait(max(0.0, start + number / _RATE - time.monotonic())):
            with lock:
                callback = next(requests)
            if _is_acknowledged(client, callback):
                acknowledged[_key(callback.path, callback.body)] = time.monotonic()
            number += _THREADS

    threads = [threading.Thread(target=post, args=(number,)) for number in range(_THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield acknowledged
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _is_acknowledged(client: Client, callback: SignedCallback) -> bool:
    answer = client.post(
        callback.path,
        base_url=BASE_URL,
        data=callback.body,
        content_type="application/x-www-form-urlencoded",
        headers={"X-Twilio-Signature": callback.signature},
    )
    return answer.status_code == 204


def _in_stream(redis: Redis) -> set[Key]:
    entries = redis.xrange(_STREAM)
    return {_key(fields[b"a"].decode(), fields[b"b"]) for _, fields in entries}


def _in_overflow(app: Flask) -> set[Key]:
    with app.app_context():
        rows = db.session.execute(text("SELECT attempt, body FROM overflow")).all()
    return {_key(str(row.attempt), row.body) for row in rows}


def _key(path: str, body: bytes) -> Key:
    """Return the attempt and the status of a callback; the attempt is the end of its path."""
    attempt = path.rpartition("/")[2].replace("-", "")
    return attempt, parse_qs(body.decode())["MessageStatus"][0]
