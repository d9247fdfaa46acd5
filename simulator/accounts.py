"""The accounts of the providers, and their credentials.

Twilio: https://www.twilio.com/docs/iam/api-keys. Sinch service plans and projects:
https://developers.sinch.com/docs/sms/api-reference/authentication/
"""

import hmac
import tomllib
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

#: Table of the accounts file: its keys, and the fields of `Account` that they set.
_TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "twilio": {"sid": "id", "auth_token": "token", "api_keys": "keys"},
    "sinch": {"service_plan": "id", "api_token": "token", "callback_secret": "secret"},
    "sinch_project": {"project": "id", "access_keys": "keys", "callback_secret": "secret"},
}
_KEYS: Final = frozenset({"api_keys", "access_keys"})


@dataclass(frozen=True, slots=True)
class Account:
    """A Twilio account, a Sinch service plan, or a Sinch project."""

    provider: str
    id: str  # in the path of every request
    token: str = field(default="", repr=False)  # Twilio's auth token, Sinch's API token
    secret: str = field(default="", repr=False)  # signs Sinch's callbacks
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)  # key ID: secret

    @property
    def signing_key(self) -> str:
        """Return the key that signs callbacks: at Twilio the auth token, never an API key."""
        return self.token if self.provider == "twilio" else self.secret

    def accepts_basic(self, user: str, password: str) -> bool:
        """Return whether a user and password are valid: of the account, or of one of its keys."""
        secrets = {**self.keys, self.id: self.token}
        return _equal(secrets.get(user, ""), password)

    def accepts_token(self, token: str) -> bool:
        """Return whether this is the API token of the service plan."""
        return _equal(self.token, token)


class Accounts:
    """Finds accounts by ID and by key."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        """Of two accounts with the same ID, the latter counts."""
        self._accounts = {(account.provider, account.id): account for account in accounts}

    def __iter__(self) -> Iterator[Account]:
        return iter(self._accounts.values())

    def find(self, provider: str, account_id: str) -> Account | None:
        """Return the account with this ID."""
        return self._accounts.get((provider, account_id))

    def with_key(self, provider: str, key_id: str, secret: str) -> Account | None:
        """Return the account that has this key."""
        return next(
            (
                account
                for account in self
                if account.provider == provider and _equal(account.keys.get(key_id, ""), secret)
            ),
            None,
        )


def read_accounts(path: Path) -> tuple[Account, ...]:
    """Read accounts from a TOML file. Raises ValueError."""
    try:
        tables = tomllib.loads(path.read_text())
        return tuple(_account(*entry) for entry in _entries(tables))
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _entries(tables: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, entries in tables.items():
        if name not in _TABLES:
            raise ValueError(f"unknown table {name}; use {', '.join(_TABLES)}")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError(f"write [[{name}]] before each account")
        yield from ((name, entry) for entry in entries)


def _account(table: str, entry: Mapping[str, Any]) -> Account:
    names = _TABLES[table]
    if unknown := sorted(entry.keys() - names.keys()):
        raise ValueError(f"[[{table}]] has no keys {unknown}; use {', '.join(names)}")
    for name, value in entry.items():
        texts = value.values() if name in _KEYS and isinstance(value, dict) else (value,)
        if (name in _KEYS) != isinstance(value, dict) or not all(map(_is_text, texts)):
            raise ValueError(f"[[{table}]] {name} is not valid")
    fields: dict[str, Any] = {names[name]: value for name, value in entry.items()}
    fields.setdefault("id", "")
    account = Account(table.partition("_")[0], **fields)
    if not account.id or not (account.token or account.keys):
        raise ValueError(f"[[{table}]] needs an ID and credentials: {', '.join(names)}")
    return account


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def basic_credentials(authorization: str) -> tuple[str, str]:
    """Return user and password of an Authorization header; empty if it has none."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = b64decode(encoded, validate=True).decode().partition(":")
    except (Base64Error, UnicodeDecodeError):
        return "", ""
    return user, password


def _equal(expected: str, actual: str) -> bool:
    return bool(expected) and hmac.compare_digest(expected.encode(), actual.encode())
