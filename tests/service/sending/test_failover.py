"""Failover: the next provider of a route takes what the first does not accept, and never twice."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from service.database import db, transaction
from service.domain.scope import HoldKind, Scope
from service.domain.status import Status
from service.errors import Blocked, NoRoute, NotAccepted, OutcomeUnknown, Refused
from service.models import OptOut
from service.providers.base import Sender
from service.queries import holds as hold_queries
from service.reconciliation import poll
from service.sending import deliver
from service.sending.failover import MOVED, NOT_MOVED
from tests.fakes import FakeProvider
from tests.messages import Post
from tests.service.sending.conftest import (
    SecondProvider,
    attempts,
    deliver_later,
    failing,
    holds,
    later,
    message,
    notes,
)

BUSY = NotAccepted("too many requests", "20429")
SUSPENDED = Blocked("not active", "20005")
NOWHERE = NoRoute("no route to this pair", "21612")


def pause(scope: Scope, provider: str) -> None:
    with transaction():
        key = (scope.value, provider, "", "")
        hold_queries.open_hold(key, HoldKind.PAUSED, None, "maintenance", datetime.now(UTC))


def resume(provider: str) -> None:
    with transaction():
        ids = [hold.id for hold in hold_queries.unreleased() if hold.provider == provider]
        hold_queries.end(ids, datetime.now(UTC))


def test_message_moves_when_its_provider_is_blocked(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    provider.script = failing(SUSPENDED)
    message_id = post()
    deliver.deliver()
    shown = message(message_id)
    assert (shown.provider, shown.account, shown.sender) == ("sinch", "default", "+447700900001")
    assert shown.status is Status.QUEUED
    assert [sent.sender for sent in second.on_air] == ["+447700900001"]
    assert attempts(message_id) == [(-1, "twilio", "blocked"), (1, "sinch", "accepted")]
    assert notes(message_id) == [(MOVED, "twilio to sinch: blocked 20005")]


def test_message_moves_when_its_provider_is_paused(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    pause(Scope.PROVIDER, "twilio")
    message_id = post()
    deliver.deliver()
    assert attempts(message_id) == [(1, "sinch", "accepted")]
    assert provider.on_air == []


def test_message_moves_when_its_provider_has_no_route(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    provider.script = failing(NOWHERE)
    message_id = post()
    deliver.deliver()
    assert attempts(message_id) == [(-1, "twilio", "no_route"), (1, "sinch", "accepted")]
    assert notes(message_id) == [(MOVED, "twilio to sinch: no route")]
    assert holds() == []


def test_message_fails_when_no_provider_has_a_route(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    provider.script = second.script = failing(NOWHERE)
    message_id = post()
    deliver.deliver()
    shown = message(message_id)
    assert (shown.status, shown.error_code) == (Status.FAILED, "21612")
    assert attempts(message_id) == [(-1, "twilio", "no_route"), (1, "sinch", "no_route")]


def test_message_without_route_waits_for_a_paused_provider(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    """It goes back to the first provider only when it has to wait for the second one."""
    provider.script = failing(NOWHERE)
    pause(Scope.PROVIDER, "sinch")
    message_id = post()
    deliver.deliver()
    waiting = message(message_id)
    assert (waiting.status, waiting.provider) == (Status.PENDING, "sinch")
    assert waiting.hold_id == holds()[0].id
    assert attempts(message_id) == [(-1, "twilio", "no_route")]
    resume("sinch")
    deliver.deliver()
    assert message(message_id).status is Status.QUEUED
    assert len(second.on_air) == 1


def test_message_without_acceptance_moves_after_a_time(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    provider.script = failing(BUSY)
    message_id = post()
    deliver.deliver()
    deliver_later(20)
    assert message(message_id).provider == "twilio"
    deliver_later(20)
    assert message(message_id).status is Status.QUEUED
    assert attempts(message_id)[-1] == (1, "sinch", "accepted")
    assert notes(message_id) == [(MOVED, "twilio to sinch: not_accepting 20429")]


def test_new_messages_move_while_an_account_accepts_none(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    """One of them is the probe; it moves when the account does not accept it."""
    provider.script = failing(BUSY)
    post(provider_fixed=True)
    deliver.deliver()
    later(31)
    ids = [post() for _ in range(4)]
    deliver.deliver()
    deliver_later(31)
    tries = [attempts(message_id) for message_id in ids]
    assert [entries[-1] for entries in tries] == [(1, "sinch", "accepted")] * 4
    assert sorted(len(entries) for entries in tries) == [1, 1, 1, 2]
    assert len(second.on_air) == 4


def test_accepted_probe_returns_to_the_first_provider(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    provider.script = failing(BUSY)
    post()
    deliver.deliver()
    deliver_later(31)
    provider.script = None
    later(60)  # the next probe is due
    probe, other = post(), post()
    deliver.deliver()
    by = sorted(attempts(message_id)[-1][1] for message_id in (probe, other))
    assert by == ["sinch", "twilio"]
    assert holds() == []
    after = post()
    deliver.deliver()
    assert attempts(after) == [(1, "twilio", "accepted")]


def test_moved_message_returns_when_the_second_is_blocked(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    provider.script = failing(SUSPENDED)
    second.script = failing(BUSY)
    message_id = post()
    deliver.deliver()
    assert message(message_id).provider == "sinch"
    provider.script = None
    second.script = failing(Blocked("no funds", "blocked_account"))
    resume("twilio")
    deliver_later(5)
    assert attempts(message_id)[-1] == (1, "twilio", "accepted")


def test_message_stays_when_no_provider_accepts(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    """Each of the two is tried, and neither gets it back and forth."""
    provider.script = second.script = failing(BUSY)
    message_id = post()
    deliver.deliver()
    for _ in range(12):
        deliver_later(61)
    shown = message(message_id)
    assert (shown.status, shown.attempts) == (Status.PENDING, 0)
    tried = [provider_name for _, provider_name, _ in attempts(message_id)]
    assert {"twilio", "sinch"} == set(tried)
    moves = sum(a != b for a, b in itertools.pairwise(tried))
    assert moves <= 2


def test_message_with_unknown_outcome_never_moves(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    provider.script = failing(OutcomeUnknown("no answer (ReadTimeout)"))
    message_id = post(resend_if_unknown=True)
    other_id = post()
    deliver.deliver()
    provider.script = failing(SUSPENDED)
    for _ in range(10):
        poll.reconcile([message_id], force=True)
    assert message(message_id).status is Status.PENDING
    deliver_later(31)
    deliver_later(31)
    shown = message(message_id)
    assert (shown.status, shown.provider) == (Status.PENDING, "twilio")
    assert shown.hold_id is not None
    assert message(other_id).status is Status.IN_DOUBT
    assert second.on_air == []


def test_hanging_provider_moves_no_message(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    provider.script = failing(OutcomeUnknown("no answer (ReadTimeout)"))
    ids = [post() for _ in range(3)]
    deliver.deliver()
    deliver_later(31)
    ids.append(post())
    deliver.deliver()
    assert {message(message_id).status for message_id in ids} == {Status.IN_DOUBT}
    assert second.on_air == []


@pytest.mark.parametrize("error", [SUSPENDED, BUSY, NOWHERE], ids=["blocked", "busy", "no_route"])
def test_message_that_names_its_provider_stays(
    post: Post, provider: FakeProvider, second: SecondProvider, error: Blocked
) -> None:
    provider.script = failing(error)
    message_id = post(provider_fixed=True)
    deliver.deliver()
    deliver_later(31)
    assert message(message_id).provider == "twilio"
    assert second.on_air == []
    assert notes(message_id) == []


def test_refused_message_is_not_tried_by_another_provider(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    provider.script = failing(Refused("opted out", "21610"))
    message_id = post()
    deliver.deliver()
    assert message(message_id).status is Status.FAILED
    assert second.on_air == []


def test_named_sender_of_another_provider_is_not_moved(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    provider.script = failing(BUSY)
    message_id = post(sender_fixed=True)
    deliver.deliver()
    for _ in range(4):
        deliver_later(61)
    assert message(message_id).provider == "twilio"
    assert notes(message_id) == [(NOT_MOVED, "sinch does not own the sender")]


def test_named_sender_without_route_fails(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    provider.script = failing(NOWHERE)
    message_id = post(sender_fixed=True)
    deliver.deliver()
    assert message(message_id).status is Status.FAILED
    assert attempts(message_id) == [(1, "twilio", "no_route")]


def test_named_sender_of_both_providers_is_kept(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    second.sender = Sender("+15005550006")
    provider.script = failing(SUSPENDED)
    post(sender_fixed=True)
    deliver.deliver()
    assert [sent.sender for sent in second.on_air] == ["+15005550006"]


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        ({"media_urls": ["https://example.com/a.png"]}, {"unsupported": ["media_urls"]}),
        ({"content_sid": "HX1"}, {"unsupported": ["content_sid"]}),
        ({"to": "whatsapp:+14155552671"}, {"unsupported": ["whatsapp"]}),
        ({}, {"sender": None}),
    ],
    ids=["media", "template", "channel", "no default sender"],
)
def test_message_waits_that_no_other_provider_supports(
    post: Post, provider: FakeProvider, second: SecondProvider, fields: dict, changes: dict
) -> None:
    for name, value in changes.items():
        setattr(second, name, value)
    provider.script = failing(SUSPENDED)
    message_id = post(**fields)
    deliver.deliver()
    shown = message(message_id)
    assert (shown.status, shown.provider) == (Status.PENDING, "twilio")
    assert second.on_air == []
    provider.script = None
    resume("twilio")
    deliver.deliver()
    assert message(message_id).status is Status.QUEUED


def test_default_service_is_replaced_by_the_next_sender(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    second.unsupported = ["messaging_service_sid"]
    provider.script = failing(SUSPENDED)
    post(sender=None, messaging_service_sid="MG" + "0" * 32)
    deliver.deliver()
    [sent] = second.on_air
    assert (sent.sender, sent.messaging_service_sid) == ("+447700900001", None)


def test_opt_out_from_the_next_sender_stops_a_move(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    with transaction():
        opt_out = OptOut(
            to="+14155552671",
            sender="+447700900001",
            provider="sinch",
            error_code="opted_out",
            since=datetime.now(UTC),
        )
        db.session.add(opt_out)
    provider.script = failing(SUSPENDED)
    message_id = post()
    deliver.deliver()
    shown = message(message_id)
    assert (shown.status, shown.error_code) == (Status.FAILED, "opted_out")
    assert second.on_air == []


def test_opt_out_from_the_first_sender_is_not_evaded(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    pause(Scope.PROVIDER, "twilio")
    with transaction():
        opt_out = OptOut(
            to="+14155552671",
            sender="+15005550006",
            provider="twilio",
            error_code="21610",
            since=datetime.now(UTC),
        )
        db.session.add(opt_out)
    message_id = post()
    deliver.deliver()
    assert message(message_id).status is Status.FAILED
    assert second.on_air == []


def test_moved_message_is_scheduled_by_the_next_provider(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    """The second provider cannot schedule without a service: Waybill waits in its place."""
    pause(Scope.PROVIDER, "twilio")
    at = datetime.now(UTC) + timedelta(hours=1)
    message_id = post(sender=None, messaging_service_sid="MG" + "0" * 32, send_at=at)
    deliver.deliver()
    shown = message(message_id)
    assert (shown.status, shown.provider, shown.due_at) == (Status.PENDING, "sinch", at)
    assert second.on_air == []


def test_repeated_request_finds_a_moved_message(
    post: Post, provider: FakeProvider, second: SecondProvider
) -> None:
    provider.script = failing(SUSPENDED)
    message_id = post(idempotency_key="once")
    deliver.deliver()
    assert post(idempotency_key="once") == message_id
    deliver.deliver()
    assert len(second.on_air) == 1
