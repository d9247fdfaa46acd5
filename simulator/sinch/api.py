"""The batches of service plans and projects over HTTP.

https://developers.sinch.com/docs/sms/api-reference/sms/tag/Batches/
"""

import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from itertools import islice
from typing import Final

from aiohttp import web

from simulator.accounts import Account, Accounts
from simulator.config import Config
from simulator.create_handler import CreateHandler, InjectedError, error_headers
from simulator.error_codes import ApiError as NotScheduled
from simulator.lifecycle import Lifecycle
from simulator.message import Message
from simulator.records import Records
from simulator.sinch.access_tokens import AccessTokens
from simulator.sinch.orders import ApiError, parse_order
from simulator.sinch.reports import to_batch, to_batch_report

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
AccountHandler = Callable[[web.Request, Account], Awaitable[web.StreamResponse]]

_FAILURES: Final = {
    403: "blocked_account",
    429: "too_many_requests",
    500: "internal_error",
    503: "service_unavailable",
}
_DEFAULT_PAGE_SIZE: Final = 30
_MAX_PAGE_SIZE: Final = 100


class BatchesApi:
    """Serves the batches API."""

    def __init__(
        self,
        config: Config,
        accounts: Accounts,
        tokens: AccessTokens,
        records: Records,
        create_handler: CreateHandler,
        lifecycle: Lifecycle,
    ) -> None:
        self._config = config
        self._accounts = accounts
        self._tokens = tokens
        self._records = records
        self._create_handler = create_handler
        self._lifecycle = lifecycle

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of service plans and projects."""
        batches = "/xms/v1/{account}/batches"
        return [
            web.post(batches, self._guarded(self._create)),
            web.get(batches, self._guarded(self._list)),
            web.get(f"{batches}/{{id}}", self._guarded(self._fetch)),
            web.delete(f"{batches}/{{id}}", self._guarded(self._cancel)),
            web.get(f"{batches}/{{id}}/delivery_report", self._guarded(self._report)),
        ]

    def _guarded(self, handler: AccountHandler) -> Handler:
        """Authenticate requests and return errors in Sinch's format."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                account = self._authenticate(request)
                if handler != self._create:  # a create request is checked with its order
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

    async def _create(self, request: web.Request, account: Account) -> web.StreamResponse:
        self._records.receive_create(account)
        try:
            order = parse_order(_json(await request.text()), account)
        except ApiError as error:
            self._records.refuse_create(account, error.code)
            raise
        return await self._create_handler.handle(request, order, _created)

    async def _list(self, request: web.Request, account: Account) -> web.StreamResponse:
        """List batches, newest first; with `client_reference`, only its batches."""
        query = request.query
        size = min(int(query.get("page_size", _DEFAULT_PAGE_SIZE)), _MAX_PAGE_SIZE)
        number = int(query.get("page", 0))
        messages = self._matching(account, query.get("client_reference"))
        page = islice(messages, number * size, (number + 1) * size)
        batches = [to_batch(message) for message in page]
        return web.json_response(
            {"page": number, "page_size": len(batches), "count": len(messages), "batches": batches}
        )

    async def _fetch(self, request: web.Request, account: Account) -> web.StreamResponse:
        return web.json_response(to_batch(self._find(request, account)))

    async def _cancel(self, request: web.Request, account: Account) -> web.StreamResponse:
        message = self._find(request, account)
        try:
            self._lifecycle.cancel(message)
        except NotScheduled:
            text = "The batch is already being sent"
            raise ApiError(400, "syntax_constraint_violation", text) from None
        return web.json_response(to_batch(message))

    async def _report(self, request: web.Request, account: Account) -> web.StreamResponse:
        return web.json_response(to_batch_report(self._find(request, account)))

    def _find(self, request: web.Request, account: Account) -> Message:
        message = self._records.find(request.match_info["id"])
        if message is None or message.order.account is not account:
            raise ApiError(404, "not_found", "There is no such batch")
        return message

    def _matching(self, account: Account, reference: str | None) -> list[Message]:
        return [
            message
            for message in self._records.newest_first()
            if message.order.account is account and reference in (None, message.order.reference)
        ]


def _created(message: Message) -> web.Response:
    return web.json_response(to_batch(message), status=201)


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ApiError(400, "syntax_invalid_json", "The body is not valid JSON") from None
