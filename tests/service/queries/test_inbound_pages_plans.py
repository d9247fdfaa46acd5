"""The operators' pages of inbound messages and opt-outs read little of a large database."""

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from flask import Flask

from service.database import db
from service.models import InboundMessage
from service.operations import inbound
from service.queries import unowned_inbound
from service.queries.backlog import COUNT_LIMIT
from tests.filled import NUMBER, fill, filled_application
from tests.service.queries.test_plans import SIZES, assert_frugal
from tests.service.web.ops.conftest import Operator, make_operator_key

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=SIZES)
def filled(request: pytest.FixtureRequest, postgres_url: str, redis_url: str) -> Iterator[Flask]:
    """An application over a filled database."""
    many: int = request.param
    name = f"inbound_pages_{many}"
    with filled_application(
        postgres_url, redis_url, name, lambda connection: fill(connection, many)
    ) as app:
        yield app


@pytest.fixture(scope="module")
def operator(filled: Flask) -> Operator:
    operator = Operator(filled)
    assert operator.log_in(make_operator_key(filled, "ada")).status_code == 303
    return operator


@pytest.fixture(scope="module")
def received(filled: Flask) -> InboundMessage:
    """An inbound message in the middle of the table."""
    middle = db.session.scalar(db.select(db.func.count()).select_from(InboundMessage))
    assert middle
    query = db.select(InboundMessage).order_by(InboundMessage.id).offset(middle // 2).limit(1)
    message = db.session.scalars(query).one()
    db.session.expunge(message)
    return message


@pytest.mark.parametrize("number", [NUMBER, f"whatsapp:{NUMBER}", "+14155550999", "+14155559"])
@pytest.mark.parametrize("older", [False, True], ids=["newest", "older"])
def test_conversation_reads_little_more_than_a_page(
    operator: Operator, received: InboundMessage, number: str, older: bool
) -> None:
    before = {"before": str(received.id)} if older else {}
    path = f"/conversation?{urlencode({'number': number, **before})}"
    # A page in each direction, for each of four clients and three channels.
    assert_frugal(lambda: shown(operator, path), at_most=4 * 51 * 3)


@pytest.mark.parametrize(
    "path",
    ["/inbound", "/inbound/{id}", "/inbound?before={id}", "/messages?q={sid}", "/messages?q={id}"],
)
def test_page_of_inbound_messages_reads_little(
    operator: Operator, received: InboundMessage, path: str
) -> None:
    filled_in = path.format(id=received.id, sid=received.provider_sid)
    assert_frugal(lambda: shown(operator, filled_in), at_most=4 * 51 * 2)


@pytest.mark.parametrize(
    "path",
    ["/opt-outs", "/opt-outs?q=%2B14165550100", "/opt-outs?after=%2B14165&after=%2B1&after=x"],
)
def test_page_of_opt_outs_reads_little(operator: Operator, path: str) -> None:
    assert_frugal(lambda: shown(operator, path), at_most=4 * 51)


def test_figures_count_a_bounded_number_of_rows(filled: Flask) -> None:
    assert_frugal(lambda: inbound.read_figures(datetime.now(UTC)), at_most=2 * COUNT_LIMIT)


def test_messages_to_a_sender_are_searched_in_few_rows(
    filled: Flask, received: InboundMessage
) -> None:
    provider, sender = received.provider, received.to_address
    assert_frugal(
        lambda: unowned_inbound.to_sender(provider, sender, inbound.MOST_GIVEN),
        at_most=2 * COUNT_LIMIT,
    )


def shown(operator: Operator, path: str) -> None:
    assert operator.get(path).status_code in (200, 303)  # 303: redirect to the only match
