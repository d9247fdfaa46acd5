"""With SENDER_OWNERSHIP=enforced no message moves to a sender that its client does not own."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from service.database import db, transaction
from service.domain.report import Source
from service.domain.status import Status
from service.errors import Blocked, NoRoute, NotAccepted, Refused
from service.models import Client
from service.providers.base import Sender
from service.queries import senders
from service.sending import deliver
from service.sending.failover import MOVED, NOT_MOVED
from service.sending.resend import resend_all
from service.sending.resend_refusals import Order, Refusal
from tests.fakes import FakeProvider
from tests.messages import Post
from tests.service.sending.conftest import (
    SecondProvider,
    attempts,
    deliver_later,
    failing,
    message,
    notes,
)

FIRST, SECOND = "+15005550006", "+447700900001"
SUSPENDED = Blocked("not active", "20005")
NOWHERE = NoRoute("no route to this pair", "21612")
CLIENT = Order(Source.CLIENT)
OPERATOR = Order(Source.RECONCILIATION, operator="ada")

Give = Callable[..., None]


@pytest.fixture
def give(client_id: int) -> Give:
    """Give senders to the client of `post`, or to another."""

    def given(*names: str, to: int | None = None) -> None:
        with transaction():
            for name in names:
                assert senders.add(name, to or client_id, None, datetime.now(UTC))

    return given


@pytest.fixture
def other(context: Flask) -> int:
    with transaction():
        client = Client(name="marketing", created_at=datetime.now(UTC))
        db.session.add(client)
        db.session.flush()
        return client.id


@pytest.fixture
def enforced(second: SecondProvider, configure: Any) -> None:
    configure(sender_ownership="enforced")


@pytest.mark.usefixtures("enforced")
def test_blocked_message_waits_if_the_next_sender_is_not_owned(
    post: Post, give: Give, other: int, provider: FakeProvider, second: SecondProvider
) -> None:
    give(FIRST)
    give(SECOND, to=other)
    provider.script = failing(SUSPENDED)
    message_id = post()
    deliver.deliver()
    assert (message(message_id).status, message(message_id).provider) == (
        Status.PENDING,
        "twilio",
    )
    assert second.on_air == []
    assert notes(message_id) == [(NOT_MOVED, "the client does not own the sender of sinch")]


@pytest.mark.usefixtures("enforced")
def test_blocked_message_moves_to_an_owned_sender(
    post: Post, give: Give, provider: FakeProvider, second: SecondProvider
) -> None:
    give(FIRST, SECOND)
    provider.script = failing(SUSPENDED)
    message_id = post()
    deliver.deliver()
    assert [sent.sender for sent in second.on_air] == [SECOND]
    assert [word for word, _ in notes(message_id)] == [MOVED]


@pytest.mark.usefixtures("enforced")
def test_message_without_route_does_not_move_to_another_sender(
    post: Post, give: Give, provider: FakeProvider, second: SecondProvider
) -> None:
    """It would else be tried by the same provider until its deadline."""
    give(FIRST)
    provider.script = failing(NOWHERE)
    message_id = post()
    deliver.deliver()
    assert message(message_id).status is Status.FAILED
    assert attempts(message_id) == [(1, "twilio", "no_route")]
    assert second.on_air == []


@pytest.mark.usefixtures("enforced")
def test_message_that_is_not_accepted_stays_with_its_sender(
    post: Post, give: Give, provider: FakeProvider, second: SecondProvider
) -> None:
    give(FIRST)
    provider.script = failing(NotAccepted("too many requests", "20429"))
    message_id = post()
    deliver.deliver()
    for _ in range(4):
        deliver_later(61)
    assert (message(message_id).provider, second.on_air) == ("twilio", [])


def test_message_moves_to_any_sender_by_default(
    post: Post, give: Give, other: int, provider: FakeProvider, second: SecondProvider
) -> None:
    give(SECOND, to=other)
    provider.script = failing(SUSPENDED)
    post()
    deliver.deliver()
    assert len(second.on_air) == 1


@pytest.mark.usefixtures("enforced")
def test_service_of_the_next_provider_must_be_owned(
    post: Post, give: Give, provider: FakeProvider, second: SecondProvider
) -> None:
    second.sender = Sender(messaging_service_sid="MG" + "1" * 32)
    give(FIRST)
    provider.script = failing(SUSPENDED)
    message_id = post()
    deliver.deliver()
    assert second.on_air == []
    give("MG" + "1" * 32)
    deliver_later(61)
    assert message(message_id).messaging_service_sid == "MG" + "1" * 32
    assert len(second.on_air) == 1


def refused(post: Post, provider: FakeProvider, **changes: Any) -> UUID:
    """Return a message that the provider refused."""
    provider.script = failing(Refused("no", "21211"))
    message_id = post(**changes)
    deliver.deliver()
    provider.script = None
    return message_id


def resent(message_id: UUID, order: Order) -> Refusal | None:
    return resend_all([message_id], order)[message_id]


@pytest.mark.usefixtures("enforced")
def test_client_cannot_resend_from_a_sender_of_another(
    post: Post, give: Give, other: int, provider: FakeProvider
) -> None:
    message_id = refused(post, provider)
    give(FIRST, to=other)
    assert resent(message_id, CLIENT) is Refusal.NOT_OWNED
    deliver.deliver()
    assert provider.on_air == []
    with transaction():
        senders.remove(FIRST, other)
    give(FIRST)
    assert resent(message_id, CLIENT) is None


@pytest.mark.usefixtures("enforced")
def test_operator_can_resend_from_any_sender(post: Post, provider: FakeProvider) -> None:
    message_id = refused(post, provider)
    assert resent(message_id, OPERATOR) is None
    deliver.deliver()
    assert [sent.sender for sent in provider.on_air] == [FIRST]


@pytest.mark.usefixtures("enforced")
@pytest.mark.parametrize(
    ("names", "provider_name"), [([SECOND], "sinch"), ([FIRST, SECOND], "twilio")]
)
def test_resend_does_not_return_to_a_sender_that_is_not_owned(
    post: Post,
    give: Give,
    provider: FakeProvider,
    second: SecondProvider,
    names: list[str],
    provider_name: str,
) -> None:
    """The message failed at the second provider of its route."""
    give(*names)
    second.script = failing(Refused("no", "21211"))
    message_id = post(provider="sinch", sender=SECOND)
    deliver.deliver()
    second.script = None
    assert resent(message_id, CLIENT) is None
    deliver.deliver()
    assert message(message_id).provider == provider_name


@pytest.mark.usefixtures("enforced")
def test_claim_reads_owners_once(
    post: Post, give: Give, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    give(FIRST)
    calls, read = list[Any](), senders.owners
    monkeypatch.setattr(senders, "owners", lambda names: calls.append(names) or read(names))
    ids = [post() for _ in range(5)]
    deliver.deliver()
    assert {message(message_id).status for message_id in ids} == {Status.QUEUED}
    assert 1 <= len(calls) <= 2
