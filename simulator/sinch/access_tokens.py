"""The access tokens of Sinch projects: OAuth 2 client credentials.

https://developers.sinch.com/docs/sms/api-reference/authentication/oauth/
"""

import secrets
import time
from http import HTTPStatus

from aiohttp import web

from simulator.account_records import AccountRecords
from simulator.accounts import Account, Accounts, basic_credentials
from simulator.form import last_value, read_form


class AccessTokens:
    """Issues access tokens for the access keys of projects."""

    def __init__(self, lifetime: float, accounts: Accounts, records: AccountRecords) -> None:
        self._lifetime = lifetime  # seconds
        self._accounts = accounts
        self._records = records
        self._issued: dict[str, tuple[Account, float]] = {}  # with the time at which it expires

    def routes(self) -> list[web.RouteDef]:
        """Return the route of the token endpoint."""
        return [web.post("/oauth2/token", self._issue)]

    def find_account(self, token: str) -> Account | None:
        """Return the project of a token; None if the token is unknown or expired."""
        account, expires_at = self._issued.get(token, (None, 0.0))
        return account if time.monotonic() < expires_at else None

    async def _issue(self, request: web.Request) -> web.Response:
        form = read_form(await request.text())
        if last_value(form, "grant_type") != "client_credentials":
            return _error(HTTPStatus.BAD_REQUEST, "unsupported_grant_type")
        key_id, secret = basic_credentials(request.headers.get("Authorization", ""))
        key_id = key_id or last_value(form, "client_id") or ""
        secret = secret or last_value(form, "client_secret") or ""
        account = self._accounts.with_key("sinch", key_id, secret)
        if account is None:
            return _error(HTTPStatus.UNAUTHORIZED, "invalid_client")
        self._records.of(account).tokens += 1
        return web.json_response(
            {
                "access_token": self._new_token(account),
                "expires_in": int(self._lifetime),
                "scope": "",
                "token_type": "bearer",
            }
        )

    def _new_token(self, account: Account) -> str:
        now = time.monotonic()
        self._issued = {token: entry for token, entry in self._issued.items() if now < entry[1]}
        token = secrets.token_urlsafe(32)
        self._issued[token] = (account, now + self._lifetime)
        return token


def _error(status: HTTPStatus, error: str) -> web.Response:
    return web.json_response({"error": error}, status=status)
