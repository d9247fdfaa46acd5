"""The audit of inbound messages: events, owners and opt-outs agree with what was received."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete, select, update

from service.database import db, transaction
from service.domain.status import Status
from service.inbound.record import record
from service.models import Client, Event, InboundMessage, Message, OptOut
from service.operations import audit
from service.privacy import erase
from service.queries import audit as audit_queries
from service.queries import inbound_audit, opt_outs
from service.queries.opt_outs import Change, Pair
from service.sending import deliver
from tests.messages import Post
from tests.service.inbound.conversation import PERSON, SENDER, heard
from tests.strategies import EPOCH

pytestmark = pytest.mark.usefixtures("context")

UNTOLD = "inbound messages of which their client was not told"
TOLD_TO_OTHER = "inbound messages of which another client was told"
MISLED = "inbound messages that answer a message of another client"
OPT_OUTS = "opt-outs that differ from what recipients wrote"
PAIR = Pair(PERSON, SENDER, "twilio")


def failed() -> dict[str, int]:
    """The checks that fail, with their counts."""
    db.session.rollback()
    texts = [finding.text for finding in audit.audit() if not finding.holds]
    return {name: int(count) for name, count in (text.rsplit(": ", 1) for text in texts)}


def change(statement: Any) -> None:
    with transaction():
        db.session.execute(statement)


def run(app: Flask, *arguments: str) -> Result:
    db.session.rollback()
    return app.test_cli_runner().invoke(args=list(arguments))


@pytest.fixture
def answered(web: FlaskClient, events_told: None) -> None:
    """A client wrote to a person, who answered, opted out and in, and out again."""
    web.post("/v1/messages", json={"to": PERSON, "from": SENDER, "body": "How are you?"})
    deliver.deliver()
    for text in ("Fine", "STOP", "START", "Stop"):
        record([heard(text)])


@pytest.fixture
def stranger() -> int:
    """Another client."""
    client = Client(name="stranger", created_at=EPOCH, events_since=EPOCH, events_complete=True)
    with transaction():
        db.session.add(client)
    return client.id


@pytest.mark.usefixtures("answered")
def test_conversation_passes_the_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_queries, "BATCH", 2)
    record([heard("Who is this?", To="+15005550009"), heard("STOP", From="+14155550199")])
    assert failed() == {}
    assert "inbound messages: 6, without a client: 2" in [each.text for each in audit.audit()]


@pytest.mark.usefixtures("answered")
def test_message_without_event_fails_the_audit() -> None:
    change(delete(Event).where(Event.type == "message.received"))
    assert failed() == {UNTOLD: 4}


def test_client_without_events_is_told_of_nothing(web: FlaskClient) -> None:
    web.post("/v1/messages", json={"to": PERSON, "from": SENDER, "body": "How are you?"})
    deliver.deliver()
    record([heard("Fine")])
    assert failed() == {}


@pytest.mark.usefixtures("answered")
def test_message_older_than_events_needs_none() -> None:
    change(delete(Event))
    old = datetime.now(UTC) - timedelta(days=60)
    change(update(InboundMessage).values(received_at=old))
    change(update(Client).values(events_since=old - timedelta(days=1)))
    assert failed() == {}


@pytest.mark.usefixtures("answered")
def test_event_of_another_client_fails_the_audit(stranger: int) -> None:
    change(update(Event).where(Event.type == "message.received").values(client_id=stranger))
    assert failed() == {TOLD_TO_OTHER: 4}


@pytest.mark.usefixtures("answered")
def test_reply_to_another_client_fails_the_audit(stranger: int) -> None:
    change(update(Message).values(client_id=stranger))
    assert failed() == {MISLED: 4}


@pytest.mark.usefixtures("answered")
def test_lost_stop_is_found_and_applied(context: Flask, post: Post) -> None:
    change(delete(OptOut))
    assert failed() == {OPT_OUTS: 3}
    listed = run(context, "rebuild")
    assert "3 opt-outs differ" in listed.output
    assert db.session.scalars(select(OptOut)).all() == []
    run(context, "rebuild", "--write")
    assert failed() == {}
    message_id = post()
    deliver.deliver()
    status = select(Message.status).where(Message.id == message_id)
    assert db.session.scalars(status).one() is Status.FAILED


def test_lost_start_is_found_and_applied(context: Flask) -> None:
    record([heard("STOP", EPOCH)])
    record([heard("START", EPOCH + timedelta(days=1))])
    change(delete(OptOut))
    with transaction():
        opt_outs.change([Change(PAIR, True, EPOCH, "keyword", "recipient")])
    assert failed() == {OPT_OUTS: 1}
    run(context, "rebuild", "--write")
    assert db.session.scalars(select(OptOut.active)).all() == [False]
    assert failed() == {}


@pytest.mark.parametrize(
    ("word", "begins", "reason"),
    [("STOP", False, "client"), ("START", True, "provider"), ("START", True, "operator")],
)
def test_later_change_of_another_is_no_difference(word: str, begins: bool, reason: str) -> None:
    record([heard(word)])
    with transaction():
        opt_outs.change([Change(PAIR, begins, datetime.now(UTC), reason, reason)])
    assert failed() == {}


def test_opt_outs_of_a_service_are_compared() -> None:
    record([heard("STOP", MessagingServiceSid="MG" + "1" * 32)])
    change(delete(OptOut).where(OptOut.sender != SENDER))
    assert failed() == {OPT_OUTS: 1}


def test_forgotten_number_is_no_difference() -> None:
    record([heard("STOP")])
    erase.erase_number(PERSON)
    assert failed() == {}
    assert inbound_audit.keywords(None)[0] == []


def test_audit_of_inbound_reads_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_queries, "BATCH", 2)
    noted = dict[str, int]()
    progress: Callable[[str, int], None] = noted.__setitem__
    record([heard("STOP", From=f"+1415555010{number}") for number in range(5)])
    change(delete(OptOut))
    texts = [finding.text for finding in audit.audit(progress)]
    assert f"{OPT_OUTS}: 5" in texts
    assert (noted["inbound messages"], noted["words"]) == (4, 4)
