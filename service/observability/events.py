"""Log the events of a message's life and write them to its trace.

docs/logging.md lists the events. Each names its message and attempt, so that the events of one
message can be found across processes. No event holds a phone number, a text or a token.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog

from service.domain.scope import HOLDING, HoldKind
from service.errors import Blocked, NotAccepted, OutcomeUnknown, ProviderError, Refused
from service.models import Hold, WebhookEndpoint
from service.observability import tracing

# Messages named in the event of a batch; the ledger has all of them.
_MAX_MESSAGE_IDS: Final = 20


_log: structlog.stdlib.BoundLogger = structlog.get_logger("waybill")


def accepted(rows: Sequence[Mapping[str, Any]]) -> None:
    """Log messages that were committed."""
    for row in rows:
        ids = {"message_id": row["id"], "client_id": row["client_id"]}
        _log.info("accepted", **ids, provider=row["provider"])
        tracing.posted(row["id"], row["created_at"])


def answered(
    error: ProviderError | None, provider_sid: str | None, **ids: UUID | int | str
) -> None:
    """Log the result of a call that sends a message."""
    log = _log.bind(**ids)
    # Only the provider's code: its message may hold a phone number.
    code = error.code if error else None
    if isinstance(error, Refused):
        log.warning("refused", code=code)
    elif isinstance(error, Blocked):
        log.warning("blocked", code=code)
    elif isinstance(error, NotAccepted):
        log.warning("not accepted", code=code)
    elif isinstance(error, OutcomeUnknown):
        log.warning("in doubt", code=code)
    else:
        log.info("sent", provider_sid=provider_sid)


def unknown_code(provider: str, code: str) -> None:
    """Log an error code that is not in our list of the provider's codes."""
    _log.warning("unknown error code", provider=provider, code=code)


def expired(messages: Sequence[UUID]) -> None:
    """Log messages that are in doubt because their worker died."""
    for message_id in messages:
        _log.warning("in doubt", message_id=message_id, code="claim_expired")


def message_expired(message_id: UUID, client_id: int, provider: str) -> None:
    """Log a message that was not sent because its deadline had passed."""
    _log.warning("expired", message_id=message_id, client_id=client_id, provider=provider)


def hold_opened(hold: Hold) -> None:
    """Log that messages of a scope wait. `reason` is our explanation of the provider's code."""
    if hold.kind in HOLDING:
        log = _log.bind(**_hold(hold))
        if hold.kind == HoldKind.PAUSED:
            log.warning("hold opened", operator=hold.started_by)
        else:
            log.error("hold opened", code=hold.code, reason=hold.reason)


def hold_ended(hold: Hold, operator: str | None, seconds: float) -> None:
    """Log that the messages of a scope are due again."""
    _log.warning("hold ended", **_hold(hold), operator=operator, seconds=round(seconds, 1))


def sent_again(messages: Sequence[UUID]) -> None:
    """Log messages that are pending again after they had failed or expired."""
    for message_id in messages:
        _log.warning("sent again", message_id=message_id)


def recorded(attempts: Sequence[tuple[UUID, UUID | None, datetime]], **totals: int) -> None:
    """Log a committed batch of callbacks with its totals.

    `attempts` has message, attempt and time of arrival of each callback that is no orphan.
    """
    messages = dict.fromkeys(message_id for message_id, _, _ in attempts)
    _log.info("recorded", **totals, message_ids=list(messages)[:_MAX_MESSAGE_IDS])
    if tracing.writer is not None:
        for message_id, attempt_id, arrived_at in attempts:
            tracing.recorded(message_id, attempt_id, arrived_at)


def inbound_recorded(ids: Sequence[UUID], **totals: int) -> None:
    """Log a committed batch of inbound messages with its totals; a batch of repeats is one, too."""
    _log.info("inbound recorded", **totals, message_ids=list(ids)[:_MAX_MESSAGE_IDS])


def forged(provider: str, attempt: str, reason: str) -> None:
    """Log a callback with a missing or invalid signature."""
    attempt_id = _parse_uuid(attempt)
    _log.warning("invalid signature", provider=provider, attempt_id=attempt_id, reason=reason)


def dead_lettered(provider: str, attempt: str, reason: str) -> None:
    """Log a callback that could not be recorded; `reason` is an error's type or our own word."""
    _log.error("dead letter", provider=provider, attempt_id=_parse_uuid(attempt), reason=reason)


def reconciled(message_id: UUID, attempt_id: UUID, provider: str, result: str) -> None:
    """Log the result of asking the provider about a message."""
    ids = {"message_id": message_id, "attempt_id": attempt_id}
    _log.info("reconciled", **ids, provider=provider, result=result)


def webhook_called(outcome: str, status: int | None, **ids: UUID | int | str | None) -> None:
    """Log a call to a webhook endpoint. `outcome` is `delivered`, `retry` or `failed`.

    The error of a call is not logged: it can hold the URL, and a URL can hold a token.
    """
    if outcome == "delivered":
        _log.info("webhook delivered", **ids, code=status)
    elif outcome == "retry":
        _log.warning("webhook retry", **ids, code=status)
    else:
        _log.warning("webhook failed", **ids, code=status)


def webhook_endpoint_disabled(endpoint: WebhookEndpoint) -> None:
    """Log that an endpoint gets no more events: it answered 410, or failed for days."""
    ids = {"endpoint_id": endpoint.id, "client_id": endpoint.client_id}
    _log.error("webhook endpoint disabled", **ids, reason=endpoint.disabled_reason)


def opt_outs_changed(begins: bool, reason: str, changed_by: str, count: int) -> None:
    """Log that opt-outs began or ended, and who made the change."""
    fields = {"reason": reason, "by": changed_by, "count": count}
    if begins:
        _log.info("opt-outs began", **fields)
    else:
        _log.info("opt-outs ended", **fields)


def operator_action(operator: str, action: str, **ids: UUID | int) -> None:
    """Log an action of an operator."""
    _log.warning("operator action", operator=operator, action=action, **ids)


def _hold(hold: Hold) -> dict[str, Any]:
    # The sender of a hold is a phone number: it is not logged, but `holds list` shows it.
    return {
        "hold": hold.id,
        "kind": str(hold.kind),
        "scope": str(hold.scope),
        "provider": hold.provider or None,
        "account": hold.account or None,
    }


def _parse_uuid(text: str) -> UUID | None:
    """Return the id; None for any other text, which the sender of the request chose."""
    try:
        return UUID(text)
    except ValueError:
        return None
