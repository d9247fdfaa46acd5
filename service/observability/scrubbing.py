"""Mask phone numbers and secrets in logs and error reports.

Our own code logs none. Messages of libraries may quote them.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from pydantic import BaseModel, SecretStr

if TYPE_CHECKING:
    from service.config.settings import Settings

# A plus and digits, with any separators; or at least nine digits that are not part of an id.
_NUMBER: Final = re.compile(
    r"(?:\+|%2B)\d(?:[ ().-]{0,2}\d){5,14}|(?<![\w.-])\d{9,15}(?![\w-])", re.IGNORECASE
)
_KEY: Final = re.compile(r"\b(wb(?:op)?_)[\w-]{20,}")
_AUTHORIZATION: Final = re.compile(r"\b(Basic|Bearer) +[\w.~+/=-]{8,}", re.IGNORECASE)
_PASSWORD: Final = re.compile(r"://[^\s@/]*:([^\s@]*)@")
# Control characters can move the cursor of a terminal.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
# Shorter secrets would match ordinary words.
_MIN_SECRET_LENGTH: Final = 8

_secrets: tuple[str, ...] = ()


def keep_secret(settings: "Settings") -> None:
    """Mask the secrets of these settings in later calls of mask()."""
    global _secrets
    secrets = {secret for _, value in settings for secret in _secrets_in(value)}
    secrets = {secret for secret in secrets if len(secret) >= _MIN_SECRET_LENGTH}
    _secrets = tuple(sorted(secrets, key=len, reverse=True))


def mask(text: str) -> str:
    """Return the text without secrets, and with only the last two digits of phone numbers."""
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
        for _, field in value:
            yield from _secrets_in(field)
    elif isinstance(value, tuple):
        for item in value:
            yield from _secrets_in(item)


def _parts(secret: str) -> Iterator[str]:
    """Yield the secret, or the password of a URL."""
    if "://" not in secret:
        yield secret
    elif password := _PASSWORD.search(secret):
        yield from {password[1], unquote(password[1])}
