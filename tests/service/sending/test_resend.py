"""After a resend: routes, rates, doubts, polls, late reports, erasure, and the whole ledger."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from service.components import components
from service.database import db, transaction
from service.domain.report import Source, StatusReport
from service.domain.status import FINAL, ON_AIR, Status
from service.errors import Conflict, NotAccepted, OutcomeUnknown, Refused
from service.models import Attempt, Message, StatusEvent
from service.operations import operator_actions
from service.operations.latency import latencies
from service.operations.overview import read_overview
from service.operations.rebuild import rebuild
from service.operations.timeline import next_step, read_timeline
from service.privacy import erase
from service.providers.base import Outbound, Sender
from service.reconciliation.poll import reconcile, reconcile_due
from service.reconciliation.resolve import resolve
from service.recording import record
from service.recording.effects import Effect
from service.sending import claim, deliver
from service.sending.resend import resend_all, resend_one
from service.sending.resend_refusals import Order, Refusal
from tests.conftest import SINCH, make_settings
from tests.fakes import FakeProvider, said
from tests.messages import Post

NUMBER = "+14155552671"
CLIENT = Order(Source.CLIENT)
CONFIRMED = Order(Source.CLIENT, confirmed=True)


def refuse(outbound: Outbound) -> StatusReport:
    raise Refused("refused", "21211")


def fall_silent(outbound: Outbound) -> StatusReport:
    raise OutcomeUnknown("timed out")


@pytest.fixture
def failed(post: Post, provider: FakeProvider) -> Callable[..., UUID]:
    """Post a message that the provider accepts and then fails to send."""

    def make(**changes: Any) -> UUID:
        message_id = post(**changes)
        deliver.deliver()
        attempt_id = provider.on_air[-1].attempt_id
        sid = provider.sid(attempt_id)
        record.record([said("failed", attempt_id=attempt_id, sid=sid, error_code="30008")])
        return message_id

    return make


def message(message_id: UUID) -> Message:
    db.session.rollback()
    return db.session.get_one(Message, message_id, populate_existing=True)


def change(**columns: Any) -> None:
    with transaction():
        db.session.execute(update(Message).values(columns))


def differences() -> list[Any]:
    db.session.rollback()
    return list(rebuild())


def words(message_id: UUID) -> list[str]:
    query = select(StatusEvent.word).where(StatusEvent.message_id == message_id)
    return list(db.session.scalars(query.order_by(StatusEvent.id)))


def statuses(message_id: UUID) -> set[Status | None]:
    query = select(StatusEvent.status).where(StatusEvent.message_id == message_id)
    return set(db.session.scalars(query))


# Routes


@pytest.fixture
def sinch(context: Flask, monkeypatch: pytest.MonkeyPatch) -> FakeProvider:
    """A second provider; routes prefer it to Twilio."""
    other = FakeProvider(name="sinch")
    monkeypatch.setattr(other, "default_sender", lambda: Sender("+447700900001"))
    bound = context.extensions["waybill"]
    made = make_settings(
        "sqlite:///unused.db", "redis://unused", **SINCH, SMS_ROUTES="*:sinch>twilio"
    )
    routes = made.sms_routes
    changed = replace(
        bound,
        providers={**bound.providers, "sinch": other},
        settings=bound.settings.model_copy(update={"sms_routes": routes}),
    )
    monkeypatch.setitem(context.extensions, "waybill", changed)
    return other


def test_message_goes_by_the_first_provider_of_its_route(
    failed: Callable[..., UUID], provider: FakeProvider, sinch: FakeProvider
) -> None:
    message_id = failed()
    resend_one(message_id, CLIENT)
    deliver.deliver()
    assert (message(message_id).provider, message(message_id).sender) == ("sinch", "+447700900001")
    assert [outbound.body for outbound in sinch.on_air] == ["Hello"]
    assert differences() == []


@pytest.mark.parametrize(
    "fixed", [{"provider_fixed": True}, {"sender_fixed": True, "sender": "+15005550006"}]
)
def test_message_keeps_the_provider_and_sender_that_its_client_named(
    failed: Callable[..., UUID], sinch: FakeProvider, provider: FakeProvider, fixed: dict[str, Any]
) -> None:
    message_id = failed(**fixed)
    resend_one(message_id, CLIENT)
    deliver.deliver()
    assert (message(message_id).provider, message(message_id).sender) == ("twilio", "+15005550006")
    assert (len(provider.on_air), sinch.on_air) == (2, [])


# Deadlines, rates and tries


def test_resend_forgets_the_tries_before(failed: Callable[..., UUID]) -> None:
    message_id = failed()
    change(tries=9, tried_since=datetime.now(UTC) - timedelta(hours=3))
    resend_one(message_id, CLIENT)
    assert (message(message_id).tries, message(message_id).tried_since) == (0, None)


def test_resend_that_is_not_accepted_is_tried_again(
    failed: Callable[..., UUID], provider: FakeProvider
) -> None:
    message_id = failed()
    resend_one(message_id, CLIENT)

    def busy(outbound: Outbound) -> StatusReport:
        raise NotAccepted("busy", "20429")

    provider.script = busy
    deliver.deliver()
    assert message(message_id).status is Status.PENDING
    assert differences() == []
    provider.script = None
    change(due_at=datetime.now(UTC))
    deliver.deliver()
    assert message(message_id).status is Status.QUEUED
    assert differences() == []


def test_resend_takes_its_turn_behind_its_sender_as_a_new_message(
    failed: Callable[..., UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = failed()
    requests = list[Any]()

    def note(batch: list[Any]) -> list[float]:
        requests.extend(batch)
        return [0.0] * len(batch)

    monkeypatch.setattr(components().sender_rates, "delays", note)
    resend_one(message_id, CLIENT)
    deliver.deliver()
    assert [request.rescheduled for request in requests] == [False]


def test_message_with_a_later_send_time_waits_for_it(failed: Callable[..., UUID]) -> None:
    message_id = failed()
    send_at = datetime.now(UTC) + timedelta(hours=2)
    change(send_at=send_at)
    resend_one(message_id, CLIENT)
    deliver.deliver()
    waiting = message(message_id)
    assert (waiting.status, waiting.due_at) == (Status.PENDING, send_at)
    assert waiting.expires_at is not None
    assert waiting.expires_at > send_at


# Reconciliation


def test_resend_in_doubt_is_looked_up_by_its_own_attempt(
    failed: Callable[..., UUID], provider: FakeProvider
) -> None:
    message_id = failed()
    resend_one(message_id, CLIENT)

    def lose_answer(outbound: Outbound) -> StatusReport:
        provider.take(outbound)
        raise OutcomeUnknown("timed out")

    provider.script = lose_answer
    deliver.deliver()
    assert message(message_id).status is Status.IN_DOUBT
    assert differences() == []
    change(check_at=datetime.now(UTC))
    assert reconcile_due() == 1
    shown = message(message_id)
    assert (shown.status, shown.provider_sid) == (
        Status.SENT,
        provider.sid(provider.on_air[1].attempt_id),
    )
    assert differences() == []


def test_resend_that_no_look_up_finds_fails_as_unknown(
    failed: Callable[..., UUID], provider: FakeProvider
) -> None:
    message_id = failed()
    resend_one(message_id, CLIENT)
    provider.script = fall_silent
    deliver.deliver()
    for _ in range(components().settings.doubt_lookups):
        change(check_at=datetime.now(UTC))
        reconcile([message_id])
    shown = message(message_id)
    assert (shown.status, shown.error_code) == (Status.FAILED, "waybill_outcome_unknown")
    assert differences() == []
    assert resend_all([message_id], CLIENT) == {message_id: Refusal.UNKNOWN}
    assert resend_all([message_id], CONFIRMED) == {message_id: None}


def test_resend_in_doubt_may_be_sent_again_as_its_client_wants(
    failed: Callable[..., UUID], provider: FakeProvider
) -> None:
    """The SID of the attempt before does not count, nor do earlier attempts."""
    message_id = failed(resend_if_unknown=True)
    change(attempts=19)
    with transaction():
        db.session.execute(update(Attempt).values(number=19))
    resend_one(message_id, CLIENT)
    provider.script = fall_silent
    deliver.deliver()
    provider.script = None
    for _ in range(components().settings.doubt_lookups):
        change(check_at=datetime.now(UTC))
        reconcile([message_id])
    assert message(message_id).status is Status.PENDING
    deliver.deliver()
    assert len(provider.on_air) == 2


def test_operator_sends_a_resend_in_doubt_again(
    failed: Callable[..., UUID], provider: FakeProvider
) -> None:
    message_id = failed()
    resend_one(message_id, CLIENT)
    provider.script = fall_silent
    deliver.deliver()
    provider.script = None
    operator_actions.send_again(message_id, "ada")
    deliver.deliver()
    assert (message(message_id).status, len(provider.on_air)) == (Status.QUEUED, 2)


def test_sid_of_the_attempt_before_does_not_resolve_a_resend(
    failed: Callable[..., UUID], provider: FakeProvider
) -> None:
    message_id = failed()
    resend_one(message_id, CLIENT)
    provider.script = fall_silent
    deliver.deliver()
    provider.answer = lambda attempt_id, sid: said("sent", attempt_id=attempt_id, sid=sid)
    with pytest.raises(Conflict):
        resolve(message_id, provider.sid(provider.on_air[0].attempt_id))
    assert message(message_id).status is Status.IN_DOUBT


def test_pending_resend_is_not_polled(failed: Callable[..., UUID], provider: FakeProvider) -> None:
    """The provider's status of the attempt before says nothing about the resend."""
    message_id = failed()
    resend_one(message_id, CLIENT)
    polled = list[str]()

    def note(attempt_id: UUID, sid: str) -> StatusReport:
        polled.append(sid)
        return said("failed", attempt_id=attempt_id, sid=sid)

    provider.answer = note
    reconcile([message_id], force=True)
    assert (polled, message(message_id).status) == ([], Status.PENDING)
    deliver.deliver()
    reconcile([message_id], force=True)
    assert polled == [provider.sid(provider.on_air[1].attempt_id)]


# Reports of attempts before and after the resend


def test_late_failure_of_the_attempt_before_counts_as_late(
    failed: Callable[..., UUID], provider: FakeProvider
) -> None:
    message_id = failed()
    resend_one(message_id, CLIENT)
    late = said("failed", attempt_id=provider.on_air[0].attempt_id, error_code="30001")
    assert record.record([late]).effects == [Effect.LATE]


def test_delivery_of_the_attempt_before_outranks_a_failed_resend(
    failed: Callable[..., UUID], provider: FakeProvider
) -> None:
    message_id = failed()
    resend_one(message_id, CLIENT)
    provider.script = refuse
    deliver.deliver()
    assert message(message_id).status is Status.FAILED
    first = provider.on_air[0].attempt_id
    record.record([said("delivered", attempt_id=first, sid=provider.sid(first))])
    shown = message(message_id)
    assert (shown.status, shown.provider_sid) == (Status.DELIVERED, provider.sid(first))
    assert differences() == []


LATE_WORDS = ("failed", "queued", "sent", "sending", "undelivered", "delivered", "canceled")


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_row_equals_its_ledger_in_every_order_of_reports_and_resends(
    data: st.DataObject, context: Flask, post: Post, provider: FakeProvider
) -> None:
    """Steps that a message can take, in any order: the ledger gives the row each time."""
    provider.script, provider.on_air = None, []
    message_id = post()
    resent = 0
    for _ in range(data.draw(st.integers(1, 12))):
        step = data.draw(st.sampled_from(["send", "refuse", "silence", "report", "resend", "end"]))
        if step in ("send", "refuse", "silence"):
            scripts = {"send": None, "refuse": refuse, "silence": fall_silent}
            provider.script = scripts[step]
            deliver.deliver()
        elif step == "report" and provider.on_air:
            attempt_id = data.draw(st.sampled_from(provider.on_air)).attempt_id
            word = data.draw(st.sampled_from(LATE_WORDS))
            record.record([said(word, attempt_id=attempt_id, sid=provider.sid(attempt_id))])
        elif step == "resend":
            before = message(message_id).status
            transmitted = bool(statuses(message_id) & ON_AIR)
            refusal = resend_all([message_id], CONFIRMED)[message_id]
            resent += refusal is None
            may = before in (Status.FAILED, Status.EXPIRED) and not transmitted
            assert (refusal is None) == may
        elif step == "end":
            change(expires_at=datetime.now(UTC) - timedelta(seconds=1))
            deliver.deliver()
        shown = message(message_id)
        assert (shown.final_at is not None) == (shown.status in FINAL)
        assert (shown.due_at is not None) == (shown.status is Status.PENDING)
        assert differences() == []
    assert words(message_id).count("resend") == resent


def test_two_operators_send_a_message_again_once(
    failed: Callable[..., UUID], context: Flask, provider: FakeProvider
) -> None:
    message_id = failed()

    def again(_: int) -> Refusal | None:
        with context.app_context():
            return resend_all([message_id], CLIENT)[message_id]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(again, range(4)))
    assert results.count(None) == 1
    deliver.deliver()
    assert len(provider.on_air) == 2


# What else reads a message


def test_erasure_waits_for_the_end_of_a_resend(
    failed: Callable[..., UUID], provider: FakeProvider
) -> None:
    message_id = failed()
    resend_one(message_id, CLIENT)
    erased = erase.erase_number(NUMBER)
    assert erased.under_way == [(message_id, Status.PENDING)]
    provider.script = refuse
    deliver.deliver()
    assert resend_all([message_id], CLIENT) == {message_id: Refusal.REDACTED}
    erase.erase_number(NUMBER)
    assert message(message_id).to.startswith("forgotten:")
    assert differences() == []


def test_time_to_delivery_begins_with_the_resend(
    failed: Callable[..., UUID], provider: FakeProvider
) -> None:
    message_id = failed()
    change(created_at=datetime.now(UTC) - timedelta(hours=3))
    resend_one(message_id, CLIENT)
    deliver.deliver()
    second = provider.on_air[1].attempt_id
    record.record([said("delivered", attempt_id=second, source=Source.CALLBACK)])
    measured = latencies(datetime.now(UTC)).delivery
    assert measured is not None
    assert measured.p99 < 60


def test_time_to_the_send_begins_with_the_resend(
    failed: Callable[..., UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = failed()
    change(created_at=datetime.now(UTC) - timedelta(hours=3))
    resend_one(message_id, CLIENT)
    [claimed] = claim.claim(1)
    assert datetime.now(UTC) - deliver._due_since(claimed.message) < timedelta(minutes=1)


def test_minute_counts_a_resend_as_pending(failed: Callable[..., UUID]) -> None:
    message_id = failed()
    resend_one(message_id, CLIENT)
    figures = read_overview().database
    assert figures is not None
    rows = [row for minute in figures.messages for row in minute.counts or ()]
    assert [(row.status, row.error_code, row.number) for row in rows] == [("pending", None, 1)]


def test_timeline_shows_the_resend_and_what_follows(failed: Callable[..., UUID]) -> None:
    message_id = failed()
    resend_one(message_id, CLIENT)
    timeline = read_timeline(message_id)
    assert timeline.entries[-1].event is not None
    assert timeline.entries[-1].event.word == "resend"
    assert "a send worker claims it" in next_step(timeline.message)
