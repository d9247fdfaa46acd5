"""The Messages resource over HTTP.

https://www.twilio.com/docs/messaging/api/message-resource
"""

from base64 import b64encode
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Final
from uuid import uuid4

from aiohttp import web

from simulator.config import Config
from simulator.create_handler import CreateHandler, InjectedError, error_headers
from simulator.error_codes import ApiError
from simulator.form import last_value, read_form
from simulator.lifecycle import Lifecycle
from simulator.listing import list_page
from simulator.message import Message
from simulator.records import Records
from simulator.resource import API_VERSION, to_resource
from simulator.validation import parse_order

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_FAILURES: Final = {429: 20429, 500: 20500, 503: 20503}


class MessagesApi:
    """Serves the Messages resource to Twilio's client."""

    def __init__(
        self, config: Config, records: Records, create_handler: CreateHandler, lifecycle: Lifecycle
    ) -> None:
        self._config = config
        self._records = records
        self._create_handler = create_handler
        self._lifecycle = lifecycle
        self._concurrent = 0
        credentials = f"{config.account_sid}:{config.auth_token}".encode()
        self._authorization = "Basic " + b64encode(credentials).decode()

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

    def _guarded(self, handler: Handler) -> Handler:
        """Authenticate requests and return errors in Twilio's format."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            started = perf_counter()
            self._concurrent += 1
            try:
                self._authenticate(request)
                response = await handler(request)
            except ApiError as error:
                response = self._error_response(error)
            finally:
                self._concurrent -= 1
            response.headers["Twilio-Concurrent-Requests"] = str(self._concurrent + 1)
            response.headers["Twilio-Request-Id"] = f"RQ{uuid4().hex}"
            response.headers["Twilio-Request-Duration"] = f"{perf_counter() - started:.3f}"
            return response

        return guarded

    def _error_response(self, error: ApiError) -> web.Response:
        headers = error_headers(self._config, error.status)
        return web.json_response(error.body, status=error.status, headers=headers)

    def _authenticate(self, request: web.Request) -> None:
        authorized = request.headers.get("Authorization") == self._authorization
        if not authorized or request.match_info["account"] != self._config.account_sid:
            raise ApiError(20003)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        self._records.creates["received"] += 1
        try:
            order = parse_order(read_form(await request.text()))
        except ApiError as error:
            self._records.refused[error.code] += 1
            raise
        try:
            return await self._create_handler.handle(request, order, self._created)
        except InjectedError as error:
            raise ApiError(_FAILURES[error.status]) from None

    async def _list(self, request: web.Request) -> web.StreamResponse:
        query = read_form(request.rel_url.raw_query_string)
        return web.json_response(list_page(self._records, self._config.account_sid, query))

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        return self._show(self._find(request))

    async def _update(self, request: web.Request) -> web.StreamResponse:
        """Cancel or redact a message. No other change is allowed."""
        message, form = self._find(request), read_form(await request.text())
        if status := last_value(form, "Status"):
            if status != "canceled":
                raise ApiError(20001, f"Invalid Status: {status}")
            self._lifecycle.cancel(message)
        elif form.get("Body") == [""]:
            self._lifecycle.redact(message)
        else:
            raise ApiError(21698)
        return self._show(message)

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        self._lifecycle.delete(self._find(request))
        return web.Response(status=204)

    def _find(self, request: web.Request) -> Message:
        message = self._records.find(request.match_info["sid"])
        if message is None or message.deleted or message.order.provider != "twilio":
            raise ApiError(20404, f"The requested resource {request.path} was not found")
        return message

    def _created(self, message: Message) -> web.Response:
        return self._show(message, status=201)

    def _show(self, message: Message, status: int = 200) -> web.Response:
        return web.json_response(to_resource(message, self._config.account_sid), status=status)
