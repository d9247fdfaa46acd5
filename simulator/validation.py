"""Parses create requests with Twilio's checks.

https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource
"""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from simulator.accounts import Account
from simulator.addresses import read_addresses
from simulator.error_codes import ApiError
from simulator.form import Form, last_value
from simulator.magic_numbers import check_magic
from simulator.message import Order

_CONTENT: Final = re.compile(r"HX[0-9a-fA-F]{32}")
_HOST: Final = re.compile(r"[A-Za-z0-9.:-]+")  # Twilio rejects an underscore
_MAX_BODY: Final = 1_600
_MAX_MEDIA: Final = 10
_MAX_URL: Final = 4_000
_MAX_VALIDITY: Final = 36_000
_MIN_SEND_AT: Final = timedelta(minutes=5)
_MAX_SEND_AT: Final = timedelta(days=35)


def parse_order(form: Form, account: Account) -> Order:
    """Parse a create request. Raises ApiError."""
    to, sender, service = read_addresses(form)
    check_magic(to, sender)
    body, media, content_sid = _content(form)
    return Order(
        account=account,
        to=to,
        sender=sender,
        service=service,
        body=body,
        media=media,
        content_sid=content_sid,
        status_callback=_status_callback(last_value(form, "StatusCallback")),
        send_at=_send_at(form, service),
        validity_period=_validity_period(last_value(form, "ValidityPeriod")),
    )


def _content(form: Form) -> tuple[str, tuple[str, ...], str | None]:
    body, content_sid = last_value(form, "Body") or "", last_value(form, "ContentSid")
    media = tuple(url for url in form.get("MediaUrl", ()) if url)
    if not (body or media or content_sid):
        raise ApiError(21619 if "MediaUrl" in form else 21602)
    if len(body.encode("utf-16-le")) > 2 * _MAX_BODY:  # an emoji counts as two
        raise ApiError(21617)
    if len(media) > _MAX_MEDIA:
        raise ApiError(21623)
    if any(urlsplit(url).scheme not in {"http", "https"} for url in media):
        raise ApiError(21620)
    _check_template(content_sid, last_value(form, "ContentVariables"))
    return body, media, content_sid


def _check_template(content_sid: str | None, variables: str | None) -> None:
    if content_sid and not _CONTENT.fullmatch(content_sid):
        raise ApiError(21655)
    if not variables:
        return
    try:
        well_formed = isinstance(json.loads(variables), dict)
    except ValueError:
        well_formed = False
    if not well_formed:
        raise ApiError(21656)


def _status_callback(url: str | None) -> str | None:
    if url is not None and not _is_callback_url(url):
        raise ApiError(21609, f"The 'StatusCallback' URL {url} is not a valid URL")
    return url


def _is_callback_url(url: str) -> bool:
    if len(url) > _MAX_URL or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for a port that is not a number
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(_HOST.fullmatch(parts.hostname or ""))


def _validity_period(text: str | None) -> int:
    """Return the longest time in Twilio's queue, in seconds."""
    if text is None:
        return _MAX_VALIDITY
    if not (text.isdecimal() and 1 <= int(text) <= _MAX_VALIDITY):
        raise ApiError(21624)
    return int(text)


def _send_at(form: Form, service: str | None) -> datetime | None:
    """Parse `SendAt`: https://www.twilio.com/docs/api/errors/35115."""
    text, kind = last_value(form, "SendAt"), last_value(form, "ScheduleType")
    if not text and not kind:
        return None
    if not text:
        raise ApiError(35111)
    if kind != "fixed":
        raise ApiError(35117)
    if not service:
        raise ApiError(35118)
    try:
        send_at = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise ApiError(35114) from None
    if not _MIN_SEND_AT <= send_at - datetime.now(UTC) <= _MAX_SEND_AT:
        raise ApiError(35115)
    return send_at
