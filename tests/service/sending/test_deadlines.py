"""Deadlines: every message has one, and it is the only limit of retries."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from service.database import db
from service.domain.deadline import LEAST_TIME_LEFT
from service.domain.status import Status
from service.errors import NotAccepted, OutcomeUnknown
from service.models import Attempt
from service.reconciliation import poll
from service.recording import record
from service.sending import claim as claiming
from service.sending import deliver, expiry
from tests.fakes import FakeProvider, said
from tests.messages import Post
from tests.service.sending.conftest import (
    SecondProvider,
    attempts,
    deliver_later,
    failing,
    later,
    message,
    set_deadline,
)

BUSY = NotAccepted("too many requests", "20429")
HOUR = timedelta(hours=1)
SERVICE = {"sender": None, "messaging_service_sid": "MG" + "0" * 32}
TOMORROW = datetime.now(UTC) + timedelta(days=1)


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({}, 14_400),
        ({"validity_period": 60}, 60),
        ({"expires_at": TOMORROW}, None),
        ({"provider": "sandbox"}, 15),
    ],
    ids=["default", "period", "time", "sandbox"],
)
def test_message_has_a_deadline(post: Post, fields: dict[str, Any], seconds: int | None) -> None:
    shown = message(post(**fields))
    if seconds is None:
        assert shown.expires_at == TOMORROW
    else:
        assert shown.expires_at == shown.created_at + timedelta(seconds=seconds)


def test_default_deadline_counts_from_send_at(post: Post) -> None:
    shown = message(post(send_at=TOMORROW))
    assert shown.expires_at == TOMORROW + 4 * HOUR


def test_scheduled_message_is_valid_from_its_send_time(post: Post, provider: FakeProvider) -> None:
    """The provider counts from then: what is left now would be too long."""
    post(**SERVICE, send_at=datetime.now(UTC) + HOUR, validity_period=600)
    deliver.deliver()
    [sent] = provider.on_air
    assert sent.send_at is not None
    assert sent.validity_period == 600


@pytest.mark.slow
def test_attempts_without_effect_use_up_no_number(post: Post, provider: FakeProvider) -> None:
    provider.script = failing(BUSY)
    message_id = post()
    for _ in range(64):  # more than an outcome has bits
        deliver_later(61)
    provider.script = None
    deliver_later(61)
    shown = message(message_id)
    assert (shown.status, shown.attempts, shown.outcome_attempt) == (Status.QUEUED, 1, 1)
    assert attempts(message_id)[-2:] == [(-64, "twilio", "not_accepted"), (1, "twilio", "accepted")]
    attempt = db.session.scalars(select(Attempt).where(Attempt.number == 1)).one()
    record.record([said("undelivered", attempt_id=attempt.id)])
    assert message(message_id).failed_in == 2


def test_number_of_an_unknown_attempt_is_not_used_again(post: Post, provider: FakeProvider) -> None:
    provider.script = failing(BUSY)
    message_id = post(resend_if_unknown=True)
    deliver.deliver()
    provider.script = failing(OutcomeUnknown("no answer"))
    deliver_later(2)
    for _ in range(10):
        poll.reconcile([message_id], force=True)
    provider.script = failing(BUSY)
    deliver_later(0)
    provider.script = None
    deliver_later(5)
    assert [number for number, _, _ in attempts(message_id)] == [-1, 1, -2, 2]
    assert message(message_id).status is Status.QUEUED


def test_no_retry_is_due_after_the_deadline(post: Post, provider: FakeProvider) -> None:
    provider.script = failing(NotAccepted("too many requests", "20429", retry_after=3600))
    message_id = post(validity_period=60)
    deliver.deliver()
    shown = message(message_id)
    assert shown.expires_at is not None
    assert shown.due_at == shown.expires_at - LEAST_TIME_LEFT
    later(60)
    deliver.deliver()
    assert message(message_id).status is Status.EXPIRED
    assert len(attempts(message_id)) == 1


def test_retry_due_at_the_deadline_does_not_begin(post: Post, provider: FakeProvider) -> None:
    """A claim takes messages 0.25 s before they are due: the last call would be too late."""
    provider.script = failing(NotAccepted("too many requests", "20429", retry_after=3600))
    message_id = post(validity_period=60)
    deliver.deliver()
    shown = message(message_id)
    assert shown.expires_at is not None
    later((shown.expires_at - LEAST_TIME_LEFT - datetime.now(UTC)).total_seconds() - 0.2)
    assert claiming.claim(1) == []
    assert message(message_id).status is Status.EXPIRED


def test_expired_message_shows_a_later_transmission(post: Post, provider: FakeProvider) -> None:
    provider.script = failing(BUSY)
    message_id = post()
    deliver.deliver()
    set_deadline(message_id, -1)
    expiry.expire_due()
    assert message(message_id).status is Status.EXPIRED
    [attempt_id] = db.session.scalars(select(Attempt.id)).all()
    record.record([said("queued", attempt_id=attempt_id, sid="SM1")])
    assert message(message_id).status is Status.EXPIRED
    record.record([said("sent", attempt_id=attempt_id, sid="SM1")])
    assert message(message_id).status is Status.SENT


def test_moved_message_keeps_its_deadline(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    provider.script = failing(BUSY)
    message_id = post(validity_period=600)
    before = message(message_id).expires_at
    deliver.deliver()
    deliver_later(31)
    [sent] = second.on_air
    assert sent.validity_period is not None
    assert 560 <= sent.validity_period <= 568
    assert message(message_id).expires_at == (before and before - timedelta(seconds=31))
