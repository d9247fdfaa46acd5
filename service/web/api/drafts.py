"""Turn a request into a draft: normalised, validated, with provider and sender."""

from collections.abc import Mapping
from typing import Any, Final

from service.addresses import channel_of
from service.config.settings import Settings
from service.domain.priority import Priority
from service.errors import FieldError, Invalid
from service.providers.base import Provider
from service.sending.accept import Draft
from service.sending.client_senders import UNRESTRICTED, ClientSenders
from service.sending.idempotency import digest_of_json, request_digest
from service.texts.segments import Estimate, estimate
from service.web.api.schemas import NewMessage, check
from service.web.api.senders import choose_sender

_MAX_KEY_LENGTH: Final = 255


def draft(
    item: Any,
    settings: Settings,
    providers: Mapping[str, Provider],
    idempotency_key: str | None,
    client_account: str | None = None,
    senders: ClientSenders = UNRESTRICTED,
) -> Draft:
    """Return the draft of a message. Raises Invalid with every wrong field."""
    message = check(NewMessage, item, settings.default_region)
    provider, account, sender = choose_sender(message, settings, providers, client_account, senders)
    segments = _estimate(message)
    return Draft(
        provider=provider,
        account=account,
        provider_fixed=message.provider is not None or message.account is not None,
        sender_fixed=message.sender is not None or message.messaging_service_sid is not None,
        to=message.to,
        sender=sender.address,
        messaging_service_sid=sender.messaging_service_sid,
        body=message.body,
        media_urls=message.media_urls,
        content_sid=message.content_sid,
        content_variables=message.content_variables,
        send_at=message.send_at,
        validity_period=message.validity_period,
        expires_at=message.expires_at,
        reference=message.reference,
        details=message.metadata,
        resend_if_unknown=message.resend_if_unknown,
        priority=Priority[message.priority.upper()],
        smart_encoding=message.smart_encoding,
        encoding=segments and segments.encoding,
        estimated_segments=segments and segments.segments,
        webhook_endpoint_id=message.webhook_endpoint,
        request_digest=request_digest(message.as_json()),
        earlier_digest=digest_of_json(item) if idempotency_key else None,
        idempotency_key=idempotency_key,
    )


def digests(item: Any, region: str | None) -> list[bytes]:
    """Return the digests under which an equal request may have been stored earlier.

    A request that was valid then may be invalid today: `send_at` has passed, a setting changed.
    """
    try:
        digests = [digest_of_json(item)]
    except RecursionError:  # nested deeper than any request that was accepted
        digests = []
    try:
        message = check(NewMessage, item, region, allow_past=True)
    except Invalid:
        return digests
    return [request_digest(message.as_json()), *digests]


def check_idempotency_key(key: str | None) -> str | None:
    """Return the idempotency key. Raises Invalid if it is too long or not printable ASCII."""
    if key is None or (0 < len(key) <= _MAX_KEY_LENGTH and key.isascii() and key.isprintable()):
        return key
    raise Invalid(
        "the idempotency key is invalid",
        [FieldError("Idempotency-Key", "must be 1 to 255 printable ASCII characters")],
    )


def _estimate(message: NewMessage) -> Estimate | None:
    """Return segments and encoding of the text as an SMS; None for other kinds of message."""
    if message.body is None or message.media_urls or channel_of(message.to) != "sms":
        return None
    return estimate(message.body)
