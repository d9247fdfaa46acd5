"""A message past its validity period is never sent: its client reads `expired`, and why.

The waits are real: a call must begin two seconds before the deadline of three. A slow machine makes
them no shorter.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, update

from service.database import db, transaction
from service.domain.report import StatusReport
from service.errors import NotAccepted, OutcomeUnknown
from service.models import Attempt, Message
from service.operations import operator_actions
from service.providers.base import Outbound
from service.reconciliation import poll
from service.recording import record
from service.sending import claim as claiming
from service.sending import deliver, expiry
from tests.fakes import FakeProvider, said

HELLO = {"to": "+14155552671", "body": "Your code is 123456", "validity_period": 3}
OVER = 1.05


def post(web: FlaskClient, **fields: Any) -> str:
    answer = web.post("/v1/messages", json={**HELLO, **fields})
    assert answer.status_code == 202, answer.json
    return str(answer.json["id"])


def read(web: FlaskClient, message_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = web.get(f"/v1/messages/{message_id}").json
    return answer


def shown(web: FlaskClient, message_id: str) -> tuple[str, str | None]:
    message = read(web, message_id)
    return message["status"], message["error"] and message["error"]["code"]


def not_taken(outbound: Outbound) -> StatusReport:
    raise NotAccepted("busy", "20429")


def lost(outbound: Outbound) -> StatusReport:
    raise OutcomeUnknown("no answer")


def give_time(message_id: str, seconds: float) -> None:
    """Move the deadline, where no wait could be long enough."""
    with transaction():
        expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
        condition = Message.id == UUID(message_id)
        db.session.execute(update(Message).where(condition).values(expires_at=expires_at))


def test_late_message_is_expired_and_never_sent(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    message_id = post(web)
    time.sleep(OVER)
    deliver.deliver()

    message = read(web, message_id)
    assert (message["status"], message["final"]) == ("expired", True)
    assert message["error"]["code"] == "waybill_expired"
    assert message["error"]["retryable"] is True
    assert "validity period" in message["error"]["explanation"]
    assert (message["submitted_at"], message["provider_sid"]) == (None, None)
    assert message["final_at"] is not None
    assert provider.on_air == []
    listed = web.get("/v1/messages?status=expired").json["messages"]
    assert [message["id"] for message in listed] == [message_id]
    [event] = web.get(f"/v1/messages/{message_id}/events").json["events"]
    assert (event["status"], event["attempt_id"]) == ("expired", None)


def test_provider_gets_the_remaining_validity(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    post(web, validity_period=600)
    time.sleep(OVER)
    deliver.deliver()

    [sent] = provider.on_air
    assert sent.validity_period is not None
    assert 60 < sent.validity_period <= 598


@pytest.mark.parametrize("left", [1.9, 2.5, 30.5])
def test_call_may_take_a_second_before_the_provider_counts(
    web: FlaskClient, context: Flask, provider: FakeProvider, left: float
) -> None:
    give_time(post(web), left)
    deliver.deliver()

    assert len(provider.on_air) <= 1 if left == 2.5 else len(provider.on_air) == (left > 2)
    assert all(sent.validity_period + 1 <= left for sent in provider.on_air if sent.validity_period)


def test_message_without_a_validity_period_expires_after_four_hours(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    post(web, validity_period=None)
    time.sleep(OVER)
    deliver.deliver()

    [sent] = provider.on_air
    assert sent.validity_period is not None
    assert 14_300 < sent.validity_period < 14_400


def test_sweep_expires_messages_without_a_send_worker(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    expired, waiting = post(web), post(web, validity_period=600)
    time.sleep(OVER)
    assert expiry.expire_due() == 1
    assert expiry.expire_due() == 0

    assert shown(web, expired) == ("expired", "waybill_expired")
    assert shown(web, waiting) == ("pending", None)


def test_many_late_messages_do_not_delay_others(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    batch = [HELLO] * 30 + [{**HELLO, "body": "in time", "validity_period": 600}]
    assert web.post("/v1/messages/batch", json={"messages": batch}).status_code == 202
    time.sleep(OVER)
    deliver.deliver()

    assert [sent.body for sent in provider.on_air] == ["in time"]


def test_scheduled_message_expires_after_send_at(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    waiting = post(web, send_at=(datetime.now(UTC) + timedelta(seconds=600)).isoformat())
    late = post(web, send_at=(datetime.now(UTC) + timedelta(seconds=0.5)).isoformat())
    time.sleep(0.5 + OVER)
    deliver.deliver()
    expiry.expire_due()

    assert shown(web, waiting) == ("pending", None)
    assert shown(web, late) == ("expired", "waybill_expired")
    assert provider.on_air == []


def test_retry_ends_at_the_deadline(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    provider.script = not_taken
    message_id = post(web)
    deliver.deliver()
    provider.script = None
    with transaction():
        row = db.session.scalars(select(Message)).one()
        assert row.due_at is None or row.due_at <= row.created_at + timedelta(seconds=1)
    time.sleep(OVER)
    deliver.deliver()

    assert shown(web, message_id) == ("expired", "waybill_expired")
    assert provider.on_air == []


def test_claimed_message_is_not_called_after_its_deadline(
    web: FlaskClient, context: Flask, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process slept between claim and call, as a suspended machine does."""
    message_id = post(web)
    claim, naps = deliver.claim, [OVER]

    def slow(limit: int) -> list[claiming.Claim]:
        claims = claim(limit)
        if claims and naps:
            time.sleep(naps.pop())
        return claims

    monkeypatch.setattr(deliver, "claim", slow)
    deliver.deliver()

    assert naps == []
    assert provider.on_air == []
    assert shown(web, message_id) == ("expired", "waybill_expired")


def look_up_to_the_end(message_id: str) -> None:
    for _ in range(10):
        poll.reconcile([UUID(message_id)], force=True)


def test_message_in_doubt_is_not_sent_again_after_its_deadline(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    provider.script = lost
    message_id = post(web, validity_period=600, resend_if_unknown=True)
    deliver.deliver()
    provider.script = None
    give_time(message_id, -1)
    look_up_to_the_end(message_id)
    deliver.deliver()

    assert shown(web, message_id) == ("failed", "waybill_outcome_unknown")
    assert provider.on_air == []


def test_expired_second_attempt_has_unknown_outcome(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    """The first may have arrived: `expired` would say that nothing was sent."""
    provider.script = lost
    message_id = post(web, validity_period=600, resend_if_unknown=True)
    deliver.deliver()
    provider.script = None
    look_up_to_the_end(message_id)
    assert shown(web, message_id) == ("pending", None)
    give_time(message_id, -1)
    deliver.deliver()

    assert shown(web, message_id) == ("failed", "waybill_outcome_unknown")
    assert provider.on_air == []


def test_operator_cannot_send_again_after_the_deadline(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    provider.script = lost
    message_id = post(web, validity_period=600)
    deliver.deliver()
    give_time(message_id, -1)

    with pytest.raises(Exception, match="validity period is over"):
        operator_actions.send_again(UUID(message_id), "ada")


@pytest.mark.parametrize("word", ["sent", "delivered"])
def test_sent_report_outranks_expiry(
    web: FlaskClient, context: Flask, provider: FakeProvider, word: str
) -> None:
    provider.script = not_taken
    message_id = post(web)
    deliver.deliver()
    time.sleep(OVER)
    deliver.deliver()
    assert shown(web, message_id) == ("expired", "waybill_expired")
    attempt = db.session.scalars(select(Attempt)).one()
    record.record([said(word, attempt_id=attempt.id, sid="SM1")])

    assert shown(web, message_id) == (word, None)


def test_expired_message_cannot_be_canceled(
    web: FlaskClient, context: Flask, provider: FakeProvider
) -> None:
    message_id = post(web)
    time.sleep(OVER)
    deliver.deliver()

    answer = web.post(f"/v1/messages/{message_id}/cancel")
    assert answer.status_code == 409
    assert "expired" in answer.json["detail"]
