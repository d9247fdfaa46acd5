"""Messages of a blocked scope wait, cost nothing while they do, and go on when it is released."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from service.database import db, transaction
from service.domain.scope import HoldKind, Scope
from service.domain.status import Status
from service.errors import Blocked, NotAccepted, Refused
from service.models import Attempt, Hold, OptOut
from service.privacy.erase import erase_number
from service.privacy.redact import erase_marked
from service.queries import backlog
from service.queries import holds as hold_queries
from service.recording import record
from service.sending import cancel, deliver, expiry
from service.sending import claim as claiming
from tests.fakes import FakeProvider, said
from tests.messages import Post
from tests.service.sending.conftest import (
    SecondProvider,
    attempts,
    deliver_later,
    failing,
    holds,
    later,
    message,
    postpone_probes,
    set_deadline,
)

SUSPENDED = Blocked("not active", "20005")


@pytest.fixture
def parked(post: Post, provider: FakeProvider) -> UUID:
    """A message that waits for its blocked account."""
    provider.script = failing(SUSPENDED)
    message_id = post()
    deliver.deliver()
    return message_id


def end(hold: Hold) -> None:
    with transaction():
        hold_queries.end([hold.id], datetime.now(UTC))


def test_message_of_a_blocked_account_waits_until_its_deadline(parked: UUID) -> None:
    shown, [hold] = message(parked), holds()
    assert (shown.status, shown.attempts, shown.hold_id) == (Status.PENDING, 0, hold.id)
    assert shown.due_at == shown.expires_at
    assert (shown.claimed_until, shown.check_at, shown.submitted_at) == (None, None, None)
    assert (hold.kind, hold.scope, hold.code) == (HoldKind.BLOCKED, Scope.ACCOUNT, "20005")
    assert attempts(parked) == [(-1, "twilio", "blocked")]


def test_later_messages_of_a_blocked_account_wait_without_an_attempt(
    parked: UUID, post: Post
) -> None:
    postpone_probes()
    ids = [post() for _ in range(20)]
    deliver.deliver()
    assert {message(message_id).hold_id for message_id in ids} == {holds()[0].id}
    assert [attempts(message_id) for message_id in ids] == [[]] * 20


def test_one_message_probes_a_blocked_account(
    parked: UUID, post: Post, provider: FakeProvider
) -> None:
    """With each failed probe the pause doubles; the last one is never overwritten."""
    for _ in range(5):
        post()
    deliver.deliver()
    calls = list[int]()
    for seconds in (2, 4, 8, 16):
        before = _calls()
        deliver_later(seconds + 0.5)
        deliver.deliver()
        calls.append(_calls() - before)
        [hold] = holds()
        assert hold.probe_at is not None
        pause = (hold.probe_at - datetime.now(UTC)).total_seconds()
        assert seconds / 2 < pause <= seconds
    assert calls == [1, 1, 1, 1]


def _calls() -> int:
    return sum(hold.probes for hold in holds())


def test_accepted_probe_releases_all_messages(
    parked: UUID, post: Post, provider: FakeProvider
) -> None:
    for _ in range(5):
        post()
    deliver.deliver()
    provider.script = None
    deliver_later(5)
    deliver.deliver()
    assert len(provider.on_air) == 6
    [hold] = holds()
    assert hold.ended_at is not None


def test_refused_probe_keeps_the_hold(parked: UUID, post: Post, provider: FakeProvider) -> None:
    """Whether the provider checks the account or the number first is not known."""
    post()
    deliver.deliver()
    provider.script = failing(Refused("not a number", "21211"))
    deliver_later(5)
    assert [hold.ended_at for hold in holds()] == [None]


def test_message_of_another_account_is_not_delayed(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    provider.script = failing(SUSPENDED)
    for _ in range(200):
        post(provider_fixed=True)
    deliver.deliver()
    other = post(provider="sinch", provider_fixed=True)
    deliver.deliver()
    assert message(other).status is Status.QUEUED


def test_ended_hold_is_released_when_its_messages_are_due(
    parked: UUID, provider: FakeProvider
) -> None:
    provider.script = None
    end(holds()[0])
    deliver.deliver()
    assert holds()[0].released_at is not None
    assert message(parked).status is Status.QUEUED


def test_parked_message_expires_without_a_send_worker(parked: UUID) -> None:
    set_deadline(parked, -1)
    assert expiry.expire_due() == 1
    shown = message(parked)
    assert (shown.status, shown.hold_id, shown.due_at) == (Status.EXPIRED, None, None)


def test_parked_message_expires_at_its_claim(parked: UUID, provider: FakeProvider) -> None:
    later(4 * 3600)
    deliver.deliver()
    assert message(parked).status is Status.EXPIRED
    assert provider.on_air == []


def test_claim_shortly_before_the_deadline_does_not_repeat(
    parked: UUID, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim takes messages 0.25 s before they are due: it must not park one again and again."""
    shown = message(parked)
    assert shown.expires_at is not None
    later((shown.expires_at - datetime.now(UTC)).total_seconds() - 0.2)
    postpone_probes()
    rounds, claim_round = list[int](), claiming._claim_round

    def counted(limit: int, batch: int) -> object:
        rounds.append(batch)
        return claim_round(limit, batch)

    monkeypatch.setattr(claiming, "_claim_round", counted)
    claiming.claim(10)
    assert len(rounds) <= 2
    assert message(parked).status is Status.EXPIRED


def test_large_parked_backlog_does_not_hide_others(
    parked: UUID, post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    """Rounds that only park messages grow, and what is too much for a round keeps its turn."""
    postpone_probes()
    for _ in range(100):
        post(provider_fixed=True)
    others = [post(provider="sinch", provider_fixed=True) for _ in range(6)]
    claims = claiming.claim(4)
    assert [claim.message.id for claim in claims] == others[:4]
    waiting = message(others[4])
    assert (waiting.status, waiting.attempts) == (Status.PENDING, 0)
    assert [claim.message.id for claim in claiming.claim(4)] == others[4:]


def test_parked_message_can_be_canceled(parked: UUID, provider: FakeProvider) -> None:
    cancel.cancel(message(parked).client_id, parked)
    provider.script = None
    end(holds()[0])
    deliver.deliver()
    shown = message(parked)
    assert (shown.status, shown.hold_id, shown.due_at) == (Status.CANCELED, None, None)
    assert provider.on_air == []


def test_opt_out_while_parked_stops_the_message(
    parked: UUID, post: Post, provider: FakeProvider
) -> None:
    postpone_probes()
    waiting = post()
    deliver.deliver()
    assert message(waiting).hold_id is not None
    with transaction():
        opt_out = OptOut(
            to="+14155552671",
            sender="+15005550006",
            provider="twilio",
            error_code="21610",
            since=datetime.now(UTC),
        )
        db.session.add(opt_out)
    end(holds()[0])
    deliver.deliver()
    assert message(parked).error_code == "21610"
    provider.script = None
    deliver.deliver()
    assert message(waiting).error_code == "21610"
    assert provider.on_air == []


def test_number_of_a_parked_message_is_erased_after_its_end(
    parked: UUID, provider: FakeProvider
) -> None:
    erase_number("+14155552671")
    provider.script = None
    end(holds()[0])
    deliver.deliver()
    [sent] = provider.on_air
    assert sent.to == "+14155552671"
    record.record([said("delivered", attempt_id=sent.attempt_id)])
    erase_marked()
    assert "4155552671" not in message(parked).to


def test_parked_messages_are_not_counted_as_due(parked: UUID, context: Flask) -> None:
    assert backlog.measure(datetime.now(UTC)).due.size == 0


def test_report_ends_the_wait_of_a_parked_message(parked: UUID) -> None:
    """The refusal was wrong: a callback of the attempt says that the message was sent."""
    [attempt] = db.session.scalars(select(Attempt)).all()
    record.record([said("sent", attempt_id=attempt.id, sid="SM1")])
    shown = message(parked)
    assert (shown.status, shown.hold_id, shown.due_at) == (Status.SENT, None, None)


def test_many_parked_messages_are_released_in_steps(
    parked: UUID, post: Post, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.holds.release._BATCH", 2)
    for _ in range(6):
        post()
    deliver.deliver()
    provider.script = None
    end(holds()[0])
    deliver.deliver()
    assert len(provider.on_air) == 7


def test_suspected_sender_holds_after_three_messages(post: Post, provider: FakeProvider) -> None:
    provider.script = failing(Blocked("not able to send", "21606", scope=Scope.SENDER))
    for _ in range(2):
        post()
    deliver.deliver()
    assert [hold.kind for hold in holds()] == [HoldKind.SUSPECTED]
    deliver_later(2)
    assert [hold.kind for hold in holds()] == [HoldKind.SUSPECTED]
    post()
    deliver.deliver()
    assert [hold.kind for hold in holds() if hold.ended_at is None] == [HoldKind.BLOCKED]


def test_pause_comes_before_the_probe_of_a_block(
    parked: UUID, post: Post, provider: FakeProvider
) -> None:
    """A message that must wait for both uses up no probe."""
    with transaction():
        key = (Scope.PROVIDER.value, "twilio", "", "")
        hold_queries.open_hold(key, HoldKind.PAUSED, None, "maintenance", datetime.now(UTC))
    probes = holds()[0].probes
    post()
    deliver_later(5)
    deliver.deliver()
    assert holds()[0].probes == probes
    assert provider.on_air == []


def test_time_in_a_hold_is_no_time_without_acceptance(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    """After the hold the first provider sends the message: it has just recovered."""
    with transaction():
        key = (Scope.PROVIDER.value, "sinch", "", "")
        hold_queries.open_hold(key, HoldKind.PAUSED, None, "maintenance", datetime.now(UTC))
    provider.script = failing(SUSPENDED)
    message_id = post()
    deliver.deliver()
    assert message(message_id).hold_id is not None
    provider.script = None
    later(600)
    for _ in range(2):
        end(next(hold for hold in holds() if hold.ended_at is None))
    deliver.deliver()
    assert attempts(message_id)[-1] == (1, "twilio", "accepted")


def test_busy_probe_keeps_the_hold(parked: UUID, provider: FakeProvider) -> None:
    provider.script = failing(NotAccepted("too many", "20429"))
    deliver_later(5)
    deliver_later(timedelta(minutes=1).total_seconds())
    assert message(parked).status is Status.PENDING
    assert [hold.ended_at for hold in holds() if hold.kind == HoldKind.BLOCKED] == [None]
