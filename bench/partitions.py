"""Compares the ledger in months with one table: `python -m bench.partitions --events 10000000`.

One database is at the revision before the partitions, the other has twelve months. Batches are
recorded and read in both in turn. Then months are dropped, and the one table is migrated, while
batches are recorded.
"""

import argparse
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final

from flask import Flask, current_app
from flask_migrate import upgrade
from sqlalchemy import text

from bench.databases import databases, engine_of, settle
from bench.ledger_year import MONTHS, STATUSES, YEAR, fill, store_messages
from bench.rounds import scratch
from demo.servers import redis_server
from demo.stack import ACCOUNT, SENDER, TOKEN
from service.app import create_app
from service.config.settings import Settings
from service.database import db, schema
from service.domain.months import first_identity, next_month
from service.domain.report import Source, StatusReport
from service.operations.ledger_partitions import change_partitions
from service.queries import message_details, redaction
from service.recording import record

_BEFORE: Final = "0015"
_ROUNDS: Final = 20
_BATCH: Final = 400  # messages, with a report of each status
_FIRST: Final = next_month(datetime.now(UTC) + timedelta(days=2))
# The key in the configuration of each application for the end of the year of its events. Months
# begin in the future: this year ends there, the other now.
_END: Final = "LEDGER_END"


def main() -> None:
    """Fill two databases, and print every figure."""
    parser = argparse.ArgumentParser(prog="python -m bench.partitions", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    events = parser.parse_args().events
    with (
        databases() as server,
        scratch() as directory,
        redis_server(directory / "redis") as redis,
        ExitStack() as stack,
    ):
        urls = [stack.enter_context(server.fresh()) for _ in range(2)]
        ends = datetime.now(UTC), _FIRST + YEAR
        table, months = (
            _application(url, redis.url, end) for url, end in zip(urls, ends, strict=True)
        )
        with table.app_context():
            upgrade(revision=_BEFORE)
        with months.app_context():
            upgrade()
            for number in range(MONTHS - 2):
                list(change_partitions(_FIRST + timedelta(days=30.4 * number)))
            db.session.remove()
        for name, url, app in (("one table", urls[0], table), ("months", urls[1], months)):
            took = fill(url, events, app.config[_END])
            print(f"filled {name} with {events:,} events in {took:.0f} s", flush=True)
        _compare(table, months)
        _drop(months, events)
        _delete(urls[0], table.config[_END] - YEAR)
        _migrate(table, events)


def _application(url: str, redis: str, end: datetime) -> Flask:
    settings = {
        **{"DATABASE_URL": url, "REDIS_URL": redis, "PUBLIC_BASE_URL": "https://sms.example.com"},
        **{"TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": TOKEN},
        **{"TWILIO_PHONE_NUMBER": SENDER, "LOG_LEVEL": "WARNING"},
    }
    app = create_app(Settings.load(settings))
    schema.prepare(app)
    app.config[_END] = end
    return app


def _compare(table: Flask, months: Flask) -> None:
    """Print the ratios of the months to the one table."""
    for name, measure in (
        (f"record {_BATCH * len(STATUSES):,} reports of the last month", _record),
        (f"read the ledgers of {_BATCH} messages", _read_many),
        ("read the ledger of one message", _read_one),
    ):
        pairs = [(_in(table, measure), _in(months, measure)) for _ in range(_ROUNDS)]
        one, parts = (median(each[index] for each in pairs) for index in (0, 1))
        print(f"{name}: one table {1000 * one:.2f} ms, months {1000 * parts:.2f} ms,"
              f" ratio {parts / one:.2f}")  # fmt: skip


def _in(app: Flask, measure: Callable[[], float]) -> float:
    with app.app_context():
        return measure()


def _record(number: int = _BATCH) -> float:
    base = StatusReport("twilio", Source.CALLBACK, "", None, datetime.now(UTC), raw={"a": "b"})
    moment = current_app.config[_END] - timedelta(hours=1)  # in the last month
    reports = [
        base._replace(word=status.value, status=status, attempt_id=attempt)
        for attempt in store_messages(number, moment)
        for status in STATUSES
    ]
    start = time.perf_counter()
    record.record(reports)
    return time.perf_counter() - start


def _read_many() -> float:
    ids = [row[0] for row in db.session.execute(text(f"SELECT id FROM message LIMIT {_BATCH}"))]  # noqa: S608
    start = time.perf_counter()
    redaction.events_of(ids)
    took = time.perf_counter() - start
    db.session.remove()
    return took


def _read_one() -> float:
    message_id = db.session.scalar(text("SELECT id FROM message ORDER BY random() LIMIT 1"))
    start = time.perf_counter()
    message_details.events(message_id, 1_000)
    took = time.perf_counter() - start
    db.session.remove()
    return took


@contextmanager
def _traffic(app: Flask) -> Iterator[None]:
    """Record small batches in another thread; print the slowest."""
    stop, times = threading.Event(), list[float]()

    def write() -> None:
        while not stop.is_set():
            times.append(_in(app, lambda: _record(20)))

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(1)
    try:
        yield
    finally:
        stop.set()
        writer.join()
    print(f"  {len(times)} batches of 100 meanwhile: median {1000 * median(times):.0f} ms,"
          f" slowest {1000 * max(times):.0f} ms")  # fmt: skip


def _drop(months: Flask, events: int) -> None:
    """Drop all months but the last two while batches are recorded."""
    bound, took = months.extensions["waybill"], list[float]()
    settings = bound.settings.model_copy(update={"keep_messages": 31.0})
    months.extensions["waybill"] = replace(bound, settings=settings)
    with _traffic(months), months.app_context():
        list(_timed(change_partitions(_FIRST + YEAR - timedelta(days=31)), took))
    print(f"dropped {len(took)} months of {events // MONTHS:,} events: median"
          f" {1000 * median(took):.0f} ms, slowest {1000 * max(took):.0f} ms")  # fmt: skip


def _timed(changes: Iterator[str], took: list[float]) -> Iterator[str]:
    start = time.perf_counter()
    for change in changes:
        if change.startswith("dropped"):
            took.append(time.perf_counter() - start)
        yield change
        start = time.perf_counter()


def _delete(url: str, first: datetime) -> None:
    bounds = {"start": first_identity(first), "end": first_identity(first + YEAR / MONTHS)}
    start = time.perf_counter()
    with engine_of(url).begin() as connection:
        month = "DELETE FROM status_event WHERE identity >= :start AND identity < :end"
        connection.execute(text(month), bounds)
    print(f"one table: DELETE of a month took {time.perf_counter() - start:.1f} s")


def _migrate(table: Flask, events: int) -> None:
    """Migrate the one table while batches are recorded."""
    settle(table.config["SQLALCHEMY_DATABASE_URI"])
    with _traffic(table), table.app_context():
        start = time.perf_counter()
        upgrade()
        took = time.perf_counter() - start
    rate = took / (events / 1_000_000)
    print(f"migrated {events:,} events in {took:.1f} s, {rate:.2f} s per million")


if __name__ == "__main__":
    main()
