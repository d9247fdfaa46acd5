"""How messages and their ledger look to clients."""

from datetime import UTC, datetime
from typing import Final

from service.components import components
from service.domain.priority import Priority
from service.domain.status import Status, is_final
from service.errors import OUTCOME_UNKNOWN, OWN_CODES, ErrorFact
from service.models import Message, StatusEvent
from service.providers.sandbox import SANDBOX
from service.web.api import responses

# A message outlives the settings of its provider.
_NOBODY_EXPLAINS: Final = ErrorFact("A code of a provider that is no longer configured.", False)


def message(found: Message) -> responses.Message:
    """Return a message as it stands."""
    return {
        **_asked(found),
        "status": found.status,
        "final": is_final(found.status),
        "provider_sid": found.provider_sid,
        "error": _error(found),
        "conflict": bool(found.failed_in & found.delivered_in),
        "segments": found.estimated_segments if found.segments is None else found.segments,
        "price": _price(found),
        "submitted_at": _time(found.submitted_at),
        "final_at": _time(found.final_at),
        "updated_at": _text(found.updated_at),
    }


def accepted(found: Message) -> responses.Message:
    """Return a message as it stood when it was accepted: a repeated post gets the same answer."""
    return {
        **_asked(found),
        "status": Status.PENDING,
        "final": False,
        "provider_sid": None,
        "error": None,
        "conflict": False,
        "segments": found.estimated_segments,
        "price": None,
        "submitted_at": None,
        "final_at": None,
        "updated_at": _text(found.created_at),
    }


def event(found: StatusEvent) -> responses.Event:
    """Return one event of the ledger."""
    return {
        "status": found.status,
        "provider_status": found.word,
        "source": found.source,
        "provider": found.provider,
        "provider_sid": found.provider_sid,
        "attempt_id": found.attempt_id,
        "error_code": found.error_code,
        "error_message": found.error_message,
        "received_at": _text(found.received_at),
        "provider_time": found.provider_time,
        "repeats": found.repeats,
        "raw": found.raw,
    }


def _asked(found: Message) -> responses.Asked:
    return {
        "id": found.id,
        "test": found.provider == SANDBOX,
        "redacted": found.redacted_at is not None,
        "provider": found.provider,
        "to": found.to,
        "from": found.sender,
        "messaging_service_sid": found.messaging_service_sid,
        "body": found.body,
        "media_urls": found.media_urls,
        "content_sid": found.content_sid,
        "content_variables": found.content_variables,
        "send_at": _time(found.send_at),
        "validity_period": found.validity_period,
        "reference": found.reference,
        "metadata": found.details,
        "priority": Priority(found.priority).word,
        "resend_if_unknown": found.resend_if_unknown,
        "smart_encoding": found.smart_encoding,
        "encoding": found.encoding,
        "created_at": _text(found.created_at),
    }


def _error(found: Message) -> responses.Error | None:
    # A message whose provider stays silent keeps its status, and says that more is not known.
    code = found.error_code or (OUTCOME_UNKNOWN if found.unknown_since else None)
    if code is None:
        return None
    fact = explained(found.provider, code)
    return {
        "code": code,
        "message": found.error_message,
        "explanation": fact.explanation,
        "retryable": fact.retryable,
    }


def explained(provider: str, code: str) -> ErrorFact:
    """Return what an error code means: one of ours, or the provider's."""
    if code in OWN_CODES:
        return OWN_CODES[code]
    known = components().providers.get(provider)
    return known.explain(code) if known else _NOBODY_EXPLAINS


def _price(found: Message) -> responses.Price | None:
    if found.price is None:
        return None
    return {"amount": f"{found.price:f}", "currency": found.price_currency}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else _text(moment)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
