"""Make received values safe to store in any database."""

import re
from contextlib import suppress
from typing import Final
from uuid import UUID

from service import addresses
from service.addresses import UnusableAddress
from service.domain.report import StatusReport

# Maximum lengths of columns; the raw payload has the full value.
SHORT: Final = 64
LONG: Final = 1000
ADDRESS: Final = 255


def clipped(report: StatusReport) -> StatusReport:
    """Return a report with storable texts of limited length; `raw` has the full values."""
    return report._replace(
        word=clip(report.word, SHORT) or "",
        provider_sid=as_sid(report.provider_sid),
        error_code=clip(report.error_code, SHORT),
        error_message=clip(report.error_message, LONG),
        provider_time=clip(report.provider_time, SHORT),
    )


def storable(text: str) -> str:
    """Replace NUL, which PostgreSQL cannot store, and lone surrogates, which are not UTF-8."""
    if text.isprintable():  # true of nearly all texts, and neither is printable
        return text
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


def clip(value: object, length: int) -> str | None:
    """Return a value as storable text of limited length, or None if it is empty."""
    return storable(str(value))[:length] if value else None


def scalar(value: object) -> str:
    """Return a string or number as text, and an empty text for any other value."""
    return str(value) if isinstance(value, str | int | float) else ""


def as_sid(value: object) -> str | None:
    """Return a provider's message id, or None if the value cannot be one."""
    return None if isinstance(value, bool) else clip(scalar(value).strip(), SHORT)


def as_address(*spellings: str) -> str:
    """Return the first text that is an address, as Waybill stores it; if none is, the last text.

    Opt-outs, owners and replies compare the addresses of inbound messages with stored ones.
    """
    for text in spellings:
        for normalise in (addresses.recipient, addresses.sender):
            with suppress(UnusableAddress):
                return clip(normalise(text), ADDRESS) or ""
    return clip(spellings[-1].strip(), ADDRESS) or ""


def same_address(a: str, b: str) -> bool:
    """Return whether two addresses are equal, ignoring how numbers are written."""
    return _address(a) == _address(b)


def _address(text: str) -> tuple[str, str]:
    """Return the channel and the digits of the number, or the name."""
    channel, _, rest = text.strip().rpartition(":")
    number = re.sub(r"[^0-9]", "", rest)
    if not number or re.search(r"[A-Za-z]", rest):
        return channel.lower(), rest
    # Mexico dropped the 1 of mobile numbers in 2019; WhatsApp still writes it.
    return channel.lower(), re.sub(r"^521(?=\d{10}$)", "52", number)


def as_count(value: object) -> int | None:
    """Return a number of segments from 1 to 999, or None."""
    text = str(value)
    return int(text) if text.isdecimal() and len(text) <= 3 and int(text) > 0 else None


def as_uuid(text: str) -> UUID | None:
    """Return a UUID, or None for any other text."""
    try:
        return UUID(text)
    except ValueError:
        return None
