"""Send again: what was not on the air is sent again; all else is refused with the reason."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from service.database import db, transaction
from service.domain.report import StatusReport
from service.errors import OutcomeUnknown, Refused
from service.models import Message
from service.operations.rebuild import rebuild
from service.privacy import redact
from service.providers.base import Outbound
from service.recording import record
from service.sending import deliver as sending
from service.sending import expiry
from tests.conftest import make_key
from tests.fakes import FakeProvider, said

HELLO = {"to": "+14155552671", "body": "Hello"}


@pytest.fixture
def posted(web: FlaskClient, context: Flask) -> Callable[..., str]:
    """Post a message and deliver it; return its id."""

    def post(**fields: Any) -> str:
        message_id: str = web.post("/v1/messages", json={**HELLO, **fields}).json["id"]
        sending.deliver()
        return message_id

    return post


@pytest.fixture
def failed(posted: Callable[..., str], provider: FakeProvider) -> str:
    """A message that the provider accepted, and then failed to send."""
    message_id = posted()
    report("failed", provider, error_code="30008")
    return message_id


def report(word: str, provider: FakeProvider, attempt: int = 0, **fields: Any) -> None:
    attempt_id = provider.on_air[attempt].attempt_id
    record.record([said(word, attempt_id=attempt_id, sid=provider.sid(attempt_id), **fields)])


def resend(web: FlaskClient, message_id: str, **body: Any) -> TestResponse:
    return web.post(f"/v1/messages/{message_id}/resend", json=body or None)


def shown(web: FlaskClient, message_id: str) -> dict[str, Any]:
    message: dict[str, Any] = web.get(f"/v1/messages/{message_id}").json
    return message


def differences() -> list[Any]:
    db.session.rollback()
    return list(rebuild())


def refuse(outbound: Outbound) -> StatusReport:
    raise Refused("invalid number", "21211")


def fall_silent(outbound: Outbound) -> StatusReport:
    raise OutcomeUnknown("timed out")


def spoil(message_id: str, **columns: Any) -> None:
    with transaction():
        db.session.execute(update(Message).where(Message.id == UUID(message_id)).values(columns))


def test_failed_message_is_sent_again(
    web: FlaskClient, provider: FakeProvider, failed: str
) -> None:
    answer = resend(web, failed)
    assert answer.status_code == 202
    pending = {"id": failed, "status": "pending", "final": False, "error": None}
    assert pending.items() <= answer.json.items()
    assert (answer.json["final_at"], answer.json["provider_sid"]) == (None, None)
    assert differences() == []
    sending.deliver()
    assert len(provider.on_air) == 2
    assert shown(web, failed)["status"] == "queued"
    report("delivered", provider, attempt=1)
    assert shown(web, failed)["status"] == "delivered"
    assert not shown(web, failed)["conflict"]
    assert differences() == []


def test_expired_message_is_sent_again_with_a_new_deadline(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    posted = web.post("/v1/messages", json={**HELLO, "validity_period": 60}).json
    spoil(posted["id"], expires_at=datetime.now(UTC) - timedelta(seconds=1))
    expiry.expire_due()
    assert shown(web, posted["id"])["status"] == "expired"
    again = resend(web, posted["id"]).json
    left = datetime.fromisoformat(again["expires_at"]) - datetime.now(UTC)
    assert timedelta(seconds=50) < left <= timedelta(seconds=60)
    sending.deliver()
    assert len(provider.on_air) == 1
    assert differences() == []


def test_message_that_expires_again_is_expired(
    web: FlaskClient, provider: FakeProvider, failed: str
) -> None:
    resend(web, failed)
    spoil(failed, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    sending.deliver()
    assert shown(web, failed)["status"] == "expired"
    assert len(provider.on_air) == 1
    assert differences() == []


def test_message_without_deadline_gets_the_patience_of_the_service(
    web: FlaskClient, failed: str, configure: Callable[..., None]
) -> None:
    configure(send_patience=7_200.0)
    left = datetime.fromisoformat(resend(web, failed).json["expires_at"]) - datetime.now(UTC)
    assert timedelta(seconds=7_190) < left <= timedelta(seconds=7_200)


def test_refused_message_is_sent_again_as_often_as_asked(
    web: FlaskClient, posted: Callable[..., str], provider: FakeProvider
) -> None:
    provider.script = refuse
    message_id = posted()
    for _ in range(3):
        assert resend(web, message_id).status_code == 202
        sending.deliver()
        assert shown(web, message_id)["error"]["code"] == "21211"
    provider.script = None
    resend(web, message_id)
    sending.deliver()
    assert shown(web, message_id)["status"] == "queued"
    assert differences() == []


def test_repeated_post_sends_no_second_copy(
    web: FlaskClient, provider: FakeProvider, failed: str
) -> None:
    assert [resend(web, failed).status_code for _ in range(3)] == [202, 409, 409]
    sending.deliver()
    assert resend(web, failed).status_code == 409
    assert len(provider.on_air) == 2


@pytest.mark.parametrize("words", [["sending"], ["sent"], ["undelivered"], ["delivered"], ["read"]])
@pytest.mark.parametrize("end", ["", "failed"])
def test_message_that_was_on_the_air_is_refused(
    web: FlaskClient,
    posted: Callable[..., str],
    provider: FakeProvider,
    words: list[str],
    end: str,
) -> None:
    message_id = posted()
    for word in filter(None, [*words, end]):
        report(word, provider)
    before = shown(web, message_id)
    for body in ({}, {"confirm_duplicate": True}):
        refused = resend(web, message_id, **body)
        assert (refused.status_code, refused.content_type) == (409, "application/problem+json")
    assert shown(web, message_id) == before
    sending.deliver()
    assert len(provider.on_air) == 1


def test_canceled_message_is_refused(web: FlaskClient, context: Flask) -> None:
    message_id = web.post("/v1/messages", json=HELLO).json["id"]
    web.post(f"/v1/messages/{message_id}/cancel")
    assert resend(web, message_id, confirm_duplicate=True).status_code == 409
    assert shown(web, message_id)["status"] == "canceled"


def test_message_to_an_opted_out_recipient_is_refused(
    web: FlaskClient, posted: Callable[..., str], provider: FakeProvider
) -> None:
    message_id = posted()
    report("failed", provider, error_code="21610")
    suppressed = posted()
    assert shown(web, suppressed)["error"]["code"] == "21610"
    for refused in (message_id, suppressed):
        assert resend(web, refused).status_code == 409


def test_pending_message_is_refused(web: FlaskClient, context: Flask) -> None:
    message_id = web.post("/v1/messages", json=HELLO).json["id"]
    assert resend(web, message_id, confirm_duplicate=True).status_code == 409


def test_redacted_message_is_refused(
    web: FlaskClient, failed: str, configure: Callable[..., None]
) -> None:
    configure(redact_after=timedelta(0))
    redact.redact()
    assert shown(web, failed)["redacted"]
    assert resend(web, failed).status_code == 409
    assert shown(web, failed)["status"] == "failed"


def test_message_with_too_many_attempts_is_refused(web: FlaskClient, failed: str) -> None:
    spoil(failed, attempts=57)
    assert resend(web, failed).status_code == 202
    spoil(failed, status="failed", attempts=58)
    assert resend(web, failed).status_code == 409


def test_message_of_a_removed_account_is_refused(web: FlaskClient, failed: str) -> None:
    spoil(failed, account="gone", provider_fixed=True)
    assert resend(web, failed).status_code == 409


def test_message_of_a_removed_account_goes_by_its_route(web: FlaskClient, failed: str) -> None:
    spoil(failed, account="gone", provider_fixed=False, sender_fixed=False)
    again = resend(web, failed)
    assert (again.status_code, again.json["account"]) == (202, "default")


def test_message_with_an_unknown_outcome_needs_a_confirmation(
    web: FlaskClient, posted: Callable[..., str], provider: FakeProvider
) -> None:
    provider.script = fall_silent
    message_id = posted()
    spoil(message_id, status="failed", final_at=datetime.now(UTC), outcome_attempt=0)
    assert resend(web, message_id).status_code == 409
    assert resend(web, message_id, confirm_duplicate=False).status_code == 409
    assert resend(web, message_id, confirm_duplicate=True).status_code == 202
    provider.script = None
    sending.deliver()
    assert len(provider.on_air) == 1


def test_attempt_without_answer_that_was_reported_failed_is_certain(
    web: FlaskClient, posted: Callable[..., str], provider: FakeProvider
) -> None:
    sent = list[Outbound]()

    def lose_answer(outbound: Outbound) -> StatusReport:
        sent.append(outbound)
        raise OutcomeUnknown("timed out")

    provider.script = lose_answer
    message_id = posted()
    record.record([said("failed", attempt_id=sent[0].attempt_id, sid="SM1")])
    assert resend(web, message_id).status_code == 202
    spoil(message_id, expires_at=datetime.now(UTC))
    expiry.expire_due()
    assert shown(web, message_id)["status"] == "expired"


def test_message_of_another_client_is_not_found(
    web: FlaskClient, app: Flask, failed: str, provider: FakeProvider
) -> None:
    other = {"Authorization": f"Bearer {make_key(app, 'shop')}"}
    answer = web.post(f"/v1/messages/{failed}/resend", headers=other)
    assert answer.status_code == 404
    sending.deliver()
    assert len(provider.on_air) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"confirm_duplicate": "yes"}', 422),
        (b'{"confirm": true}', 422),
        (b"[]", 422),
        (b"{}", 202),
        (b"", 202),
    ],
)
def test_body_is_optional_and_strict(
    web: FlaskClient, failed: str, body: bytes, status: int
) -> None:
    path = f"/v1/messages/{failed}/resend"
    answer = web.post(path, data=body, content_type="application/json")
    assert answer.status_code == status, answer.json


def test_late_failure_does_not_hide_the_resend(
    web: FlaskClient, provider: FakeProvider, failed: str
) -> None:
    resend(web, failed)
    report("failed", provider, error_code="30007")
    assert shown(web, failed)["status"] == "pending"
    assert differences() == []
    sending.deliver()
    report("failed", provider, error_code="30006")
    assert shown(web, failed)["status"] == "queued"
    assert differences() == []


def test_late_delivery_stops_the_resend(
    web: FlaskClient, provider: FakeProvider, failed: str
) -> None:
    resend(web, failed)
    report("delivered", provider)
    sending.deliver()
    assert shown(web, failed)["status"] == "delivered"
    assert len(provider.on_air) == 1
    assert differences() == []


def test_late_sent_leaves_the_resend_pending(
    web: FlaskClient, provider: FakeProvider, failed: str
) -> None:
    resend(web, failed)
    report("sent", provider)
    assert shown(web, failed)["status"] == "pending"
    assert differences() == []


def test_canceled_resend_is_not_sent(web: FlaskClient, provider: FakeProvider, failed: str) -> None:
    resend(web, failed)
    assert web.post(f"/v1/messages/{failed}/cancel").json["status"] == "canceled"
    sending.deliver()
    assert len(provider.on_air) == 1
    assert differences() == []


def test_ledger_shows_the_resend(web: FlaskClient, failed: str) -> None:
    resend(web, failed)
    last = web.get(f"/v1/messages/{failed}/events").json["events"][-1]
    assert (last["provider_status"], last["status"]) == ("resend", "pending")
    assert (last["source"], last["attempt_id"]) == ("client", None)


def test_pending_resend_is_neither_redacted_nor_purged(
    web: FlaskClient, provider: FakeProvider, failed: str, configure: Callable[..., None]
) -> None:
    resend(web, failed)
    configure(redact_after=timedelta(0))
    redact.redact()
    assert not shown(web, failed)["redacted"]
    sending.deliver()
    assert provider.on_air[-1].body == "Hello"
