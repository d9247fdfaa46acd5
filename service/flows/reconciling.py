"""Reconcile: ask the provider what it did not tell us, and decide what nobody can tell.

A message in doubt is looked up; one without a final status after a long time is fetched. Both
answers pass through `recording` like any other report, and every step stands in the ledger.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Final
from uuid import UUID

from service import journal
from service.domain.report import Source, StatusReport
from service.domain.status import Status, is_final
from service.errors import OUTCOME_UNKNOWN, Conflict, NotAccepted, NotFound, OutcomeUnknown, Refused
from service.extensions import parts, transaction
from service.flows import expiry, recording
from service.flows.patience import patience
from service.metrics import counting
from service.models import Attempt, Message
from service.providers.contract import Wanted
from service.store import attempts, checks

# Whoever takes a check has this long for it; then another may.
_LEASE: Final = timedelta(seconds=60)
# Provider and we need not agree on the time to the second.
_SKEW: Final = timedelta(seconds=60)

# When to look again for a message whose twin is being sent just now.
_SOON: Final = timedelta(seconds=5)
_at_work = Lock()

_log = logging.getLogger(__name__)


def reconcile_due() -> int:
    """Check the messages whose time has come, as many as the budget allows; return how many.

    One at a time in a process: a provider that lets everybody wait must not hold every thread.
    """
    if not _at_work.acquire(blocking=False):
        return 0
    try:
        now = datetime.now(UTC)
        with transaction():
            due = checks.take(now, now + _LEASE, parts().settings.reconcile_budget)
        return len(due) - len(reconcile(due))
    finally:
        _at_work.release()


def reconcile(message_ids: Sequence[UUID], *, at_once: bool = False) -> list[UUID]:
    """Check these messages; return those about which nobody answered.

    A provider that does not answer once is asked no more this time; the others are. With
    `at_once` also those are asked for that have not yet waited long enough.
    """
    silent: set[str] = set()
    return [one for one in message_ids if not _check(one, at_once, silent)]


def resolve(message_id: UUID, provider_sid: str | None) -> Status:
    """Let a person decide about a message in doubt: its SID, or None for never sent.

    Returns the status it then shows. Raises NotFound, Conflict, or what the provider's look-up
    of the SID raises.
    """
    with transaction():
        message, attempt = checks.with_attempt(message_id)
    if message is None or attempt is None:
        raise NotFound("there is no such message, or it was never tried")
    if message.status is not Status.IN_DOUBT:
        raise Conflict(f"the message is not in doubt, it is {message.status}")
    if provider_sid is None:
        _give_up(message)
        return Status.FAILED
    report = parts().provider(message.provider).fetch(attempt.id, provider_sid)
    recording.record([report])
    return report.status or message.status


def _check(message_id: UUID, at_once: bool, silent: set[str]) -> bool:
    """Ask about one message, and return whether that is done; note who is silent."""
    with transaction():
        message, attempt = checks.with_attempt(message_id)
    if message is None or attempt is None or is_final(message.status):
        return True
    if message.provider in silent:
        return False
    try:
        _ask_provider(message, attempt, at_once)
    except (NotAccepted, OutcomeUnknown) as error:
        _log.warning("no answer about message %s (%s)", message_id, error.code)
        silent.add(message.provider)
        return False
    return True


def _ask_provider(message: Message, attempt: Attempt, at_once: bool) -> None:
    """Ask what there is to ask. Raises NotAccepted or OutcomeUnknown."""
    if message.status is Status.IN_DOUBT:
        _look_up(message, attempt)
    elif message.provider_sid is not None:
        _ask(message, attempt, at_once)
    else:
        with transaction():
            checks.put_off(message.id, None, message.lookups)


def _look_up(message: Message, attempt: Attempt) -> None:
    """Find out whether a send without an answer went out, and decide when that stays unknown."""
    with transaction():
        rivals = checks.rivals(message)
    if Status.SUBMITTING in rivals:
        # Its answer will tell whose a find is.
        with transaction():
            checks.put_off(message.id, datetime.now(UTC) + _SOON, message.lookups)
        return
    found = _candidates(message, attempt)
    certain = [one for one in found if one.attempt_id is not None]
    if certain or (len(found) == 1 and not rivals):
        recording.record([one._replace(attempt_id=attempt.id) for one in certain or found])
        journal.reconciled(message, attempt.id, "found")
        return
    lookups = message.lookups + 1
    if found:
        # Two that look the same, there or here: a person has to say which is which.
        _note(message, attempt, "ambiguous", f"look-up {lookups}", check_at=None, lookups=lookups)
    elif lookups < parts().settings.doubt_lookups:
        pause = timedelta(seconds=patience(message.provider).first_lookup * 2**lookups)
        then = datetime.now(UTC) + pause
        _note(message, attempt, "not_found", f"look-up {lookups}", check_at=then, lookups=lookups)
    elif expiry.may_resend(message, attempt.number):
        _resend(message, attempt, lookups)
    else:
        _give_up(message)
        journal.reconciled(message, attempt.id, "gave_up")


def _candidates(message: Message, attempt: Attempt) -> list[StatusReport]:
    """Return what may be this attempt and is bound to no other.

    Raises OutcomeUnknown when nobody could look: that is no answer, and counts as none.
    """
    provider = parts().provider(message.provider)
    wanted = Wanted(
        attempt_id=attempt.id,
        to=message.to,
        sender=message.sender,
        messaging_service_sid=message.messaging_service_sid,
        body=message.body,
        since=attempt.started_at - _SKEW,
        until=attempt.started_at + timedelta(seconds=parts().settings.claim_lease) + _SKEW,
    )
    try:
        found = provider.find(wanted)
    except Refused as error:
        raise OutcomeUnknown("refused to look", error.code) from error
    with transaction():
        taken = attempts.by_sid({(one.provider, one.provider_sid or "") for one in found})
    return [one for one in found if (one.provider, one.provider_sid or "") not in taken]


def _note(
    message: Message,
    attempt: Attempt,
    word: str,
    detail: str,
    *,
    check_at: datetime | None,
    lookups: int,
) -> None:
    """Write a step into the ledger that says nothing about the status."""
    with transaction():
        recording.apply([_step(message, attempt, word, detail)])
        checks.put_off(message.id, check_at, lookups)
    journal.reconciled(message, attempt.id, word)


def _step(message: Message, attempt: Attempt, word: str, detail: str) -> StatusReport:
    return StatusReport(
        provider=message.provider,
        source=Source.RECONCILIATION,
        word=word,
        status=None,
        received_at=datetime.now(UTC),
        attempt_id=attempt.id,
        provider_time=detail,
    )


def _resend(message: Message, attempt: Attempt, lookups: int) -> None:
    """Let a message go out again whose client prefers two messages to none."""
    with transaction():
        recording.apply([_step(message, attempt, "resend", f"after {lookups} look-ups")])
        checks.release(message.id, attempt.number, datetime.now(UTC))
    journal.reconciled(message, attempt.id, "resend")


def _give_up(message: Message) -> None:
    """Fail a message of which the provider knows nothing and whose client wants no second one.

    Our own verdict names no attempt, so that anything the provider says later outranks it.
    """
    verdict = StatusReport(
        provider=message.provider,
        source=Source.RECONCILIATION,
        word=OUTCOME_UNKNOWN,
        status=Status.FAILED,
        received_at=datetime.now(UTC),
        message_id=message.id,
        error_code=OUTCOME_UNKNOWN,
    )
    recording.record([verdict])


def _ask(message: Message, attempt: Attempt, at_once: bool) -> None:
    """Fetch a message that has had no final status for long, or stop asking after very long."""
    waits, now = patience(message.provider), datetime.now(UTC)
    begun = message.submitted_at or message.created_at
    since = max(begun, message.send_at or begun)
    due = since + waits.ask_after
    if now < due and not at_once:
        with transaction():
            checks.put_off(message.id, due, message.lookups)
        return
    _fetch(message, attempt)
    beyond = now - since > waits.horizon
    with transaction():
        if beyond:
            checks.stop(message.id, now)
        else:
            then = now + waits.ask_after
            checks.put_off(message.id, then, message.lookups)


def _fetch(message: Message, attempt: Attempt) -> None:
    assert message.provider_sid is not None
    provider = parts().provider(message.provider)
    try:
        report = provider.fetch(attempt.id, message.provider_sid)
    except Refused as error:
        # It had the message once. What it says now is kept, and changes nothing.
        detail = f"{error.code} {datetime.now(UTC):%Y-%m-%d %H:%M}"
        report = _step(message, attempt, "not_known", detail)
    counting.missed(recording.record([report]).kinds)
    journal.reconciled(message, attempt.id, report.word)
