"""To whom a reply goes, and which message it answers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select, update

from service.database import db, transaction
from service.domain.message_ids import creation_time
from service.domain.report import StatusReport
from service.domain.status import Status
from service.errors import Refused
from service.inbound.adopt import adopt
from service.inbound.record import record
from service.models import Client, ClientSender, InboundMessage, Message
from service.providers.base import Inbound, Outbound
from service.providers.sandbox import SANDBOX
from service.sending import deliver
from service.sending.accept import accept
from tests.fakes import FakeProvider
from tests.messages import draft
from tests.service.inbound.conversation import PERSON, SENDER, heard
from tests.strategies import EPOCH

# By how much the clock of a provider may differ.
CLOCKS = timedelta(seconds=5)
MILLISECOND = timedelta(milliseconds=1)
SERVICE = "MG" + "5" * 32
Send = Callable[..., UUID]
Found = tuple[int | None, UUID | None]


@pytest.fixture
def clients(context: Flask) -> tuple[int, int]:
    """Two clients."""
    with transaction():
        added = [Client(name=name, created_at=EPOCH) for name in ("orders", "logins")]
        db.session.add_all(added)
    return added[0].id, added[1].id


@pytest.fixture
def send(context: Flask) -> Send:
    """Send a message of a client; return its id."""

    def sent(client_id: int, **fields: Any) -> UUID:
        [accepted] = accept(client_id, [draft(to=PERSON, **fields)])
        deliver.deliver()
        return accepted.message.id

    return sent


def found(received: Inbound) -> Found:
    """Record a message; return its client and the message that it answers."""
    record([received])
    return owner_now(received)


def owner_now(received: Inbound) -> Found:
    db.session.rollback()
    query = select(InboundMessage.client_id, InboundMessage.in_reply_to)
    row = db.session.execute(query.filter_by(provider_sid=received.provider_sid)).one()
    return row.client_id, row.in_reply_to


def refuse(_: Outbound) -> StatusReport:
    raise Refused("not a mobile number", "21614")


def own(client_id: int, sender: str) -> None:
    with transaction():
        db.session.add(ClientSender(sender=sender, client_id=client_id, created_at=EPOCH))


def test_reply_goes_to_the_client_that_wrote_last(clients: tuple[int, int], send: Send) -> None:
    orders, logins = clients
    send(orders)
    last = send(logins)
    assert found(heard("Hi")) == (logins, last)


def test_owner_of_the_number_gets_the_reply(clients: tuple[int, int], send: Send) -> None:
    orders, logins = clients
    own(orders, SENDER)
    first = send(orders)
    send(logins)
    assert found(heard("Hi")) == (orders, first)


def test_owner_of_the_number_needs_no_earlier_message(clients: tuple[int, int]) -> None:
    orders, _ = clients
    own(orders, SENDER)
    assert found(heard("Hi")) == (orders, None)


def test_reply_to_a_number_of_a_service_goes_to_its_owner(clients: tuple[int, int]) -> None:
    _, logins = clients
    own(logins, SERVICE)
    assert found(heard("Hi", MessagingServiceSid=SERVICE)) == (logins, None)


def test_reply_to_a_number_of_a_service_answers_its_message(
    clients: tuple[int, int], send: Send
) -> None:
    orders, logins = clients
    of_service = send(orders, sender=None, messaging_service_sid=SERVICE)
    send(logins, sender="+15005550099")
    assert found(heard("Hi", MessagingServiceSid=SERVICE)) == (orders, of_service)


def test_other_person_and_other_sender_are_no_conversation(
    clients: tuple[int, int], send: Send
) -> None:
    send(clients[0])
    assert found(heard("Hi", From="+14155552672")) == (None, None)
    assert found(heard("Hi", To="+15005550099")) == (None, None)


def test_rcs_is_the_conversation_of_the_number_and_whatsapp_is_not(
    clients: tuple[int, int], send: Send
) -> None:
    message_id = send(clients[0], sender=None, messaging_service_sid=SERVICE)
    assert found(heard("Hi", From=f"rcs:{PERSON}", MessagingServiceSid=SERVICE)) == (
        clients[0],
        message_id,
    )
    assert found(heard("Hi", From=f"whatsapp:{PERSON}", MessagingServiceSid=SERVICE)) == (
        None,
        None,
    )


def test_message_named_by_the_provider_wins(clients: tuple[int, int], send: Send) -> None:
    orders, logins = clients
    first = send(orders)
    send(logins)
    sid = db.session.scalars(select(Message.provider_sid).filter_by(id=first)).one()
    assert found(heard("Hi", OriginalRepliedMessageSid=sid)) == (orders, first)


def test_attempt_named_by_the_provider_wins(
    clients: tuple[int, int], send: Send, provider: FakeProvider
) -> None:
    orders, logins = clients
    first = send(orders)
    send(logins)
    reply = heard("Hi")._replace(reply_to_attempt=provider.on_air[0].attempt_id)
    assert found(reply) == (orders, first)


def test_message_of_another_client_is_not_named(clients: tuple[int, int], send: Send) -> None:
    """The owner of the number must not learn the id of another client's message."""
    orders, logins = clients
    own(orders, SENDER)
    first, _ = send(orders), send(logins)
    sid = db.session.scalars(select(Message.provider_sid).filter_by(client_id=logins)).one()
    assert found(heard("Hi", OriginalRepliedMessageSid=sid)) == (orders, first)


@pytest.mark.parametrize("days", [29, 31])
def test_message_of_30_days_ago_is_not_answered(
    clients: tuple[int, int], send: Send, days: int
) -> None:
    message_id = send(clients[0])
    reply = heard("Hi", datetime.now(UTC) + timedelta(days=days))
    assert found(reply) == ((clients[0], message_id) if days < 30 else (None, None))


def test_message_that_was_not_sent_is_not_answered(clients: tuple[int, int], send: Send) -> None:
    """A suppressed or waiting message reached no person."""
    orders, logins = clients
    first = send(orders)
    record([heard("STOP")])
    refused = send(logins)
    accept(logins, [draft(to=PERSON, send_at=datetime.now(UTC) + timedelta(hours=1))])
    assert db.session.scalars(select(Message.status).filter_by(id=refused)).one() is Status.FAILED
    assert found(heard("START")) == (orders, first)


def test_refused_message_is_not_answered(
    clients: tuple[int, int], send: Send, provider: FakeProvider
) -> None:
    orders, logins = clients
    first = send(orders)
    provider.script = refuse
    send(logins)
    assert found(heard("Hi")) == (orders, first)


def test_message_after_the_reply_is_not_answered(clients: tuple[int, int], send: Send) -> None:
    """A reply that waited in the overflow table answers what was sent before it."""
    orders, logins = clients
    first = send(orders)
    send(logins)
    reply = heard("Hi", creation_time(first) + MILLISECOND)
    assert found(reply) == (orders, first)


def test_reply_that_a_list_finds_counts_from_its_time(clients: tuple[int, int], send: Send) -> None:
    orders, logins = clients
    first = send(orders)
    send(logins)
    written = creation_time(first) + MILLISECOND - CLOCKS
    later = heard("Hi", written + timedelta(hours=1))
    assert found(later._replace(provider_time=written)) == (orders, first)


def test_messages_of_other_senders_do_not_hide_the_answered_one(
    clients: tuple[int, int], send: Send
) -> None:
    message_id = send(clients[0])
    for _ in range(3):
        send(clients[0], sender="+15005550099")
    assert found(heard("Hi")) == (clients[0], message_id)


def test_test_message_is_not_answered_by_a_person(clients: tuple[int, int], send: Send) -> None:
    send(clients[0], provider=SANDBOX)
    assert found(heard("Hi")) == (None, None)


def test_sandbox_reply_goes_to_the_client_of_the_test_message(
    clients: tuple[int, int], send: Send
) -> None:
    """A test key may use any sender: its client gets the answer, not the owner of the number."""
    orders, logins = clients
    own(orders, SENDER)
    message_id = send(logins, provider=SANDBOX)
    assert found(heard("Hi")._replace(provider=SANDBOX)) == (logins, message_id)


def test_batch_has_the_owners_of_single_messages(clients: tuple[int, int], send: Send) -> None:
    orders, logins = clients
    own(orders, "+15005550007")
    first = send(orders)
    second = send(logins, sender="+15005550008")
    batch = [
        heard("a"),
        heard("b", To="+15005550007"),
        heard("c", To="+15005550008"),
        heard("d", To="+15005550009"),
        heard("e", From="+14155552679"),
    ]
    record([*batch, *batch])
    assert [owner_now(each) for each in batch] == [
        (orders, first),
        (orders, None),
        (logins, second),
        (None, None),
        (None, None),
    ]


def test_later_owner_of_a_sender_gets_earlier_messages(
    clients: tuple[int, int],
) -> None:
    lost = heard("Hi")
    assert found(lost) == (None, None)
    assert adopt() == 0
    own(clients[1], SENDER)
    assert (adopt(), adopt()) == (1, 0)
    assert owner_now(lost) == (clients[1], None)


def test_adoption_passes_messages_without_an_owner(clients: tuple[int, int]) -> None:
    record([heard("Hi", To="+15005550099") for _ in range(3)])
    own(clients[0], SENDER)
    later = heard("Hi")
    record([later])
    with transaction():
        db.session.execute(
            update(InboundMessage).filter_by(provider_sid=later.provider_sid).values(client_id=None)
        )
    assert sum(adopt(limit=2) for _ in range(3)) == 1
    assert owner_now(later) == (clients[0], None)
