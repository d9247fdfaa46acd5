"""Inbound messages are redacted, deleted and forgotten like the messages that they answer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, func, select, update

from service.components import components
from service.database import batches, db, transaction
from service.inbound.record import record
from service.models import Client, InboundMessage, OptOut, WebhookDelivery, WebhookEndpoint
from service.operations import audit
from service.privacy import erase, purge, redact
from service.providers.base import Callback
from service.queries import callbacks
from service.recording import consume_inbox, return_to_inbox
from service.sending import deliver
from service.webhooks import claim as webhooks
from tests.fakes import said
from tests.service.inbound.conversation import PERSON, SENDER, form, heard
from tests.strategies import EPOCH

pytestmark = pytest.mark.usefixtures("context")

Configure = Callable[..., None]
TEXT, OTHER = "My name is Ada, call me", "+14155550199"
DAY = timedelta(days=1)


def inbound() -> list[InboundMessage]:
    db.session.rollback()
    db.session.expire_all()
    return list(db.session.scalars(select(InboundMessage).order_by(InboundMessage.id)))


def count(model: type[Any]) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def everything() -> str:
    """The content of all tables, as text."""
    db.session.rollback()
    tables = db.metadata.sorted_tables
    return str(
        [dict(row) for table in tables for row in db.session.execute(select(table)).mappings()]
    )


def entry(body: str = TEXT, **changes: str) -> Callback:
    """An inbound message before it is recorded."""
    return Callback("twilio", "", urlencode(form(body, **changes)).encode(), datetime.now(UTC))


@contextmanager
def commits() -> Iterator[list[object]]:
    noted = list[object]()
    note = noted.append  # each reading of the method is another object
    event.listen(db.engine, "commit", note)
    try:
        yield noted
    finally:
        event.remove(db.engine, "commit", note)


@pytest.fixture
def endpoint(web: FlaskClient, events_told: None) -> UUID:
    """An endpoint of the client that wrote to the person, which gets replies with their text."""
    web.post("/v1/messages", json={"to": PERSON, "from": SENDER, "body": "How are you?"})
    deliver.deliver()
    created = WebhookEndpoint(
        client_id=db.session.scalars(select(Client.id)).one(),
        url="https://billing.example.com/hook",
        types=["message.received"],
        statuses=[],
        include_body=True,
        secrets=[],
        created_at=EPOCH,
        updated_at=EPOCH,
    )
    with transaction():
        db.session.add(created)
    return created.id


# Redaction


def test_redaction_clears_text_and_keeps_the_meaning(configure: Configure) -> None:
    configure(redact_after=0.0)
    media = {"NumMedia": "1", "MediaUrl0": "https://api.twilio.com/ada.png"}
    record([heard("STOP", **media, FromCity="ADAVILLE", ProfileName="Ada")])
    assert redact.redact() == 1
    [message] = inbound()
    assert (message.body, message.media) == (None, [])
    assert message.raw.keys().isdisjoint({"Body", "From", "FromCity", "ProfileName", "MediaUrl0"})
    assert message.raw["MessageSid"] == message.provider_sid
    assert (message.keyword, message.from_address, message.to_address) == ("stop", PERSON, SENDER)
    assert message.redacted_at is not None
    assert redact.redact() == 0


@pytest.mark.parametrize(
    ("after", "days", "done"),
    [(None, 400, 0), (2.0, 1, 0), (2.0, 3, 1), (0.0, 0, 1)],
    ids=["unset", "too young", "old enough", "immediately"],
)
def test_redact_after_counts_from_the_arrival(
    configure: Configure, after: float | None, days: float, done: int
) -> None:
    configure(redact_after=after)
    record([heard(TEXT, datetime.now(UTC) - days * DAY)])
    assert redact.redact() == done


def test_text_is_kept_until_the_endpoint_has_it(endpoint: UUID, configure: Configure) -> None:
    configure(redact_after=0.0)
    record([heard(TEXT)])
    assert redact.redact() == 0
    [call] = webhooks.claim(10, datetime.now(UTC))
    assert TEXT in call.body.decode()
    assert redact.redact() == 0
    with transaction():
        db.session.execute(update(WebhookDelivery).values(due_at=None, delivered_at=EPOCH))
    assert redact.redact() == 1
    assert TEXT not in everything()


def test_client_sees_that_a_reply_is_redacted(endpoint: UUID, web: FlaskClient) -> None:
    record([heard(TEXT)])
    message_id = inbound()[0].id
    erase.erase_number(PERSON)
    shown = web.get(f"/v1/inbound/{message_id}").json
    assert (shown["redacted"], shown["body"], shown["media"]) == (True, None, [])


def test_repeat_after_redaction_brings_nothing_back(configure: Configure) -> None:
    configure(redact_after=0.0)
    message = heard(TEXT)
    record([message])
    redact.redact()
    assert record([message]) == 0
    assert TEXT not in everything()


def test_redaction_runs_in_batches(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(redact_after=0.0)
    for module in (redact, batches):
        monkeypatch.setattr(module, "BATCH", 2)
    record([heard(TEXT) for _ in range(5)])
    with commits() as noted:
        assert redact.redact() == 5
    assert len(noted) == 2 + 3  # none marked, none ended; two, two, one


def test_redaction_skips_locked_messages(configure: Configure) -> None:
    if db.engine.dialect.name != "postgresql":
        pytest.skip("SQLite locks the whole file")
    configure(redact_after=0.0)
    record([heard(TEXT)])
    with db.engine.begin() as other:
        other.execute(select(InboundMessage.id).with_for_update())
        assert redact.redact() == 0
    assert redact.redact() == 1


# Retention


def test_old_messages_are_deleted_with_their_deliveries(
    endpoint: UUID, configure: Configure
) -> None:
    configure(keep_messages=7.0)
    now = datetime.now(UTC)
    record([heard("old", now), heard("young", now)])
    with transaction():
        old = InboundMessage.body == "old"
        week = {"id": UUID("01900000-0000-7000-8000-000000000000"), "received_at": now - 8 * DAY}
        replaced = update(WebhookDelivery).where(WebhookDelivery.message_id == inbound_id(old))
        db.session.execute(replaced.values(message_id=week["id"]))
        db.session.execute(update(InboundMessage).where(old).values(**week))
    assert purge.delete_old() == 1
    assert [message.body for message in inbound()] == ["young"]
    assert count(WebhookDelivery) == 1


def inbound_id(condition: Any) -> UUID:
    return db.session.scalars(select(InboundMessage.id).where(condition)).one()


def test_opt_out_outlives_its_message(configure: Configure) -> None:
    configure(keep_messages=1e-9)
    record([heard("STOP")])
    assert purge.delete_old() == 1
    assert count(OptOut) == 1


def test_messages_are_kept_without_the_setting(configure: Configure) -> None:
    configure(keep_messages=None)
    record([heard(TEXT, datetime.now(UTC) - 4000 * DAY)])
    assert purge.delete_old() == 0


def test_feed_passes_a_deleted_message(
    endpoint: UUID, web: FlaskClient, configure: Configure
) -> None:
    configure(keep_messages=1e-9)
    record([heard(TEXT)])
    purge.delete_old()
    answer = web.get("/v1/events?types=message.received").json
    assert (answer["events"], answer["has_more"]) == ([], False)
    assert [finding.text for finding in audit.audit() if not finding.holds] == []


# Forgetting a number


@pytest.mark.parametrize("address", [PERSON, f"whatsapp:{PERSON}", f"rcs:{PERSON}"])
def test_forget_erases_what_the_person_wrote(address: str) -> None:
    record([heard(TEXT, From=address, ProfileName="Ada"), heard(TEXT, From=OTHER)])
    assert erase.erase_number(PERSON).inbound == 1
    others, own = sorted(inbound(), key=lambda message: message.from_address)
    assert own.from_address.startswith("forgotten:")
    assert (own.body, own.to_address) == (None, SENDER)
    assert (others.body, others.from_address) == (TEXT, OTHER)
    assert PERSON[1:] not in everything()
    assert erase.erase_number(PERSON).inbound == 0


def test_forget_masks_the_number_in_messages_of_others() -> None:
    record([heard(f"Call {PERSON}", From=OTHER, NumMedia="1", MediaUrl0=f"https://a/{PERSON}")])
    erased = erase.erase_number(PERSON)
    assert (erased.inbound, erased.mentions) == (0, 1)
    [message] = inbound()
    assert (message.body, message.from_address) == ("Call +99999999999", OTHER)
    assert message.redacted_at is None
    assert PERSON[1:] not in everything()


def test_conversation_keeps_one_pseudonym(endpoint: UUID, web: FlaskClient) -> None:
    record([heard(TEXT)])
    [sent] = web.get("/v1/messages").json["messages"]
    consume_inbox.record_callbacks([ending(web)])
    erase.erase_number(PERSON)
    [reply] = web.get("/v1/inbound").json["messages"]
    assert reply["from"] == web.get(f"/v1/messages/{sent['id']}").json["to"]
    assert reply["in_reply_to"] == sent["id"]


def ending(web: FlaskClient) -> Callback:
    """A callback with which the only message ends."""
    fake: Any = components().providers["twilio"]
    attempt = fake.on_air[-1].attempt_id
    body = urlencode({"MessageSid": said(sid="SM1").provider_sid, "MessageStatus": "delivered"})
    return Callback("twilio", str(attempt), body.encode(), datetime.now(UTC))


@pytest.mark.parametrize("place", ["inbox", "overflow"])
def test_waiting_message_of_the_person_is_erased(place: str, endpoint: UUID) -> None:
    """Its text holds no number that could be masked."""
    for waiting in (entry(), entry(f"not {PERSON}", From=OTHER)):
        if place == "inbox":
            components().inbox.put(waiting)
        else:
            with transaction():
                callbacks.add_overflow(waiting)
    assert erase.erase_number(PERSON).inbound == 1
    return_to_inbox.drain_overflow()
    consume_inbox.consume_inbox()
    assert sorted(str(message.body) for message in inbound()) == ["None", "not +99999999999"]
    assert TEXT not in everything()
    assert PERSON[1:] not in str([vars(message) for message in inbound()])
    assert components().inbox.lag() == 0
    [call] = webhooks.claim(10, datetime.now(UTC))
    assert "forgotten:" in call.body.decode()


def test_forget_ends_opt_outs_unless_they_are_kept() -> None:
    record([heard("STOP"), heard("STOP", From=OTHER)])
    assert erase.erase_number(PERSON, keep_opt_outs=True).opt_outs == 0
    assert count(OptOut) == 2
    assert erase.erase_number(PERSON).opt_outs == 1
    assert db.session.scalars(select(OptOut.to)).all() == [OTHER]


def test_command_keeps_opt_outs(app: Flask) -> None:
    record([heard("STOP")])
    result = app.test_cli_runner().invoke(args=["forget", PERSON, "--keep-opt-outs"])
    assert result.exit_code == 0, result.output
    assert "1 inbound messages" in result.output
    assert count(OptOut) == 1
