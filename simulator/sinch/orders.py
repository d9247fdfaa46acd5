"""Parses batch requests with Sinch's checks.

https://developers.sinch.com/docs/sms/api-reference/sms/tag/Batches/
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from simulator.accounts import Account
from simulator.message import Order

_E164: Final = re.compile(r"\+?[1-9]\d{6,14}")
_REPORTS: Final = {"none", "summary", "full", "per_recipient", "per_recipient_final"}
_MAX_BODY: Final = 1_600
_MAX_REFERENCE: Final = 128
_MAX_URL: Final = 2_048
_DEFAULT_VALIDITY: Final = timedelta(days=3)


class ApiError(Exception):
    """Rejects a request with one of Sinch's error codes."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.body = {"code": code, "text": text}


def parse_order(batch: object, account: Account) -> Order:
    """Parse a batch request with one recipient, as Waybill sends it. Raises ApiError."""
    if not isinstance(batch, dict):
        raise ApiError(400, "syntax_invalid_json", "Expected a JSON object")
    to = batch.get("to")
    if not isinstance(to, list) or len(to) != 1 or not _E164.fullmatch(str(to[0])):
        raise _bad("to")
    if batch.get("type", "mt_text") != "mt_text":
        raise _bad("type")
    if batch.get("delivery_report", "none") not in _REPORTS:
        raise _bad("delivery_report")
    send_at, expire_at = _moment(batch, "send_at"), _moment(batch, "expire_at")
    if send_at and expire_at and expire_at <= send_at:
        raise ApiError(400, "syntax_constraint_violation", "'expire_at' must be after 'send_at'")
    now = datetime.now(UTC)
    return Order(
        account=account,
        to=f"+{str(to[0]).removeprefix('+')}",
        sender=_text(batch, "from", 255),
        service=None,
        body=_text(batch, "body", _MAX_BODY) or "",
        status_callback=_callback_url(batch),
        send_at=send_at if send_at and send_at > now else None,
        expire_at=expire_at or max(send_at or now, now) + _DEFAULT_VALIDITY,
        reference=_text(batch, "client_reference", _MAX_REFERENCE),
    )


def _callback_url(batch: Mapping[str, Any]) -> str | None:
    """Return the callback URL; None unless the batch asks for reports per recipient."""
    url = _text(batch, "callback_url", _MAX_URL)
    if url is not None and not url.startswith(("http://", "https://")):
        raise _bad("callback_url")
    return url if batch.get("delivery_report") == "per_recipient" else None


def _text(batch: Mapping[str, Any], name: str, max_length: int) -> str | None:
    value = batch.get(name)
    if name in ("body", "from") and not value:
        raise _bad(name)
    if value is not None and (not isinstance(value, str) or len(value) > max_length):
        raise _bad(name)
    return value


def _moment(batch: Mapping[str, Any], name: str) -> datetime | None:
    """Parse a time."""
    if name not in batch:
        return None
    try:
        moment = datetime.fromisoformat(str(batch[name]))
    except ValueError:
        raise _bad(name) from None
    if moment.tzinfo is None:
        raise _bad(name)
    return moment


def _bad(name: str) -> ApiError:
    return ApiError(400, "syntax_invalid_parameter_format", f"Invalid value for '{name}'")
