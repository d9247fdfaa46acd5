"""Look-ups compare every property and leave the message in doubt if they are not sure."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select, text, update

from service.components import components
from service.database import db, transaction
from service.domain.status import Status
from service.errors import Conflict, OutcomeUnknown, Refused
from service.models import Message, StatusEvent
from service.operations import audit, operator_actions
from service.providers import configured
from service.providers.twilio.account import Account
from service.queries import reconciliation
from service.queries.dialect import is_postgresql
from service.reconciliation.poll import reconcile, reconcile_due
from service.reconciliation.resolve import resolve
from service.sending import deliver
from tests.conftest import ACCOUNT, make_settings
from tests.fakes import FakeProvider, said
from tests.messages import Post
from tests.stand import Stand, standing

TEMPLATE = {"body": None, "content_sid": "HX" + "0" * 32, "content_variables": {"1": "Ada"}}
SID, OTHER = "SM" + "1" * 32, "SM" + "2" * 32


def resource(sid: str = SID, **changes: Any) -> dict[str, Any]:
    """Return a message as Twilio's API shows it."""
    return {
        **{"sid": sid, "account_sid": ACCOUNT, "status": "delivered", "direction": "outbound-api"},
        **{"to": "+14155552671", "from": "+15005550006", "body": "Hello", "num_media": "0"},
        **{"messaging_service_sid": None, "date_created": format_datetime(datetime.now(UTC))},
        **changes,
    }


class Carrier:
    """The Twilio provider with an API whose answers a test sets."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand

    def lose_answers(self) -> None:
        self._stand.answer(500, {"code": 20500, "message": "Internal error"})

    def lists(self, *messages: dict[str, Any]) -> None:
        self._stand.answer(200, {"messages": [*messages], "next_page_uri": None})

    def fetches(self, message: dict[str, Any]) -> None:
        self._stand.answer(200, message)

    def knows_nothing(self) -> None:
        self._stand.answer(404, {"code": 20404, "message": "Not found"})


@pytest.fixture
def carrier(
    context: Flask, monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str
) -> Iterator[Carrier]:
    monkeypatch.setenv("no_proxy", "*")
    with standing() as stand:
        settings = make_settings(database_url, redis_url, TWILIO_API_BASE_URL=stand.url)
        bound = replace(context.extensions["waybill"], providers=configured(settings))
        monkeypatch.setitem(context.extensions, "waybill", bound)
        yield Carrier(stand)


@pytest.fixture
def doubtful(post: Post, carrier: Carrier) -> Post:
    """Send a message and lose the provider's answer."""

    def send(**changes: Any) -> UUID:
        carrier.lose_answers()
        message_id = post(**changes)
        deliver.deliver()
        return message_id

    return send


def message(message_id: UUID) -> Message:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(select(Message).where(Message.id == message_id)).one()


def shown(message_id: UUID) -> tuple[Status, str | None]:
    return message(message_id).status, message(message_id).provider_sid


def words(message_id: UUID) -> list[str]:
    query = select(StatusEvent.word).where(StatusEvent.message_id == message_id)
    return list(db.session.scalars(query.order_by(StatusEvent.id)))


def change(message_id: UUID, **columns: Any) -> None:
    with transaction():
        db.session.execute(update(Message).where(Message.id == message_id).values(columns))


# Compared properties


def test_look_up_finds_sent_text(doubtful: Post, carrier: Carrier) -> None:
    message_id = doubtful()
    carrier.lists(resource(), resource(OTHER, body="Another"))
    reconcile([message_id])
    assert shown(message_id) == (Status.DELIVERED, SID)


@pytest.mark.parametrize(
    "other",
    [
        {"to": "+14155552672"},
        {"to": "whatsapp:+14155552671"},
        {"from": "+15005550007"},
        {"from": None},
        {"body": "Hello!"},
        {"body": ""},
        {"num_media": "1"},
        {"direction": "inbound"},
        {"direction": "outbound-reply"},
        {"date_created": "Thu, 20 Nov 2025 08:00:00 +0000"},
        {"date_created": None},
        {"sid": None},
    ],
    ids=str,
)
def test_look_up_ignores_different_message(
    doubtful: Post, carrier: Carrier, other: dict[str, Any]
) -> None:
    message_id = doubtful()
    carrier.lists(resource(**other))
    reconcile([message_id])
    assert shown(message_id) == (Status.IN_DOUBT, None)
    assert words(message_id) == ["not_found"]


@pytest.mark.parametrize(
    ("sent", "listed"),
    [
        ({}, {"body": "Sent from your Twilio trial account - Hello"}),
        (
            {"to": "whatsapp:+14155552671", "sender": "whatsapp:+15005550006"},
            {"to": "whatsapp:+14155552671", "from": "whatsapp:+15005550006"},
        ),
        (
            {"sender": None, "messaging_service_sid": "MG1"},
            {"from": None, "messaging_service_sid": "MG1"},
        ),
        (
            {"sender": None, "messaging_service_sid": "MG1"},
            {"from": "+15005550009", "messaging_service_sid": "MG1"},
        ),
        ({"media_urls": ["https://example.com/a.png"]}, {"num_media": "1"}),
        (
            {"body": None, "media_urls": ["https://example.com/a.png"]},
            {"num_media": "1", "body": ""},
        ),
        ({"sender": "ACME"}, {"from": "ACME"}),
    ],
    ids=str,
)
def test_look_up_allows_for_provider_additions(
    doubtful: Post, carrier: Carrier, sent: dict[str, Any], listed: dict[str, Any]
) -> None:
    message_id = doubtful(**sent)
    carrier.lists(resource(**listed))
    reconcile([message_id])
    assert shown(message_id) == (Status.DELIVERED, SID)


# Templates: their text is not known


def test_template_does_not_match_text_of_another_message(
    doubtful: Post, post: Post, carrier: Carrier
) -> None:
    template = doubtful(**TEMPLATE)
    doubtful()  # with a text, to the same number: this one did go out
    carrier.lists(resource())
    reconcile([template])
    assert shown(template) == (Status.IN_DOUBT, None)
    assert words(template) == ["not_found"], "the text belongs to the other message"


def test_template_does_not_match_unknown_message(doubtful: Post, carrier: Carrier) -> None:
    """Another system can send to the same number with the same account."""
    template = doubtful(**TEMPLATE)
    carrier.lists(resource(body="Hello, Ada"))
    reconcile([template])
    assert shown(template) == (Status.IN_DOUBT, None)
    assert words(template) == ["ambiguous"]


@pytest.mark.parametrize("other", [{}, TEMPLATE])
def test_template_look_up_waits_for_message_in_flight(
    doubtful: Post, carrier: Carrier, other: dict[str, Any]
) -> None:
    template, in_flight = doubtful(**TEMPLATE), doubtful(**other)
    change(in_flight, status=Status.SUBMITTING, claimed_until=soon())
    carrier.lists(resource())
    reconcile([template])
    assert shown(template) == (Status.IN_DOUBT, None)
    assert words(template) == [], "the other message has no answer yet"


def test_text_look_up_waits_for_template_in_flight(doubtful: Post, carrier: Carrier) -> None:
    sent, in_flight = doubtful(), doubtful(**TEMPLATE)
    change(in_flight, status=Status.SUBMITTING, claimed_until=soon())
    carrier.lists(resource())
    reconcile([sent])
    assert words(sent) == []


def test_text_is_found_beside_template_in_doubt(doubtful: Post, carrier: Carrier) -> None:
    sent, _ = doubtful(), doubtful(**TEMPLATE)
    carrier.lists(resource())
    reconcile([sent])
    assert shown(sent) == (Status.DELIVERED, SID)


def test_two_equal_media_messages_are_ambiguous(doubtful: Post, carrier: Carrier) -> None:
    media = {"body": None, "media_urls": ["https://example.com/a.png"]}
    first, _ = doubtful(**media), doubtful(**media)
    carrier.lists(resource(body="", num_media="1"))
    reconcile([first])
    assert words(first) == ["ambiguous"]


def test_later_message_is_not_confusable(doubtful: Post, carrier: Carrier) -> None:
    message_id, later = doubtful(), doubtful()
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    change(later, status=Status.SUBMITTING, submitted_at=in_an_hour, claimed_until=in_an_hour)
    carrier.lists(resource())
    reconcile([message_id])
    assert shown(message_id) == (Status.DELIVERED, SID)


# A person names the SID


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"to": "+14155552672"}, "recipient"),
        ({"to": None}, "recipient"),
        ({"from": "+15005550007"}, "sender"),
        ({"from": None}, "sender"),
        ({"body": "Another"}, "text"),
        ({"direction": "inbound"}, "direction"),
        ({"date_created": "Thu, 20 Nov 2025 08:00:00 +0000"}, "time"),
    ],
    ids=str,
)
def test_resolve_refuses_sid_of_different_message(
    doubtful: Post, carrier: Carrier, other: dict[str, Any], why: str
) -> None:
    message_id = doubtful()
    carrier.fetches(resource(**other))
    with pytest.raises(Refused, match=f"{SID} is another message: different .*{why}"):
        resolve(message_id, SID)
    assert shown(message_id) == (Status.IN_DOUBT, None)


def test_resolve_with_sid_ends_doubt(doubtful: Post, carrier: Carrier) -> None:
    message_id = doubtful()
    carrier.fetches(resource())
    assert resolve(message_id, f" {SID} ") is Status.DELIVERED
    assert shown(message_id) == (Status.DELIVERED, SID)


def test_resolve_accepts_unknown_provider_status(doubtful: Post, carrier: Carrier) -> None:
    message_id = doubtful()
    carrier.fetches(resource(status="teleported"))
    assert resolve(message_id, SID) is Status.ACCEPTED


def test_resolve_refuses_bound_sid(doubtful: Post, carrier: Carrier) -> None:
    first, second = doubtful(), doubtful()
    carrier.fetches(resource())
    resolve(first, SID)
    with pytest.raises(Conflict, match=f"{SID} is the SID of message {first}"):
        resolve(second, SID)
    assert shown(second) == (Status.IN_DOUBT, None)
    assert all(finding.holds for finding in audit.audit())


def test_resolve_refuses_sid_bound_meanwhile(
    doubtful: Post, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = doubtful(), doubtful()
    carrier.fetches(resource())
    confirm = Account.confirm

    def late(*args: Any) -> Any:
        report = confirm(*args)
        monkeypatch.setattr(Account, "confirm", confirm)
        resolve(first, SID)
        return report

    monkeypatch.setattr(Account, "confirm", late)
    with pytest.raises(Conflict, match="is the SID of message"):
        resolve(second, SID)
    assert (shown(first)[1], shown(second)[1]) == (SID, None)


def test_resolve_refuses_unknown_sid(doubtful: Post, carrier: Carrier) -> None:
    message_id = doubtful()
    carrier.knows_nothing()
    with pytest.raises(Refused):
        resolve(message_id, SID)
    assert shown(message_id) == (Status.IN_DOUBT, None)


@pytest.mark.parametrize("sid", ["", " ", "SM/../x", "x" * 65, "SM\u0661", "a b"])
def test_resolve_refuses_malformed_sid(doubtful: Post, sid: str) -> None:
    with pytest.raises(Conflict, match="invalid SID"):
        resolve(doubtful(), sid)


def test_answer_about_another_sid_resolves_nothing(doubtful: Post, carrier: Carrier) -> None:
    message_id = doubtful()
    carrier.fetches(resource(OTHER))
    with pytest.raises(OutcomeUnknown):
        resolve(message_id, SID)
    assert shown(message_id) == (Status.IN_DOUBT, None)


def test_resolve_waits_for_equal_message_in_flight(doubtful: Post, carrier: Carrier) -> None:
    message_id, in_flight = doubtful(), doubtful()
    change(in_flight, status=Status.SUBMITTING, claimed_until=soon())
    carrier.fetches(resource())
    with pytest.raises(Conflict, match="is being sent"):
        resolve(message_id, SID)


def test_refused_sid_is_not_recorded_as_decision(doubtful: Post, carrier: Carrier) -> None:
    message_id = doubtful()
    carrier.fetches(resource(to="+14155552672"))
    with pytest.raises(Refused):
        operator_actions.set_sid(message_id, SID, "ada")
    assert words(message_id) == []
    carrier.fetches(resource())
    operator_actions.set_sid(message_id, SID, "ada")
    assert sorted(words(message_id)) == ["delivered", "operator_sid_given"]


# Look-ups come before polls


def polled(post: Post, provider: FakeProvider) -> UUID:
    message_id = post()
    deliver.deliver()
    long_ago = datetime.now(UTC) - timedelta(days=1)
    change(message_id, submitted_at=long_ago, check_at=long_ago)
    return message_id


def lost(post: Post, provider: FakeProvider) -> UUID:
    def script(outbound: Any) -> Any:
        provider.take(outbound)
        raise OutcomeUnknown("no answer")

    provider.script = script
    message_id = post(body="lost")
    deliver.deliver()
    provider.script = None
    change(message_id, check_at=datetime.now(UTC) - timedelta(seconds=1))
    return message_id


def test_overdue_polls_do_not_delay_look_up(post: Post, provider: FakeProvider) -> None:
    polls = [polled(post, provider) for _ in range(12)]
    message_id = lost(post, provider)
    fetched = list[str]()

    def answer(attempt: UUID, sid: str) -> Any:
        fetched.append(sid)
        return said("delivered", attempt_id=attempt, sid=sid)

    provider.answer = answer
    budget = components().settings.reconcile_budget
    assert reconcile_due() == budget + 1
    assert message(message_id).status is Status.SENT
    assert len(fetched) == budget < len(polls)


def test_slow_poll_does_not_delay_look_up(post: Post, provider: FakeProvider) -> None:
    polled(post, provider)

    def answer(attempt: UUID, sid: str) -> Any:
        doubt = lost(post, provider)  # while this poll is under way
        assert reconcile_due() == 1
        assert message(doubt).status is Status.SENT
        return said("delivered", attempt_id=attempt, sid=sid)

    provider.answer = answer
    assert reconcile_due() == 1


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=1)


def fill(model: UUID, number: int, **columns: str) -> None:
    """Add copies of a message, with these SQL expressions in place of its columns."""
    names = [column.name for column in Message.__table__.columns if column.computed is None]
    copied = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(columns.get(name, f'"{name}"') for name in names)
    series = f"generate_series(1, {number}) AS n"
    statement = f"INSERT INTO message ({copied}) SELECT {values} FROM message, {series}"
    with transaction():
        db.session.execute(text("SET LOCAL statement_timeout = 0"))  # a busy machine takes 10 s
        db.session.execute(text(f"{statement} WHERE id = '{model}'"))


def plan(query: Any) -> str:
    """Return how PostgreSQL runs a query."""
    compiled = query.compile(db.engine, compile_kwargs={"literal_binds": True})
    with db.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN (ANALYZE) {compiled}")
        return "\n".join(row[0] for row in rows)


@pytest.mark.slow
def test_look_ups_use_separate_index(post: Post, provider: FakeProvider) -> None:
    if not is_postgresql():
        pytest.skip("SQLite has no statistics")
    model, doubt = polled(post, provider), lost(post, provider)
    new = "gen_random_uuid()"
    fill(model, 100_000, id=new, provider_sid="'SM' || n")
    fill(model, 20_000, id=new, provider_sid="NULL", check_at="NULL", status="'failed'")
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE message"))

    now = datetime.now(UTC)
    for with_sid, index in ((False, "ix_message_look_up"), (True, "ix_message_check")):
        used = plan(reconciliation.due(now, 5, with_sid=with_sid))
        assert f"using {index} " in used, used
        assert "Seq Scan" not in used, used
        assert "Sort" not in used, used
    with transaction():
        assert reconciliation.claim_checks(now, now, 5, with_sid=False) == [doubt]
