"""Cancels messages that are not yet sent: pending ones, and those the provider has scheduled."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from service.components import components
from service.database import transaction
from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.errors import Conflict, NotFound, ProviderError, Refused, Unavailable
from service.models import Message
from service.queries import attempts, ledger, message_details
from service.recording import record


def cancel(client_id: int, message_id: UUID) -> Message:
    """Cancel a client's message and return it. Raises NotFound, Conflict or Unavailable.

    A canceled message stays canceled. A message that is being submitted cannot be canceled.
    """
    if not _cancel_pending(client_id, message_id):
        _cancel_scheduled(*_scheduled(client_id, message_id))
    return message_details.message(client_id, message_id)


def _cancel_pending(client_id: int, message_id: UUID) -> bool:
    """Cancel a message that no worker has claimed. Return False for any other."""
    with transaction():
        row = ledger.lock_outcomes([message_id]).get(message_id)
        if row is None or row.client_id != client_id:
            raise NotFound("message not found")
        if row.status is not Status.PENDING:
            return row.status is Status.CANCELED
        record.apply([_by_client(row, message_id)])
        return True


def _by_client(row: Any, message_id: UUID) -> StatusReport:
    return StatusReport(
        provider=row.provider,
        source=Source.CLIENT,
        word="canceled",
        status=Status.CANCELED,
        received_at=datetime.now(UTC),
        message_id=message_id,
        attempt_number=row.outcome_attempt or 0,
    )


def _scheduled(client_id: int, message_id: UUID) -> tuple[str, str, UUID, str]:
    """Return provider, account, attempt and SID of a message that the provider has scheduled."""
    with transaction():
        message = message_details.message(client_id, message_id)
        sid = message.provider_sid
        if message.status is not Status.SCHEDULED or sid is None:
            raise Conflict(f"too late to cancel: the message is {message.status}")
        attempt_id = attempts.by_sids({(message.provider, sid)})[message.provider, sid].id
    assert attempt_id is not None
    return message.provider, message.account, attempt_id, sid


def _cancel_scheduled(provider: str, account: str, attempt_id: UUID, provider_sid: str) -> None:
    try:
        report = components().account(provider, account).cancel(attempt_id, provider_sid)
    except Refused as error:
        raise Conflict(f"too late to cancel: {error.message}") from error
    except ProviderError as error:
        raise Unavailable("the provider did not answer; retry in a few seconds") from error
    record.record([report])
