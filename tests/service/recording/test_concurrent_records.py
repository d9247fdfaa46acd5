"""Concurrent recording of the same messages, on both databases."""

import random
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import func, select

from service.components import components
from service.database import db
from service.domain.report import StatusReport
from service.domain.status import Status
from service.models import Message, StatusEvent
from service.recording import record as recording
from service.recording.effects import Effect
from service.recording.record_answers import record_answers
from service.sending import claim, deliver
from tests.fakes import FakeProvider, said
from tests.messages import Post

WORKERS = 4
WORDS = ["sending", "sent", "undelivered", "delivered"]


def test_concurrent_records_lose_no_update(
    context: Flask, post: Post, provider: FakeProvider
) -> None:
    for _ in range(20):
        post()
        deliver.deliver()
    heard = [
        said(word, attempt_id=outbound.attempt_id, sid=provider.sid(outbound.attempt_id))
        for outbound in provider.on_air
        for word in WORDS
    ]
    start = Barrier(WORKERS)

    def record(seed: int) -> int:
        order = random.Random(seed).sample(heard, len(heard))
        start.wait()
        with context.app_context():
            batches = [recording.record(batch) for batch in _batches(order, 16)]
            return sum(len(batch.entries) - batch.effects.count(Effect.REPEAT) for batch in batches)

    with ThreadPoolExecutor(WORKERS) as pool:
        recorded = sum(pool.map(record, range(WORKERS)))

    db.session.rollback()
    assert recorded == len(heard), "each report is new exactly once"
    shown = db.session.execute(select(Message.status, func.count()).group_by(Message.status)).all()
    assert [tuple(row) for row in shown] == [(Status.DELIVERED, 20)]
    said_again = db.session.scalar(
        select(func.sum(StatusEvent.repeats)).where(StatusEvent.word != "queued")
    )
    assert said_again == len(heard) * (WORKERS - 1)


@pytest.mark.slow
def test_concurrent_records_of_other_statuses_are_joined(
    context: Flask, post: Post, provider: FakeProvider
) -> None:
    """Each worker has another status: an update based on an old read would lose one."""
    for _ in range(40):
        post()
        deliver.deliver()
    start = Barrier(WORKERS)

    def record(word: str) -> None:
        heard = [
            said(word, attempt_id=outbound.attempt_id, sid=provider.sid(outbound.attempt_id))
            for outbound in provider.on_air
        ]
        with context.app_context():
            for batch in _batches(heard, 8):
                start.wait()
                recording.record(batch)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(record, WORDS))

    db.session.rollback()
    shown = db.session.execute(
        select(Message.status, Message.failed_in, Message.delivered_in, func.count()).group_by(
            Message.status, Message.failed_in, Message.delivered_in
        )
    ).all()
    assert [tuple(row) for row in shown] == [(Status.DELIVERED, 0b10, 0b10, 40)]


@pytest.mark.slow
def test_early_callbacks_and_answers_do_not_deadlock(
    context: Flask, post: Post, provider: FakeProvider
) -> None:
    """Both lock messages before attempts."""
    start = Barrier(2)

    def record(reports: list[StatusReport]) -> None:
        with context.app_context():
            start.wait()
            recording.record(reports)

    with ThreadPoolExecutor(1) as other:
        for _ in range(30):
            for _ in range(8):
                post()
            answers = [deliver._call(components(), claimed) for claimed in claim.claim(8)]
            early = [answer.report._replace(word="sent") for answer in answers if answer.report]
            recorded = other.submit(record, early)
            start.wait()
            record_answers(answers[::-1])
            recorded.result()


def test_concurrent_records_of_orphans_do_not_deadlock(context: Flask) -> None:
    heard = [said("sent", sid=f"SMforeign{number}") for number in range(100)]
    start = Barrier(WORKERS)

    def record(seed: int) -> None:
        order = random.Random(seed).sample(heard, len(heard))
        start.wait()
        with context.app_context():
            recording.record(order)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(record, range(WORKERS)))

    db.session.rollback()
    assert db.session.scalar(select(func.count()).select_from(StatusEvent)) == len(heard)


def _batches(reports: list[StatusReport], size: int) -> list[list[StatusReport]]:
    return [reports[start : start + size] for start in range(0, len(reports), size)]
