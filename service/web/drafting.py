"""From a checked request to a draft: addresses in one form, defaults filled in."""

import hashlib
import json
from typing import Any, Final

import phonenumbers

from service.config import Settings
from service.errors import FieldError, Invalid
from service.flows.accepting import Draft
from service.web.schemas import NewMessage, check

_CHANNELS: Final = ("whatsapp:", "rcs:")
_MAX_KEY: Final = 255


def draft(given: Any, settings: Settings, idempotency_key: str | None) -> Draft:
    """Return the draft of one message. Raises Invalid, naming every field that is wrong."""
    wanted = check(NewMessage, given)
    sender, service = _sender(wanted, settings)
    return Draft(
        provider="twilio",
        to=address(wanted.to, settings.default_region),
        sender=sender,
        messaging_service_sid=service,
        body=wanted.body,
        media_urls=wanted.media_urls,
        content_sid=wanted.content_sid,
        content_variables=wanted.content_variables,
        send_at=wanted.send_at,
        validity_period=wanted.validity_period,
        reference=wanted.reference,
        details=wanted.metadata,
        resend_if_unknown=wanted.resend_if_unknown,
        request_digest=digest(given),
        idempotency_key=idempotency_key,
    )


def address(given: str, default_region: str | None) -> str:
    """Return a phone number as E.164; channel addresses pass through. Raises Invalid."""
    if given.startswith(_CHANNELS) and given.partition(":")[2].strip():
        return given
    try:
        number = phonenumbers.parse(given, default_region)
    except phonenumbers.NumberParseException:
        raise _bad_number() from None
    # Possible, not valid: numbering plans change faster than libraries, the provider knows best.
    if not phonenumbers.is_possible_number(number):
        raise _bad_number()
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


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


def _sender(wanted: NewMessage, settings: Settings) -> tuple[str | None, str | None]:
    if wanted.sender or wanted.messaging_service_sid:
        return wanted.sender, wanted.messaging_service_sid
    if settings.twilio_messaging_service_sid:
        return None, settings.twilio_messaging_service_sid
    if settings.twilio_phone_number:
        return settings.twilio_phone_number, None
    raise Invalid(
        "the message has no sender",
        [FieldError("from", "give from or messaging_service_sid: the settings have no default")],
    )


def _bad_number() -> Invalid:
    return Invalid(
        "the recipient cannot be reached",
        [FieldError("to", "must be a phone number in E.164 form, such as +14155552671")],
    )


def digest(given: Any) -> bytes:
    """Return what two requests have in common when they ask for the same."""
    canonical = json.dumps(given, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).digest()
