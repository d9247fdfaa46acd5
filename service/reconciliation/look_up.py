"""Look up a message in doubt: find out whether a send without an answer went out.

Only for a message without a SID; one that has a SID is fetched by it (`reconciling`).
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

# Provider and we need not agree on the time to the second.
SKEW: Final = timedelta(seconds=60)
# When to look again while a message that could be confused with this one is being sent.
_SOON: Final = timedelta(seconds=5)


def look_up(message: Message, attempt: Attempt) -> None:
    """Find out whether the attempt went out, and decide when that stays unknown.

    Raises NotAccepted or OutcomeUnknown when the provider does not answer.
    """
    with transaction():
        rivals = reconciliation.rivals(message, _until(attempt))
    if Status.SUBMITTING in rivals:
        # Its answer will tell whose a candidate is.
        with transaction():
            reconciliation.put_off(message.id, datetime.now(UTC) + _SOON, message.lookups)
        return
    candidates = _candidates(message, attempt)
    certain = [report for report in candidates if report.attempt_id is not None]
    # The text of a template is the provider's: nothing tells ours from another system's.
    comparable = len(candidates) == 1 and not rivals and message.content_sid is None
    if certain or comparable:
        ours = certain or candidates
        record.record([report._replace(attempt_id=attempt.id) for report in ours])
        events.reconciled(message.id, attempt.id, message.provider, "found")
        return
    if candidates:
        # A person has to say which message at the provider is this one.
        _note(message, attempt, "ambiguous", message.lookups + 1, check_at=None)
        return
    _not_found(message, attempt, message.lookups + 1)


def _not_found(message: Message, attempt: Attempt, lookups: int) -> None:
    """Look again later, or decide as the client wishes."""
    if lookups < components().settings.doubt_lookups:
        pause = timedelta(seconds=retry_policy(message.provider).first_lookup * 2**lookups)
        _note(message, attempt, "not_found", lookups, check_at=datetime.now(UTC) + pause)
    elif expiry.may_resend(message, attempt.number):
        _resend(message, attempt, lookups)
    else:
        record.record([verdict(message)])
        events.reconciled(message.id, attempt.id, message.provider, "gave_up")


def verdict(message: Message) -> StatusReport:
    """Return the report that fails a message of which the provider knows nothing.

    Our own verdict names no attempt, so that anything the provider says later outranks it.
    """
    return StatusReport(
        provider=message.provider,
        source=Source.RECONCILIATION,
        word=OUTCOME_UNKNOWN,
        status=Status.FAILED,
        received_at=datetime.now(UTC),
        message_id=message.id,
        error_code=OUTCOME_UNKNOWN,
    )


def step(message: Message, attempt: Attempt, word: str, detail: str) -> StatusReport:
    """Return an entry for the ledger that says nothing about the status."""
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
    """Return what is known of an attempt whose SID is not."""
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


def _until(attempt: Attempt) -> datetime:
    """Return the time by which the provider had the attempt, if it ever did."""
    return attempt.started_at + timedelta(seconds=components().settings.claim_lease) + SKEW


def _candidates(message: Message, attempt: Attempt) -> list[StatusReport]:
    """Return what may be this attempt and is bound to no other.

    Raises OutcomeUnknown when nobody could look: that is no answer, and counts as none.
    """
    until = _until(attempt)
    sought = description(message, attempt, attempt.started_at - SKEW, until)
    if message.content_sid is not None:
        with transaction():
            texts = reconciliation.texts_of_others(message, until)
        sought = replace(sought, texts_of_others=texts)
    try:
        found = components().provider(message.provider).find(sought)
    except Refused as error:
        raise OutcomeUnknown("refused to look", error.code) from error
    with transaction():
        taken = attempts.by_sids({(one.provider, one.provider_sid or "") for one in found})
    return [one for one in found if (one.provider, one.provider_sid or "") not in taken]


def _note(
    message: Message, attempt: Attempt, word: str, lookups: int, *, check_at: datetime | None
) -> None:
    with transaction():
        record.apply([step(message, attempt, word, f"look-up {lookups}")])
        reconciliation.put_off(message.id, check_at, lookups)
    events.reconciled(message.id, attempt.id, message.provider, word)


def _resend(message: Message, attempt: Attempt, lookups: int) -> None:
    """Let a message go out again whose client prefers two messages to none."""
    with transaction():
        record.apply([step(message, attempt, "resend", f"after {lookups} look-ups")])
        reconciliation.release(message.id, attempt.number, datetime.now(UTC))
    events.reconciled(message.id, attempt.id, message.provider, "resend")
