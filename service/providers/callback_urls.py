"""The paths of callbacks and inbound messages: they name the account that must sign."""

import re
from collections.abc import Collection
from typing import Final
from uuid import UUID

from service.domain.account import DEFAULT_ACCOUNT
from service.providers.base import RefusalAdvice

# Slashes of /callbacks/<provider> and /inbound/<provider>.
_WITHOUT_OWNER: Final = 2
# Parts of /callbacks/<provider>/<owner>/<attempt> and /inbound/<provider>/<owner>.
_PARTS: Final = 5
_INBOUND_PARTS: Final = 4
_ACCOUNT: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")

# The reason of refusal for an account that was removed from the settings.
NOT_CONFIGURED: Final = "account_not_configured"
NOT_CONFIGURED_ADVICE: Final = RefusalAdvice(
    "their paths name an account that is not configured",
    "Configure it again under the same name, with ACCOUNTS_FILE or, for the account default, the "
    "other settings, until its messages have ended. /ops and the log of refused callbacks have the "
    "ids of their attempts.",
)


def callback_path(provider: str, account: str, attempt_id: UUID, secret: str | None = None) -> str:
    """Return the path of callbacks about an attempt.

    The default account has no name in it: its messages keep the paths of earlier versions.
    """
    name = None if account == DEFAULT_ACCOUNT else account
    owner = ".".join(filter(None, (name, secret)))
    return "/".join(filter(None, (f"/callbacks/{provider}", owner, str(attempt_id))))


def account_in(path: str, names: Collection[str]) -> str | None:
    """Return the account in a path, or the default; None if any account may call it.

    Only a path without an attempt, as set in a provider's console, is open to all accounts.
    """
    if path.count("/") == _WITHOUT_OWNER:
        return None
    name = _account_part(path)
    return name if name in names else DEFAULT_ACCOUNT


def names_unknown_account(path: str, names: Collection[str]) -> bool:
    """Return whether a path may name an account that is not configured (or has a secret)."""
    name = _account_part(path)
    return name not in names and _ACCOUNT.fullmatch(name) is not None


def secret_in(path: str, account: str) -> str:
    """Return the secret in a path, after the account if it is not the default; else nothing."""
    return _owner(path).removeprefix(f"{account}.")


def _account_part(path: str) -> str:
    """Return what stands in a path in place of an account; the default if nothing does."""
    return _owner(path).partition(".")[0] or DEFAULT_ACCOUNT


def _owner(path: str) -> str:
    """Return the account, the secret or both in a path: before the attempt, or of inbound, last."""
    parts = path.split("/")
    has_owner = len(parts) == (_INBOUND_PARTS if parts[1:2] == ["inbound"] else _PARTS)
    return parts[3] if has_owner else ""
