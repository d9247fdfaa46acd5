"""What must never be read: the last line of defence for logs and for reports of errors.

Nobody writes numbers, texts or secrets into a log on purpose. What a library says in its own
words passes through here first.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from pydantic import BaseModel, SecretStr

if TYPE_CHECKING:
    from service.config.settings import Settings

# With a plus, however it is spaced; or nine digits and more that are no part of an id.
_NUMBER: Final = re.compile(
    r"(?:\+|%2B)\d(?:[ ().-]{0,2}\d){5,14}|(?<![\w.-])\d{9,15}(?![\w-])", re.IGNORECASE
)
_KEY: Final = re.compile(r"\b(wb(?:op)?_)[\w-]{20,}")
_AUTHORIZATION: Final = re.compile(r"\b(Basic|Bearer) +[\w.~+/=-]{8,}", re.IGNORECASE)
_PASSWORD: Final = re.compile(r"://[^\s@/]*:([^\s@]*)@")
# They could move a terminal's cursor.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
# A shorter secret would be found in words that are none.
_SHORTEST: Final = 8

_secrets: tuple[str, ...] = ()


def keep_secret(settings: "Settings") -> None:
    """Mask the secrets of these settings from now on."""
    global _secrets
    found = {one for _, value in settings for one in _secrets_in(value)}
    _secrets = tuple(sorted((one for one in found if len(one) >= _SHORTEST), key=len, reverse=True))


def mask(text: str) -> str:
    """Return the text without secrets, and with phone numbers down to their last two digits."""
    for secret in _secrets:
        text = text.replace(secret, "***")
    text = _PASSWORD.sub("://***@", text)
    text = _KEY.sub(r"\1***", text)
    text = _AUTHORIZATION.sub(r"\1 ***", text)
    text = _NUMBER.sub(lambda number: "***" + number[0][-2:], text)
    return _CONTROL.sub("?", text)


def _secrets_in(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield from _parts(value.get_secret_value())
    elif isinstance(value, BaseModel):
        for _, one in value:
            yield from _secrets_in(one)
    elif isinstance(value, tuple):
        for one in value:
            yield from _secrets_in(one)


def _parts(secret: str) -> Iterator[str]:
    """Yield the secret itself, or the password where it is an address."""
    if "://" not in secret:
        yield secret
    elif found := _PASSWORD.search(secret):
        yield from {found[1], unquote(found[1])}
