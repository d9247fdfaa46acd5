"""Signed callbacks for one application in this process, and where it has stored them."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
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

_THREADS: Final = 4
_RATE: Final = 400.0  # callbacks per second
_MESSAGES: Final = 200_000  # more than a run needs
_STREAM: Final = "waybill:inbox"

Key = tuple[str, str]  # attempt and status of a callback


def make_app(redis_url: str, directory: Path, replicas: int) -> Flask:
    """Return an application with its own database; `replicas` is INBOX_REPLICAS."""
    settings = Settings.load(
        {
            "DATABASE_URL": f"sqlite:///{directory}/waybill.db",
            "REDIS_URL": redis_url,
            "INBOX_REPLICAS": str(replicas),
            "PUBLIC_BASE_URL": BASE_URL,
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_PHONE_NUMBER": SENDER,
            "OPS_SECRET": "the secret of the installation of this run",
            "LOG_LEVEL": "ERROR",
        }
    )
    app = create_app(settings)
    schema.prepare(app)
    with app.app_context():
        upgrade()
    return app


@contextmanager
def posting(app: Flask) -> Iterator[Mapping[Key, float]]:
    """Post callbacks until the end of the block; yield when each was acknowledged."""
    acknowledged, done = dict[Key, float](), threading.Event()
    requests, lock = callbacks(make_messages(_MESSAGES)), threading.Lock()
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


def in_stream(redis: Redis) -> set[Key]:
    """Return the callbacks in the stream of a master."""
    entries: Any = redis.xrange(_STREAM)
    return {_key(fields[b"a"].decode(), fields[b"b"]) for _, fields in entries}


def in_overflow(app: Flask) -> set[Key]:
    """Return the callbacks in the table."""
    with app.app_context():
        rows = db.session.execute(text("SELECT attempt, body FROM overflow")).all()
    return {_key(str(row.attempt), row.body) for row in rows}


def _key(path: str, body: bytes) -> Key:
    """Return the attempt and the status of a callback; the attempt is the end of its path."""
    attempt = path.rpartition("/")[2].replace("-", "")
    return attempt, parse_qs(body.decode())["MessageStatus"][0]
