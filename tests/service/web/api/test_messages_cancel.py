"""Cancel: what is not yet sent is stopped; what is too late to stop says so."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.domain.report import StatusReport
from service.errors import NotAccepted, OutcomeUnknown, ProviderError, Refused
from service.providers.base import Outbound
from service.recording import record
from service.sending import deliver as sending
from tests.fakes import FakeProvider, said

HELLO = {"to": "+14155552671", "body": "Hello"}
SERVICE = "MG" + "0" * 32


def post(web: FlaskClient, **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = web.post("/v1/messages", json={**HELLO, **fields}).json
    return answer


def cancel(web: FlaskClient, message: dict[str, Any]) -> TestResponse:
    return web.post(f"/v1/messages/{message['id']}/cancel")


def deliver(app: Flask, message: dict[str, Any]) -> None:
    with app.app_context():
        sending.deliver()


@pytest.fixture
def scheduled(web: FlaskClient, app: Flask, provider: FakeProvider) -> dict[str, Any]:
    """A message that the provider holds until its time."""
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    message = post(web, messaging_service_sid=SERVICE, send_at=later)
    deliver(app, message)
    assert web.get(f"/v1/messages/{message['id']}").json["status"] == "scheduled"
    return message


def test_canceled_pending_message_is_never_sent(
    web: FlaskClient, app: Flask, provider: FakeProvider
) -> None:
    message = post(web)
    canceled = cancel(web, message)
    deliver(app, message)
    assert canceled.status_code == 200
    assert (canceled.json["status"], canceled.json["final"]) == ("canceled", True)
    assert canceled.json["final_at"] is not None
    assert provider.on_air == []
    assert web.get(f"/v1/messages/{message['id']}").json == canceled.json


def test_scheduled_message_is_canceled(web: FlaskClient) -> None:
    message = post(web, send_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    assert cancel(web, message).json["status"] == "canceled"


def test_cancellation_is_in_the_ledger(web: FlaskClient) -> None:
    message = post(web)
    cancel(web, message)
    [event] = web.get(f"/v1/messages/{message['id']}/events").json["events"]
    assert (event["source"], event["status"], event["attempt_id"]) == ("client", "canceled", None)


def test_cancel_is_idempotent(web: FlaskClient) -> None:
    message = post(web)
    first, second = cancel(web, message), cancel(web, message)
    assert (second.status_code, second.json) == (200, first.json)


def test_message_held_by_provider_is_canceled_there(
    web: FlaskClient, provider: FakeProvider, scheduled: dict[str, Any]
) -> None:
    canceled = cancel(web, scheduled)
    assert canceled.status_code == 200
    assert canceled.json["status"] == "canceled"
    assert cancel(web, scheduled).json == canceled.json


def test_cancel_uses_the_provider_sid(
    web: FlaskClient,
    provider: FakeProvider,
    scheduled: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[tuple[UUID, str]] = []

    def note(attempt_id: UUID, provider_sid: str) -> StatusReport:
        calls.append((attempt_id, provider_sid))
        return said("canceled", attempt_id=attempt_id, sid=provider_sid)

    monkeypatch.setattr(provider, "cancel", note)
    cancel(web, scheduled)
    attempt_id = provider.on_air[0].attempt_id
    assert calls == [(attempt_id, provider.sid(attempt_id))]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Refused("the message was sent", "30409"), 409),
        (NotAccepted("connection refused"), 503),
        (OutcomeUnknown("timed out"), 503),
    ],
    ids=["refused", "not accepted", "unknown"],
)
def test_refused_cancellation_leaves_the_status(
    web: FlaskClient,
    provider: FakeProvider,
    scheduled: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    error: ProviderError,
    status: int,
) -> None:
    def fail(attempt_id: UUID, provider_sid: str) -> StatusReport:
        raise error

    monkeypatch.setattr(provider, "cancel", fail)
    refused = cancel(web, scheduled)
    assert refused.status_code == status
    assert refused.content_type == "application/problem+json"
    assert web.get(f"/v1/messages/{scheduled['id']}").json["status"] == "scheduled"


@pytest.mark.parametrize("word", ["queued", "sent", "delivered", "undelivered", "failed", "read"])
def test_sent_message_cannot_be_canceled(
    web: FlaskClient, app: Flask, provider: FakeProvider, word: str
) -> None:
    message = post(web)
    deliver(app, message)
    with app.app_context():
        record.record([said(word, attempt_id=provider.on_air[0].attempt_id)])
    refused = cancel(web, message)
    assert refused.status_code == 409
    assert word in refused.json["detail"]
    assert web.get(f"/v1/messages/{message['id']}").json["status"] == word


def test_submitting_message_cannot_be_canceled(
    web: FlaskClient, app: Flask, provider: FakeProvider
) -> None:
    message = post(web)
    answers: list[int] = []

    def meanwhile(outbound: Outbound) -> StatusReport:
        answers.append(cancel(web, message).status_code)
        return provider.take(outbound)

    provider.script = meanwhile
    deliver(app, message)
    assert answers == [409]
    assert web.get(f"/v1/messages/{message['id']}").json["status"] == "queued"


def test_message_in_doubt_cannot_be_canceled(
    web: FlaskClient, app: Flask, provider: FakeProvider
) -> None:
    def fall_silent(outbound: Outbound) -> StatusReport:
        raise OutcomeUnknown("timed out")

    provider.script = fall_silent
    message = post(web)
    deliver(app, message)
    assert cancel(web, message).status_code == 409
    assert web.get(f"/v1/messages/{message['id']}").json["status"] == "in_doubt"
