"""Senders of messages: FakeWaybill and the application give the client the same answers."""

import pytest

from tests.clients.python.conftest import Server
from waybill_client import Conflict, Invalid, Waybill

# The contract does not depend on the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True, scope="session")

PERSON, SENDER = "+14155552671", "+15005550006"
SERVICE = "MG" + "0" * 32


@pytest.mark.parametrize(
    ("to", "sender"), [(PERSON, SENDER), ("whatsapp:" + PERSON, "whatsapp:" + SENDER)]
)
def test_message_to_a_pool_has_a_sender(
    waybill: Waybill, server: Server, to: str, sender: str
) -> None:
    server.make_pool("spring", sender)
    sent = waybill.send(to=to, body="Hello", from_=" Pool:Spring", idempotency_key="order-1")
    assert (sent["from"], sent["messaging_service_sid"]) == (sender, None)
    assert waybill.get(sent["id"])["from"] == sender


def test_repeat_for_a_pool_sends_once(waybill: Waybill, server: Server) -> None:
    server.make_pool("spring", SENDER)
    sent = waybill.send(to=PERSON, body="Hello", from_="pool:spring", idempotency_key="order-1")
    again = waybill.send(to=PERSON, body="Hello", from_="pool:spring", idempotency_key="order-1")
    assert again == sent
    with pytest.raises(Conflict):
        waybill.send(to=PERSON, body="Hello", from_=SENDER, idempotency_key="order-1")


def test_pool_beside_a_service_is_refused(waybill: Waybill, server: Server) -> None:
    server.make_pool("spring", SENDER)
    with pytest.raises(Invalid) as refused:
        waybill.send(to=PERSON, body="Hello", from_="pool:spring", messaging_service_sid=SERVICE)
    assert set(refused.value.errors) == {"messaging_service_sid"}


@pytest.mark.parametrize("sender", ["pool:", "pool:a b", "TWELVELETTER", SERVICE, "sms:" + SENDER])
def test_unusable_sender_is_refused(waybill: Waybill, sender: str) -> None:
    with pytest.raises(Invalid) as refused:
        waybill.send(to=PERSON, body="Hello", from_=sender)
    assert set(refused.value.errors) == {"from"}


@pytest.mark.parametrize(
    ("written", "sender"), [("+1 (500) 555-0006", SENDER), (" 72345", "72345"), ("Acme", "Acme")]
)
def test_sender_is_normalised(waybill: Waybill, written: str, sender: str) -> None:
    assert waybill.send(to=PERSON, body="Hello", from_=written)["from"] == sender
