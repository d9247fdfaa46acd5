"""Authenticates requests of service plans and projects, and formats errors as Sinch does."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web

from simulator.accounts import Account, Accounts
from simulator.config import Config
from simulator.create_handler import CreateHandler, InjectedError, error_headers
from simulator.records import Records
from simulator.sinch.access_tokens import AccessTokens
from simulator.sinch.orders import ApiError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
AccountHandler = Callable[[web.Request, Account], Awaitable[web.StreamResponse]]

_FAILURES: Final = {
    403: "blocked_account",
    429: "too_many_requests",
    500: "internal_error",
    503: "service_unavailable",
}


class Guard:
    """Lets requests pass that have the credentials of the account in their path."""

    def __init__(
        self,
        config: Config,
        accounts: Accounts,
        tokens: AccessTokens,
        records: Records,
        create_handler: CreateHandler,
    ) -> None:
        self._config = config
        self._accounts = accounts
        self._tokens = tokens
        self._records = records
        self._create_handler = create_handler

    def guarded(self, handler: AccountHandler, *, creates: bool = False) -> Handler:
        """Authenticate requests and return errors in Sinch's format.

        A request that creates a batch is checked for outages later, with its order.
        """

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                account = self._authenticate(request)
                if not creates:
                    self._create_handler.check(account)
                return await handler(request, account)
            except ApiError as error:
                return self._error_response(error)
            except InjectedError as error:
                code = str(error.code or _FAILURES.get(error.status, ""))
                response = self._error_response(ApiError(error.status, code, "Try again later"))
                response.headers.update(error.headers)
                return response

        return guarded

    def _error_response(self, error: ApiError) -> web.Response:
        """Format an error; 401, and a status without a code, have no body."""
        headers = error_headers(self._config, error.status)
        if error.status == HTTPStatus.UNAUTHORIZED or not error.code:
            return web.Response(status=error.status, headers=headers)
        return web.json_response(error.body, status=error.status, headers=headers)

    def _authenticate(self, request: web.Request) -> Account:
        account = self._accounts.find("sinch", request.match_info["account"])
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if account is None or scheme.lower() != "bearer":
            raise ApiError(401, "", "")
        totals = self._records.accounts.of(account)
        if not (account.accepts_token(token) or self._tokens.find_account(token) is account):
            totals.unauthorized += 1
            raise ApiError(401, "", "")
        totals.calls += 1
        return account
