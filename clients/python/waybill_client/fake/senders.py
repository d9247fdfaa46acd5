"""The senders that the fake accepts."""

import re
from typing import Any, Final

from waybill_client.fake import fields

DEFAULT: Final = "+15005550006"
EVERY: Final = "*"
# A sender for each channel of a recipient. The fake knows no pools: each has these senders.
_IN_POOL: Final = {"": DEFAULT, "whatsapp": f"whatsapp:{DEFAULT}", "rcs": "rcs:waybill"}
_POOL: Final = "pool:"
_SERVICE: Final = re.compile(r"MG[0-9a-f]{32}", re.IGNORECASE)
_POOL_NAME: Final = fields.matching(
    r"[a-z0-9][a-z0-9_-]{0,63}", "must be the name of a pool: letters a to z, digits, _ and -"
)
_AGENT: Final = fields.matching(
    r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", "must have the id of an agent after rcs:"
)
_NAME: Final = fields.matching(
    r"[A-Za-z0-9 &_+-]{1,11}", "is not a sender: a name has up to 11 letters, digits and & _ + -"
)


def sender_or_pool(value: Any) -> str:
    """Return a sender, or `pool:` and the name of a pool. Raises ValueError."""
    text: str = fields.text()(value).strip()
    if text[: len(_POOL)].lower() == _POOL:
        return f"{_POOL}{_POOL_NAME(text[len(_POOL) :].strip().lower())}"
    return _sender(text)


def listed(value: Any) -> str:
    """Return a sender, the id of a Messaging Service, or `*`. Raises ValueError."""
    text: str = fields.text()(value).strip()
    if _SERVICE.fullmatch(text):
        return text[:2].upper() + text[2:].lower()
    return text if text == EVERY else _sender(text)


def is_pool(sender: str) -> bool:
    """Return whether this names a pool and not a sender."""
    return sender.startswith(_POOL)


def in_pool(to: str) -> str:
    """Return the sender of a pool for a recipient: one on the recipient's channel."""
    return _IN_POOL[channel_of(to)]


def channel_of(address: str) -> str:
    """Return the channel of an address; that of a plain number is empty."""
    return address.rpartition(":")[0]


def _sender(text: str) -> str:
    if text.lower().startswith("rcs:"):
        return f"rcs:{_AGENT(text[len('rcs:') :].strip())}"
    if ":" in text:
        return fields.recipient(text)
    if any(character.isalpha() for character in text):
        return str(_NAME(text))
    return text if re.fullmatch(r"[0-9]{3,8}", text) else fields.recipient(text)
