"""Checks the messages that were posted to the persons when all they wrote was recorded."""

from collections.abc import Iterator

from sqlalchemy import Engine, select

from service.models import Message, StatusEvent
from service.sending.suppression import SUPPRESSED
from tests.chaos.inbound_verdict import Pair
from tests.chaos.plan import Plan
from tests.chaos.traffic import body, provider, recipient, sender
from tests.chaos.verdict import Records


def wrong(records: Records, engine: Engine, plan: Plan, opted_out: set[Pair]) -> Iterator[str]:
    """Yield each message that was sent although its recipient opted out, or that was not tried."""
    suppressed = _suppressed(engine)
    for person in range(plan.persons):
        number = plan.messages + person
        pair = (recipient(person), sender(person), provider(person))
        if (pair in opted_out) != (str(number) in suppressed):
            yield f"message {number} to {pair} was {'not ' * (pair in opted_out)}suppressed"
        if pair in opted_out and records.get(body(number)):
            yield f"message {number} to {pair} was sent"


def _suppressed(engine: Engine) -> set[str | None]:
    """Return the references of the messages that Waybill did not send because of an opt-out."""
    query = select(Message.reference).join(StatusEvent, StatusEvent.message_id == Message.id)
    with engine.connect() as connection:
        return set(connection.scalars(query.where(StatusEvent.word == SUPPRESSED)))
