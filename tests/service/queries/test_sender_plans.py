"""On a large database the sender of a recipient's last message is found by one descent each."""

from collections.abc import Iterator
from typing import Final

import pytest
from flask import Flask

from service.database import db
from service.queries import senders
from tests.filled import NUMBER, fill, filled_application
from tests.plans import explained

pytestmark = pytest.mark.slow

MANY: Final = 30_000
RECIPIENTS: Final = [NUMBER, *(f"+1415{5_550_001 + number}" for number in range(999))]


@pytest.fixture(scope="module")
def filled(postgres_url: str, redis_url: str) -> Iterator[Flask]:
    name = f"sender_plans_{MANY}"
    with filled_application(
        postgres_url, redis_url, name, lambda connection: fill(connection, MANY)
    ) as app:
        yield app


@pytest.mark.parametrize("number", [1, 1000])
def test_last_senders_read_one_row_for_each_recipient(filled: Flask, number: int) -> None:
    with explained(db.engine) as plans:
        found = senders.last_used(1, RECIPIENTS[:number])
    db.session.remove()
    assert found[NUMBER] == "+15005550006"
    [plan] = plans
    assert plan.whole_tables == [], str(plan)
    assert plan.read <= number, str(plan)
    assert plan.blocks <= 6 * number, str(plan)
