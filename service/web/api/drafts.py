"""From a request to a draft: normalised, checked, its provider and its sender chosen."""

from collections.abc import Mapping
from typing import Any, Final

from flask import Flask

from service.addresses import channel_of
from service.components import Components, components
from service.config.settings import Settings
from service.domain.priority import Priority
from service.errors import FieldError, Invalid
from service.providers.base import Provider
from service.providers.sandbox import SANDBOX
from service.sending.accept import Draft
from service.sending.idempotency import digest_of_json, request_digest
from service.texts.segments import Estimate, estimate
from service.web.api.routing import choose
from service.web.api.schemas import NewMessage, check

_MAX_KEY: Final = 255


def carriers(app: Flask | None = None) -> dict[str, Provider]:
    """Return who may carry a message: not the provider of test keys."""
    bound: Components = app.extensions["waybill"] if app else components()
    return {name: one for name, one in bound.providers.items() if name != SANDBOX}


def draft(
    given: Any,
    settings: Settings,
    providers: Mapping[str, Provider],
    idempotency_key: str | None,
) -> Draft:
    """Return the draft of one message. Raises Invalid, naming every field that is wrong."""
    message = check(NewMessage, given, settings.default_region)
    provider, sender = choose(message, settings, providers)
    estimated = _estimate(message)
    return Draft(
        provider=provider.name,
        to=message.to,
        sender=sender.address,
        messaging_service_sid=sender.messaging_service_sid,
        body=message.body,
        media_urls=message.media_urls,
        content_sid=message.content_sid,
        content_variables=message.content_variables,
        send_at=message.send_at,
        validity_period=message.validity_period,
        reference=message.reference,
        details=message.metadata,
        resend_if_unknown=message.resend_if_unknown,
        priority=Priority[message.priority.upper()],
        smart_encoding=message.smart_encoding,
        encoding=estimated and estimated.encoding,
        estimated_segments=estimated and estimated.segments,
        request_digest=request_digest(message.as_asked()),
        earlier_digest=digest_of_json(given) if idempotency_key else None,
        idempotency_key=idempotency_key,
    )


def digests(given: Any, region: str | None) -> list[bytes]:
    """Return the digests under which an earlier, equal request may be stored.

    Also of a request that is refused today: its time has passed, or the rules have changed.
    """
    try:
        earlier = [digest_of_json(given)]
    except RecursionError:  # nested deeper than any request that was accepted
        earlier = []
    try:
        message = check(NewMessage, given, region, at_any_time=True)
    except Invalid:
        return earlier
    return [request_digest(message.as_asked()), *earlier]


def check_key(key: str | None) -> str | None:
    """Return the idempotency key of a request, if it has one. Raises Invalid."""
    if key is None:
        return None
    if not 0 < len(key) <= _MAX_KEY or not key.isascii() or not key.isprintable():
        raise Invalid(
            "the idempotency key cannot be used",
            [FieldError("Idempotency-Key", "must be 1 to 255 printable ASCII characters")],
        )
    return key


def _estimate(message: NewMessage) -> Estimate | None:
    """Return what the text takes as an SMS; None for media, templates and other channels."""
    if message.body is None or message.media_urls or channel_of(message.to) != "sms":
        return None
    return estimate(message.body)
