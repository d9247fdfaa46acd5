"""Check messages that are due: look up those in doubt, poll those without a final status.

The provider's answers are recorded like any other report, and every check is in the ledger.
"""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Final
from uuid import UUID

from service.components import components
from service.database import transaction
from service.domain.report import StatusReport
from service.domain.status import Status, is_final
from service.errors import Blocked, NotAccepted, OutcomeUnknown, Refused
from service.models import Attempt, Message
from service.observability import events
from service.observability.metrics import counting
from service.queries import reconciliation
from service.reconciliation.look_up import check_report, look_up
from service.recording import record
from service.retry_policy import retry_policy
from service.webhooks.owe import owe

# After this time another worker may check a message that this one has claimed.
_LEASE: Final = timedelta(seconds=60)
# At most one thread of a process looks up, and one polls: a provider that answers slowly holds up
# no other threads, and slow polls do not delay look-ups.
_look_up_lock: Final = Lock()
_poll_lock: Final = Lock()

_log = logging.getLogger(__name__)


def reconcile_due() -> int:
    """Check the messages that are due, within the budget; return how many were checked.

    Messages without a SID (those in doubt) come first and have a separate budget.
    """
    return _check_due(_look_up_lock, with_sid=False) + _check_due(_poll_lock, with_sid=True)


def _check_due(lock: Lock, *, with_sid: bool) -> int:
    if not lock.acquire(blocking=False):
        return 0
    try:
        now = datetime.now(UTC)
        with transaction():
            budget = components().settings.reconcile_budget
            due = reconciliation.claim_checks(now, now + _LEASE, budget, with_sid=with_sid)
        return len(due) - len(reconcile(due))
    finally:
        lock.release()


def reconcile(message_ids: Sequence[UUID], *, force: bool = False) -> list[UUID]:
    """Check these messages; return those about which the provider did not answer.

    A provider that does not answer is not asked again in this run. With `force`, also poll messages
    that are not due yet.
    """
    unavailable: set[tuple[str, str]] = set()
    return [
        message_id for message_id in message_ids if not _try_check(message_id, force, unavailable)
    ]


def _try_check(message_id: UUID, force: bool, unavailable: set[tuple[str, str]]) -> bool:
    """Check one message; return False, and note the account, if the provider does not answer."""
    with transaction():
        message, attempt = reconciliation.with_attempt(message_id)
    if message is None or attempt is None or is_final(message.status):
        return True
    account = (attempt.provider, attempt.account)
    if account in unavailable:
        return False
    try:
        _check(message, attempt, force)
    except (NotAccepted, Blocked, OutcomeUnknown) as error:
        name, code = attempt.provider, error.code or type(error).__name__
        _log.warning("%s did not answer about message %s (%s)", name, message_id, code)
        unavailable.add(account)
        return False
    return True


def _check(message: Message, attempt: Attempt, force: bool) -> None:
    """Poll a message that has a SID, else look it up. Raises NotAccepted or OutcomeUnknown."""
    in_doubt = message.status is Status.IN_DOUBT
    if sid := message.provider_sid or attempt.provider_sid:
        _poll(message, attempt, sid, force or in_doubt)
    elif in_doubt:
        look_up(message, attempt)
    elif message.status is not Status.SUBMITTING:  # else its claim may end in doubt meanwhile
        _schedule(message, None)


def _poll(message: Message, attempt: Attempt, sid: str, force: bool) -> None:
    """Fetch a message that waits long for a final status; after the horizon, stop polling."""
    policy, now = retry_policy(message.provider), datetime.now(UTC)
    submitted = message.submitted_at or message.created_at
    since = max(submitted, message.send_at or submitted)
    if now < since + policy.ask_after and not force:
        _schedule(message, since + policy.ask_after)
        return
    report = _fetch(message, attempt, sid)
    counting.missed(record.record([report]).counts)
    events.reconciled(message.id, attempt.id, message.provider, report.word)
    if now - since > policy.horizon:
        _stop(message.id, now)
    else:
        _schedule(message, now + policy.ask_after)


def _fetch(message: Message, attempt: Attempt, sid: str) -> StatusReport:
    try:
        return components().account(attempt.provider, attempt.account).fetch(attempt.id, sid)
    except Refused as error:
        # The provider had the message before. Record the answer without changing the status.
        detail = f"{error.code} {datetime.now(UTC):%Y-%m-%d %H:%M}"
        return check_report(message, attempt, "not_known", detail)


def _stop(message_id: UUID, now: datetime) -> None:
    with transaction():
        if reconciliation.stop_polling(message_id, now):
            owe([message_id])


def _schedule(message: Message, check_at: datetime | None) -> None:
    with transaction():
        reconciliation.schedule_check(message.id, check_at, message.lookups)
