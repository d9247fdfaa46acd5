"""Concurrent changes of the same opt-outs: none is lost, and none waits for the other for ever."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

from flask import Flask
from sqlalchemy import select

from service.database import db, transaction
from service.domain.opt_out import PROVIDER
from service.models import OptOut
from service.queries import opt_outs
from service.queries.opt_outs import Change, Pair
from tests.strategies import EPOCH

WORKERS, PEOPLE, SIZE = 4, 12, 9


def history(person: int) -> list[Change]:
    """A STOP, a refusal, a START and, for every second person, a refusal after it."""
    pair = Pair(f"+1415555{person:04}", "+15005550006", "twilio")
    steps = [(True, "keyword"), (True, PROVIDER), (False, "keyword"), (True, PROVIDER)]
    return [
        Change(pair, begins, EPOCH + timedelta(seconds=second), reason, reason, "21610")
        for second, (begins, reason) in enumerate(steps[: 3 + person % 2])
    ]


def test_concurrent_changes_end_as_in_order(context: Flask) -> None:
    changes = [change for person in range(PEOPLE) for change in history(person)]
    start = Barrier(WORKERS)

    def apply(seed: int) -> None:
        order = random.Random(seed).sample(changes, len(changes))
        start.wait()
        with context.app_context():
            for first in range(0, len(order), SIZE):
                with transaction():
                    opt_outs.change(order[first : first + SIZE])

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(apply, range(WORKERS)))
    db.session.rollback()
    rows = db.session.scalars(select(OptOut).order_by(OptOut.to)).all()
    assert [row.active for row in rows] == [bool(person % 2) for person in range(PEOPLE)]
    assert {row.since for row in rows if row.active} == {EPOCH + timedelta(seconds=3)}
