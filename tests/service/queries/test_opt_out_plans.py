"""Opt-outs in force are listed along an index, however many have ended before them."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from service.database import db
from service.queries import opt_out_lists, opt_outs
from service.queries.opt_outs import Pair
from tests.opt_outs import SENDER
from tests.plans import explained

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True, scope="session")

ENDED, LIMIT = 20_000, 20
_ROWS = """
INSERT INTO opt_out ("to", sender, provider, active, reason, changed_by, since)
SELECT '+1415' || 3000000 + number, :sender, 'twilio', number % 100 = 0, 'keyword', 'recipient',
    now()
FROM generate_series(1, :many) AS number
"""


@pytest.fixture
def filled(context: Flask) -> Flask:
    """One of a hundred opt-outs is in force."""
    with db.engine.begin() as connection:
        connection.execute(text(_ROWS), {"sender": SENDER, "many": ENDED})
        connection.exec_driver_sql("ANALYZE opt_out")
    return context


@pytest.mark.parametrize(
    "read",
    [
        lambda: opt_out_lists.page(LIMIT),
        lambda: opt_out_lists.page(LIMIT, Pair("+14153010000", SENDER, "twilio")),
        lambda: opt_out_lists.page(LIMIT, sender=SENDER),
        lambda: opt_out_lists.page(LIMIT, Pair("+14153010000", SENDER, "twilio"), sender=SENDER),
        lambda: opt_out_lists.of_person(["+14153010000", "whatsapp:+14153010000"]),
        lambda: opt_outs.by_recipient([f"+1415{3000000 + number}" for number in range(LIMIT)]),
    ],
    ids=["all", "next page", "of a sender", "next of a sender", "of a person", "of a claim"],
)
def test_opt_outs_are_read_along_an_index(filled: Flask, read: Callable[[], Any]) -> None:
    db.session.rollback()
    with explained(db.engine) as plans:
        read()
    [plan] = plans
    assert plan.whole_tables == []
    assert plan.read <= 2 * LIMIT, plan
    assert plan.blocks <= 5 * LIMIT, plan
