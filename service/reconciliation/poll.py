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

from service.components import components
from service.database import transaction
from service.domain.status import Status, is_final
from service.errors import NotAccepted, OutcomeUnknown, Refused
from service.models import Attempt, Message
from service.observability import events
from service.observability.metrics import counting
from service.queries import reconciliation
from service.reconciliation.look_up import look_up, step
from service.recording import record
from service.retry_policy import retry_policy

# Whoever takes a check has this long for it; then another may.
_LEASE: Final = timedelta(seconds=60)
# Doubts and polls each by one thread of a process: a provider that lets every caller wait holds up
# no more threads, and a slow poll holds up no look-up.
_doubts: Final = Lock()
_polls: Final = Lock()

_log = logging.getLogger(__name__)


def reconcile_due() -> int:
    """Check the messages whose time has come, as many as the budget allows; return how many.

    Messages without a SID, which are those in doubt, come first and have a budget of their own.
    """
    return _check_due(_doubts, with_sid=False) + _check_due(_polls, with_sid=True)


def _check_due(at_work: Lock, *, with_sid: bool) -> int:
    if not at_work.acquire(blocking=False):
        return 0
    try:
        now = datetime.now(UTC)
        with transaction():
            budget = components().settings.reconcile_budget
            due = reconciliation.take(now, now + _LEASE, budget, with_sid=with_sid)
        return len(due) - len(reconcile(due))
    finally:
        at_work.release()


def reconcile(message_ids: Sequence[UUID], *, at_once: bool = False) -> list[UUID]:
    """Check these messages; return those about which nobody answered.

    A provider that does not answer once is asked no more this time; the others are. With
    `at_once` also those are asked for that have not yet waited long enough.
    """
    silent: set[str] = set()
    return [one for one in message_ids if not _check(one, at_once, silent)]


def _check(message_id: UUID, at_once: bool, silent: set[str]) -> bool:
    """Ask about one message, and return whether that is done; note who is silent."""
    with transaction():
        message, attempt = reconciliation.with_attempt(message_id)
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
    """Ask what there is to ask. Raises NotAccepted or OutcomeUnknown.

    A message that has a SID is fetched by it; only one without is looked up.
    """
    in_doubt = message.status is Status.IN_DOUBT
    if sid := message.provider_sid or attempt.provider_sid:
        _ask(message, attempt, sid, at_once or in_doubt)
    elif in_doubt:
        look_up(message, attempt)
    else:
        with transaction():
            reconciliation.put_off(message.id, None, message.lookups)


def _ask(message: Message, attempt: Attempt, sid: str, at_once: bool) -> None:
    """Fetch a message that has had no final status for long, or stop asking after very long."""
    waits, now = retry_policy(message.provider), datetime.now(UTC)
    begun = message.submitted_at or message.created_at
    since = max(begun, message.send_at or begun)
    due = since + waits.ask_after
    if now < due and not at_once:
        with transaction():
            reconciliation.put_off(message.id, due, message.lookups)
        return
    _fetch(message, attempt, sid)
    beyond = now - since > waits.horizon
    with transaction():
        if beyond:
            reconciliation.stop(message.id, now)
        else:
            then = now + waits.ask_after
            reconciliation.put_off(message.id, then, message.lookups)


def _fetch(message: Message, attempt: Attempt, sid: str) -> None:
    provider = components().provider(message.provider)
    try:
        report = provider.fetch(attempt.id, sid)
    except Refused as error:
        # It had the message once. What it says now is kept, and changes nothing.
        detail = f"{error.code} {datetime.now(UTC):%Y-%m-%d %H:%M}"
        report = step(message, attempt, "not_known", detail)
    counting.missed(record.record([report]).counts)
    events.reconciled(message.id, attempt.id, message.provider, report.word)
