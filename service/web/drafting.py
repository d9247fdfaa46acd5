"""From a checked request to a draft: addresses in one form, defaults filled in."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import phonenumbers
from flask import Flask

from service.config import Settings
from service.config_values import Route
from service.domain.priority import Priority
from service.errors import FieldError, Invalid
from service.extensions import Parts, parts
from service.flows.accepting import Draft
from service.providers.contract import Provider, Sender
from service.providers.test import NAME as TEST
from service.web.schemas import NewMessage, check

_CHANNELS: Final = ("whatsapp:", "rcs:")
_MAX_KEY: Final = 255


def carriers(app: Flask | None = None) -> dict[str, Provider]:
    """Return who may carry a message: not the provider of test keys."""
    bound: Parts = app.extensions["waybill"] if app else parts()
    return {name: one for name, one in bound.providers.items() if name != TEST}


def draft(
    given: Any,
    settings: Settings,
    providers: Mapping[str, Provider],
    idempotency_key: str | None,
) -> Draft:
    """Return the draft of one message. Raises Invalid, naming every field that is wrong."""
    wanted = check(NewMessage, given)
    to = address(wanted.to, settings.default_region)
    provider = _provider(wanted, to, settings, providers)
    sender, service = _sender(wanted, provider)
    return Draft(
        provider=provider.name,
        to=to,
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
        priority=Priority[wanted.priority.upper()],
        request_digest=digest(given),
        idempotency_key=idempotency_key,
    )


def route(to: str, routes: Sequence[Route], default: str) -> str:
    """Return who carries what goes to this address: the longest prefix decides, `*` is none."""
    fitting = [one for one in routes if one.prefix == "*" or to.startswith(one.prefix)]
    longest = max(fitting, key=lambda one: len(one.prefix.strip("*")), default=None)
    return longest.provider if longest else default


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


def _provider(
    wanted: NewMessage, to: str, settings: Settings, providers: Mapping[str, Provider]
) -> Provider:
    """Choose who carries the message. Raises Invalid where that one cannot."""
    name = wanted.provider or route(to, settings.sms_routes, settings.default_provider)
    if name not in providers:
        known = ", ".join(sorted(providers))
        raise Invalid("nobody carries the message", [FieldError("provider", f"one of: {known}")])
    given = [field for field in wanted.model_fields_set if getattr(wanted, field) is not None]
    misfits = providers[name].cannot_carry(to, given)
    if misfits:
        problem = f"{name} cannot carry this: leave it out, or name another provider"
        raise Invalid(
            "the message does not fit its provider", [FieldError(one, problem) for one in misfits]
        )
    return providers[name]


def _sender(wanted: NewMessage, provider: Provider) -> Sender:
    if wanted.sender or wanted.messaging_service_sid:
        return Sender(wanted.sender, wanted.messaging_service_sid)
    default = provider.default_sender()
    if default is not None:
        return default
    raise Invalid(
        "the message has no sender",
        [FieldError("from", f"give from: the settings have no default for {provider.name}")],
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
