"""The Messages resource over HTTP.

https://www.twilio.com/docs/messaging/api/message-resource
"""

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Final
from uuid import uuid4

from aiohttp import web

from simulator.accounts import Account, Accounts, basic_credentials
from simulator.config import Config
from simulator.create_handler import CreateHandler, InjectedError, error_headers
from simulator.error_codes import ApiError, error_body
from simulator.form import last_value, read_form
from simulator.inbound.blocks import Blocks
from simulator.lifecycle import Lifecycle
from simulator.listing import list_page
from simulator.message import Message
from simulator.records import Records
from simulator.resource import API_VERSION, to_resource
from simulator.validation import parse_order

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
AccountHandler = Callable[[web.Request, Account], Awaitable[web.StreamResponse]]

#: The code of an injected status. Others come from a proxy in front of the API.
_FAILURES: Final = {401: 20003, 403: 20403, 404: 20404, 429: 20429, 500: 20500, 503: 20503}


class MessagesApi:
    """Serves the Messages resource to Twilio's client."""

    def __init__(
        self,
        config: Config,
        accounts: Accounts,
        records: Records,
        create_handler: CreateHandler,
        lifecycle: Lifecycle,
        blocks: Blocks,
    ) -> None:
        self._config = config
        self._records = records
        self._create_handler = create_handler
        self._lifecycle = lifecycle
        self._blocks = blocks
        self._concurrent = 0
        self._accounts = accounts

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the resource."""
        messages = f"/{API_VERSION}/Accounts/{{account}}/Messages"
        one_message = f"{messages}/{{sid}}.json"
        return [
            web.post(f"{messages}.json", self._guarded(self._create)),
            web.get(f"{messages}.json", self._guarded(self._list)),
            web.get(one_message, self._guarded(self._fetch)),
            web.post(one_message, self._guarded(self._update)),
            web.delete(one_message, self._guarded(self._delete)),
        ]

    def _guarded(self, handler: AccountHandler) -> Handler:
        """Authenticate requests and return errors in Twilio's format."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            started = perf_counter()
            self._concurrent += 1
            try:
                account = self._authenticate(request)
                if handler != self._create:  # a create request is checked with its order
                    self._create_handler.check(account)
                response = await handler(request, account)
            except ApiError as error:
                response = self._error_response(error.status, error.body)
            except InjectedError as error:
                response = self._injected_response(error)
            finally:
                self._concurrent -= 1
            response.headers["Twilio-Concurrent-Requests"] = str(self._concurrent + 1)
            response.headers["Twilio-Request-Id"] = f"RQ{uuid4().hex}"
            response.headers["Twilio-Request-Duration"] = f"{perf_counter() - started:.3f}"
            return response

        return guarded

    def _error_response(self, status: int, body: dict[str, object]) -> web.Response:
        headers = error_headers(self._config, status)
        return web.json_response(body, status=status, headers=headers)

    def _injected_response(self, error: InjectedError) -> web.Response:
        """Format an injected error; a status without a code has no body."""
        code = error.code or _FAILURES.get(error.status)
        if code is None:
            response = web.Response(status=error.status)
        else:
            response = self._error_response(error.status, error_body(int(code), error.status))
        response.headers.update(error.headers)
        return response

    def _authenticate(self, request: web.Request) -> Account:
        account = self._accounts.find("twilio", request.match_info["account"])
        if account is None:
            raise ApiError(20003)
        totals = self._records.accounts.of(account)
        credentials = basic_credentials(request.headers.get("Authorization", ""))
        if not account.accepts_basic(*credentials):
            totals.unauthorized += 1
            raise ApiError(20003)
        totals.calls += 1
        return account

    async def _create(self, request: web.Request, account: Account) -> web.StreamResponse:
        self._records.receive_create(account)
        try:
            order = parse_order(read_form(await request.text()), account)
            self._blocks.check(order)
        except ApiError as error:
            self._records.refuse_create(account, error.code)
            raise
        return await self._create_handler.handle(request, order, _created)

    async def _list(self, request: web.Request, account: Account) -> web.StreamResponse:
        query = read_form(request.rel_url.raw_query_string)
        return web.json_response(list_page(self._records, account, query))

    async def _fetch(self, request: web.Request, account: Account) -> web.StreamResponse:
        return _show(self._find(request, account))

    async def _update(self, request: web.Request, account: Account) -> web.StreamResponse:
        """Cancel or redact a message. No other change is allowed."""
        message, form = self._find(request, account), read_form(await request.text())
        if status := last_value(form, "Status"):
            if status != "canceled":
                raise ApiError(20001, f"Invalid Status: {status}")
            self._lifecycle.cancel(message)
        elif form.get("Body") == [""]:
            self._lifecycle.redact(message)
        else:
            raise ApiError(21698)
        return _show(message)

    async def _delete(self, request: web.Request, account: Account) -> web.StreamResponse:
        self._lifecycle.delete(self._find(request, account))
        return web.Response(status=204)

    def _find(self, request: web.Request, account: Account) -> Message:
        message = self._records.find(request.match_info["sid"])
        if message is None or message.deleted or message.order.account is not account:
            raise ApiError(20404, f"The requested resource {request.path} was not found")
        return message


def _created(message: Message) -> web.Response:
    return _show(message, status=201)


def _show(message: Message, status: int = 200) -> web.Response:
    return web.json_response(to_resource(message), status=status)
