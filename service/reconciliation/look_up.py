"""Look up a message in doubt: find out whether a send without an answer reached the provider.

Only for messages without a SID. A message that has a SID is polled (`poll.py`).
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from service.components import components
from service.database import transaction
from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.errors import OUTCOME_UNKNOWN, OutcomeUnknown, Refused
from service.models import Attempt, Message
from service.observability import events
from service.providers.base import LookUpQuery
from service.queries import attempts, reconciliation
from service.recording import record
from service.retry_policy import retry_policy
from service.sending import expiry
from service.webhooks.owe import owe

# Tolerance between the provider's clock and ours.
SKEW: Final = timedelta(seconds=60)
# Time to wait while a message that could be confused with this one is being sent.
_POSTPONE: Final = timedelta(seconds=5)


def look_up(message: Message, attempt: Attempt) -> None:
    """Find out whether the attempt reached the provider, and decide if that stays unknown.

    Raises NotAccepted or OutcomeUnknown if the provider does not answer.
    """
    with transaction():
        confusable = reconciliation.confusable_statuses(message, _latest_arrival(attempt))
    if Status.SUBMITTING in confusable:
        # The provider's answer to that message tells which candidate belongs to it.
        with transaction():
            next_check = datetime.now(UTC) + _POSTPONE
            reconciliation.schedule_check(message.id, next_check, message.lookups)
        return
    candidates = _candidates(message, attempt)
    certain = [report for report in candidates if report.attempt_id is not None]
    # The provider has the text of a template: it cannot be compared with other systems' messages.
    comparable = len(candidates) == 1 and not confusable and message.content_sid is None
    if certain or comparable:
        _found(message, attempt, certain or candidates)
    elif candidates:
        # A person has to decide which message at the provider is this one.
        _record_look_up(message, attempt, "ambiguous", message.lookups + 1, check_at=None)
    else:
        _not_found(message, attempt, message.lookups + 1)


def verdict(message: Message) -> StatusReport:
    """Return the report that fails a message of which the provider knows nothing.

    It names no attempt, so that any later report of the provider outranks it.
    """
    return StatusReport(
        provider=message.provider,
        source=Source.RECONCILIATION,
        word=OUTCOME_UNKNOWN,
        status=Status.FAILED,
        received_at=datetime.now(UTC),
        message_id=message.id,
        attempt_number=message.outcome_attempt or 0,
        error_code=OUTCOME_UNKNOWN,
    )


def check_report(message: Message, attempt: Attempt, word: str, detail: str) -> StatusReport:
    """Return a report about a check, which states no status."""
    return StatusReport(
        provider=message.provider,
        source=Source.RECONCILIATION,
        word=word,
        status=None,
        received_at=datetime.now(UTC),
        attempt_id=attempt.id,
        provider_time=detail,
    )


def description(
    message: Message, attempt: Attempt, since: datetime, until: datetime
) -> LookUpQuery:
    """Return the properties by which the provider can find an attempt without a SID."""
    return LookUpQuery(
        attempt_id=attempt.id,
        to=message.to,
        sender=message.sender,
        messaging_service_sid=message.messaging_service_sid,
        body=message.body,
        since=since,
        until=until,
        media_urls=message.media_urls or (),
        content_sid=message.content_sid,
    )


def _latest_arrival(attempt: Attempt) -> datetime:
    """Return the latest time at which the provider can have received the attempt."""
    return attempt.started_at + timedelta(seconds=components().settings.claim_lease) + SKEW


def _candidates(message: Message, attempt: Attempt) -> list[StatusReport]:
    """Return messages at the provider that can be this attempt and belong to no other.

    Raises OutcomeUnknown if the provider refuses to search.
    """
    until = _latest_arrival(attempt)
    query = description(message, attempt, attempt.started_at - SKEW, until)
    if message.content_sid is not None:
        with transaction():
            texts = reconciliation.texts_of_others(message, until)
        query = replace(query, texts_of_others=texts)
    try:
        reports = components().account(attempt.provider, attempt.account).find(query)
    except Refused as error:
        raise OutcomeUnknown("the provider refused to search", error.code) from error
    with transaction():
        bound = attempts.by_sids({_sid_of(report) for report in reports})
    return [report for report in reports if _sid_of(report) not in bound]


def _sid_of(report: StatusReport) -> tuple[str, str]:
    return report.provider, report.provider_sid or ""


def _found(message: Message, attempt: Attempt, reports: list[StatusReport]) -> None:
    record.record([report._replace(attempt_id=attempt.id) for report in reports])
    events.reconciled(message.id, attempt.id, message.provider, "found")


def _not_found(message: Message, attempt: Attempt, lookups: int) -> None:
    """Schedule another look-up; after the last one send the message again, or fail it."""
    if lookups < components().settings.doubt_lookups:
        pause = timedelta(seconds=retry_policy(message.provider).first_lookup * 2**lookups)
        check_at = datetime.now(UTC) + pause
        _record_look_up(message, attempt, "not_found", lookups, check_at=check_at)
    elif expiry.may_resend(message, attempt.number - (message.outcome_attempt or 0)):
        _resend(message, attempt, lookups)
    else:
        record.record([verdict(message)])
        events.reconciled(message.id, attempt.id, message.provider, "gave_up")


def _record_look_up(
    message: Message, attempt: Attempt, word: str, lookups: int, *, check_at: datetime | None
) -> None:
    with transaction():
        record.apply([check_report(message, attempt, word, f"look-up {lookups}")])
        reconciliation.schedule_check(message.id, check_at, lookups)
    events.reconciled(message.id, attempt.id, message.provider, word)


def _resend(message: Message, attempt: Attempt, lookups: int) -> None:
    """Send a message again whose client prefers a second copy to none."""
    with transaction():
        record.apply([check_report(message, attempt, "resend", f"after {lookups} look-ups")])
        if reconciliation.make_pending(message.id, attempt.number, datetime.now(UTC)):
            owe([message.id])
    events.reconciled(message.id, attempt.id, message.provider, "resend")
