"""The Messages resource over HTTP.

https://www.twilio.com/docs/messaging/api/message-resource
"""

from base64 import b64encode
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Final
from uuid import uuid4

from aiohttp import web

from simulator.books import Books
from simulator.carrier import Carrier
from simulator.codes import Refusal
from simulator.config import Config
from simulator.creates import Creates, Failed, error_headers
from simulator.form import one, read_form
from simulator.listing import list_page
from simulator.message import Message
from simulator.resource import API_VERSION, to_resource
from simulator.validation import read_order

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_FAILURES: Final = {429: 20429, 500: 20500, 503: 20503}


class MessagesApi:
    """Answers what the official client asks."""

    def __init__(self, config: Config, books: Books, creates: Creates, carrier: Carrier) -> None:
        self._config = config
        self._books = books
        self._creates = creates
        self._carrier = carrier
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
        """Let only the account in, and word every refusal as Twilio does."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            started = perf_counter()
            self._concurrent += 1
            try:
                self._authenticate(request)
                response = await handler(request)
            except Refusal as refusal:
                response = self._refused(refusal)
            finally:
                self._concurrent -= 1
            response.headers["Twilio-Concurrent-Requests"] = str(self._concurrent + 1)
            response.headers["Twilio-Request-Id"] = f"RQ{uuid4().hex}"
            response.headers["Twilio-Request-Duration"] = f"{perf_counter() - started:.3f}"
            return response

        return guarded

    def _refused(self, refusal: Refusal) -> web.Response:
        headers = error_headers(self._config, refusal.status)
        return web.json_response(refusal.body, status=refusal.status, headers=headers)

    def _authenticate(self, request: web.Request) -> None:
        known = request.headers.get("Authorization") == self._authorization
        if not known or request.match_info["account"] != self._config.account_sid:
            raise Refusal(20003)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        self._books.creates["received"] += 1
        try:
            order = read_order(read_form(await request.text()))
        except Refusal as refusal:
            self._books.refused[refusal.code] += 1
            raise
        try:
            return await self._creates.take(request, order, self._created)
        except Failed as failed:
            raise Refusal(_FAILURES[failed.status]) from None

    async def _list(self, request: web.Request) -> web.StreamResponse:
        query = read_form(request.rel_url.raw_query_string)
        return web.json_response(list_page(self._books, self._config.account_sid, query))

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        return self._show(self._find(request))

    async def _update(self, request: web.Request) -> web.StreamResponse:
        """Cancel or redact: nothing else about a message can change."""
        message, form = self._find(request), read_form(await request.text())
        if status := one(form, "Status"):
            if status != "canceled":
                raise Refusal(20001, f"Invalid Status: {status}")
            self._carrier.cancel(message)
        elif form.get("Body") == [""]:
            self._carrier.redact(message)
        else:
            raise Refusal(21698)
        return self._show(message)

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        self._carrier.delete(self._find(request))
        return web.Response(status=204)

    def _find(self, request: web.Request) -> Message:
        message = self._books.find(request.match_info["sid"])
        if message is None or message.deleted or message.order.wire != "twilio":
            raise Refusal(20404, f"The requested resource {request.path} was not found")
        return message

    def _created(self, message: Message) -> web.Response:
        return self._show(message, status=201)

    def _show(self, message: Message, status: int = 200) -> web.Response:
        return web.json_response(to_resource(message, self._config.account_sid), status=status)
