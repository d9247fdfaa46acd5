"""Batches that fail: retried after temporary errors; an unrecordable callback is isolated."""

from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import select
from sqlalchemy.exc import OperationalError, ProgrammingError

from service.components import components
from service.database import db
from service.domain.report import StatusReport
from service.models import DeadLetter, StatusEvent
from service.providers.base import Callback
from service.recording import consume_inbox, isolation
from service.recording import record as recording
from service.task_queue import queue

BAD = "SMbad"
SLOW = OperationalError("INSERT", {}, psycopg.errors.QueryCanceled("statement timeout"))
UNDEFINED = ProgrammingError("INSERT", {}, psycopg.errors.UndefinedColumn("no such column"))
TOO_MANY = OperationalError("INSERT", {}, psycopg.OperationalError("number of parameters"))
LOST = OperationalError("INSERT", {}, Exception("connection lost"), connection_invalidated=True)

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make batches fail that contain the bad callback or more than `most` reports."""
    record = recording.record

    def begin(error: Exception, most: int = 10_000) -> None:
        def failing(reports: Sequence[StatusReport]) -> Any:
            if len(reports) > most or any(report.provider_sid == BAD for report in reports):
                raise error
            return record(reports)

        monkeypatch.setattr(recording, "record", failing)

    return begin


def put(*sids: str) -> None:
    for sid in sids:
        body = urlencode({"MessageSid": sid, "MessageStatus": "sent"}).encode()
        components().inbox.put(Callback("twilio", "", body, datetime.now(UTC)))


GOOD = [f"SM{number}" for number in range(500)]


def recorded() -> int:
    db.session.rollback()
    return len(db.session.scalars(select(StatusEvent.identity)).all())


def letters() -> list[DeadLetter]:
    db.session.rollback()
    return list(db.session.scalars(select(DeadLetter)))


@pytest.mark.parametrize("error", [UNDEFINED, TOO_MANY], ids=["undefined column", "parameters"])
def test_unrecordable_callback_is_a_dead_letter(fail: Any, error: Exception) -> None:
    fail(error)
    put(*GOOD[:200], BAD, *GOOD[200:])
    began = monotonic()
    consume_inbox.consume_inbox()
    assert recorded() == 500
    assert [BAD.encode() in letter.body for letter in letters()] == [True]
    assert components().inbox.lag() == 0
    assert monotonic() - began < 15, "the others do not wait for a second round"


def test_slow_batch_is_recorded_in_smaller_batches(fail: Any) -> None:
    fail(SLOW, most=60)
    put(*GOOD)
    consume_inbox.consume_inbox()
    assert recorded() == 500
    assert letters() == []


def test_slow_callback_is_a_dead_letter_after_retries(
    fail: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_RUN_SECONDS", 0.2)
    fail(SLOW)
    put(BAD, *GOOD[:20])
    consume_inbox.consume_inbox()
    assert recorded() == 20, "the others are recorded with the first delivery"
    assert letters() == []
    assert components().inbox.lag() == 1
    monkeypatch.setattr(consume_inbox, "IDLE", 0.0)
    while not letters():
        consume_inbox.consume_inbox()
    assert BAD.encode() in letters()[0].body
    assert components().inbox.lag() == 0


def test_slow_database_makes_no_dead_letter(fail: Any) -> None:
    fail(SLOW, most=0)
    put(*GOOD[:20])
    with pytest.raises(OperationalError):
        consume_inbox.consume_inbox()
    assert letters() == []
    assert components().inbox.lag() == 20


def test_lost_connection_makes_no_dead_letter(fail: Any) -> None:
    fail(LOST)
    put(*GOOD[:20], BAD)
    with pytest.raises(OperationalError):
        consume_inbox.consume_inbox()
    assert letters() == []
    assert components().inbox.lag() == 21


def test_entries_being_isolated_are_not_reclaimed(
    context: Flask, fail: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statements of 10 s keep a batch longer than the idle time of entries."""
    monkeypatch.setattr(isolation, "_RENEW", 0.0)
    idle = list[int]()

    def look(reports: Sequence[StatusReport]) -> Any:
        with Redis.from_url(redis_url) as redis:
            pending = redis.xpending_range("waybill:inbox", "recorders", "-", "+", 1000)
        idle.append(max(entry["time_since_delivered"] for entry in pending))
        raise SLOW

    put(*GOOD[:8])
    monkeypatch.setattr(recording, "record", look)
    with pytest.raises(OperationalError):
        consume_inbox.consume_inbox()
    assert max(idle) < 5_000
