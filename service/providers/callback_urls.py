"""The paths at which accounts call back: they name the account that must sign."""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from service.domain.account import DEFAULT_ACCOUNT

_WITHOUT_ATTEMPT: Final = 3
_WITH_ACCOUNT: Final = 5


def callback_path(provider: str, account: str, attempt_id: UUID, secret: str | None = None) -> str:
    """Return the path of callbacks about an attempt.

    The default account has none of its own: its messages keep the paths of earlier versions.
    """
    name = None if account == DEFAULT_ACCOUNT else account
    owner = ".".join(filter(None, (name, secret)))
    return "/".join(filter(None, (f"/callbacks/{provider}", owner, str(attempt_id))))


def account_in(path: str, names: Collection[str]) -> str | None:
    """Return the account in a path, or the default; None if any account may call it.

    Only a path without an attempt, as set in a provider's console, is open to all accounts.
    """
    segments = path.split("/")
    if len(segments) == _WITHOUT_ATTEMPT:
        return None
    name = segments[3].partition(".")[0] if len(segments) == _WITH_ACCOUNT else ""
    return name if name in names else DEFAULT_ACCOUNT


def secret_in(path: str, account: str) -> str:
    """Return the secret in a path, after the account if it is not the default; else nothing."""
    segments = path.split("/")
    owner = segments[3] if len(segments) == _WITH_ACCOUNT else ""
    return owner.removeprefix(f"{account}.")
