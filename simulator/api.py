"""The Messages resource over HTTP, with the faults that strike a create.

https://www.twilio.com/docs/messaging/api/message-resource
"""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable
from itertools import count
from time import perf_counter
from typing import Final
from uuid import uuid4

from aiohttp import web

from simulator.books import Books
from simulator.carrier import Carrier
from simulator.codes import Refusal
from simulator.config import Config
from simulator.faults import UNPROCESSED, Faults
from simulator.form import one, read_form
from simulator.listing import list_page
from simulator.message import Message
from simulator.resource import API_VERSION, to_resource
from simulator.validation import read_order

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_CODES: Final = {"429": 20429, "500": 20500, "500-unprocessed": 20500, "503": 20503}
_GONE_CHECK: Final = 0.02  # seconds between two looks at whether the client is still there


class MessagesApi:
    """Answers what the official client asks."""

    def __init__(self, config: Config, books: Books, faults: Faults, carrier: Carrier) -> None:
        self._config = config
        self._books = books
        self._faults = faults
        self._carrier = carrier
        self._numbers = count(1)
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
                response = web.json_response(refusal.body, status=refusal.status)
            finally:
                self._concurrent -= 1
            response.headers["Twilio-Concurrent-Requests"] = str(self._concurrent + 1)
            response.headers["Twilio-Request-Id"] = f"RQ{uuid4().hex}"
            response.headers["Twilio-Request-Duration"] = f"{perf_counter() - started:.3f}"
            return response

        return guarded

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
        number = next(self._numbers)
        fault = self._faults.on_create(number)
        if fault:
            self._books.faults[fault] += 1
        if fault in UNPROCESSED:
            return _turn_away(request, fault)
        message = self._carrier.take(order, number, fault)
        self._books.creates["accepted"] += 1
        answer = self._show(message, status=201)
        return await self._answer(request, answer, message, fault)

    async def _answer(
        self, request: web.Request, answer: web.Response, message: Message, fault: str | None
    ) -> web.StreamResponse:
        """Send the message on its way, and answer as the fault demands."""
        walking = self._carrier.start(message)
        if fault == "500":
            raise Refusal(20500)
        if fault == "cut":
            return _hang_up(request)
        if fault == "timeout":
            await _until_gone(request, self._config.hang)
            return _hang_up(request)
        if fault == "early" and not message.order.send_at:
            await asyncio.shield(walking)
        if fault == "slow":
            await asyncio.sleep(self._config.slow)
        self._books.creates["created"] += 1
        return answer

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
        if message is None or message.deleted:
            raise Refusal(20404, f"The requested resource {request.path} was not found")
        return message

    def _show(self, message: Message, status: int = 200) -> web.Response:
        return web.json_response(to_resource(message, self._config.account_sid), status=status)


def _turn_away(request: web.Request, fault: str) -> web.Response:
    if fault == "cut-before":
        return _hang_up(request)
    raise Refusal(_CODES[fault])


def _hang_up(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response()  # goes nowhere


async def _until_gone(request: web.Request, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while loop.time() < deadline and request.transport and not request.transport.is_closing():
        await asyncio.sleep(_GONE_CHECK)
