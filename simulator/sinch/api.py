"""The batches of one service plan over HTTP.

https://developers.sinch.com/docs/sms/api-reference/sms/tag/Batches/
"""

import json
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Final

from aiohttp import web

from simulator.books import Books
from simulator.carrier import Carrier
from simulator.codes import Refusal as TooLate
from simulator.config import Config
from simulator.creates import Creates, Failed, error_headers
from simulator.message import Message
from simulator.sinch.orders import Refusal, read_order
from simulator.sinch.reports import to_batch, to_batch_report

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_FAILURES: Final = {
    429: "too_many_requests",
    500: "internal_error",
    503: "service_unavailable",
}
_USUAL_PAGE: Final = 30
_LARGEST_PAGE: Final = 100


class BatchesApi:
    """Answers what a client of the batches API asks."""

    def __init__(self, config: Config, books: Books, creates: Creates, carrier: Carrier) -> None:
        self._config = config
        self._books = books
        self._creates = creates
        self._carrier = carrier

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the service plan."""
        batches = "/xms/v1/{plan}/batches"
        return [
            web.post(batches, self._guarded(self._create)),
            web.get(batches, self._guarded(self._list)),
            web.get(f"{batches}/{{id}}", self._guarded(self._fetch)),
            web.delete(f"{batches}/{{id}}", self._guarded(self._cancel)),
            web.get(f"{batches}/{{id}}/delivery_report", self._guarded(self._report)),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        """Let only the plan's own token in, and word every refusal as Sinch does."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                self._authenticate(request)
                return await handler(request)
            except Refusal as refusal:
                return self._refused(refusal)

        return guarded

    def _refused(self, refusal: Refusal) -> web.Response:
        headers = error_headers(self._config, refusal.status)
        return web.json_response(refusal.body, status=refusal.status, headers=headers)

    def _authenticate(self, request: web.Request) -> None:
        known = request.headers.get("Authorization") == f"Bearer {self._config.sinch_token}"
        if not known or request.match_info["plan"] != self._config.sinch_plan:
            raise Refusal(401, "unauthorized", "The token is not valid for this service plan")

    async def _create(self, request: web.Request) -> web.StreamResponse:
        self._books.creates["received"] += 1
        try:
            order = read_order(_json(await request.text()))
        except Refusal as refusal:
            self._books.refused[refusal.code] += 1
            raise
        try:
            return await self._creates.take(request, order, _created)
        except Failed as failed:
            raise Refusal(failed.status, _FAILURES[failed.status], "Try again later") from None

    async def _list(self, request: web.Request) -> web.StreamResponse:
        """List newest first, by the client's reference or all."""
        query = request.query
        size = min(int(query.get("page_size", _USUAL_PAGE)), _LARGEST_PAGE)
        number = int(query.get("page", 0))
        found = [*self._matching(query.get("client_reference"))]
        page = islice(found, number * size, (number + 1) * size)
        batches = [to_batch(message) for message in page]
        return web.json_response(
            {"page": number, "page_size": len(batches), "count": len(found), "batches": batches}
        )

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(to_batch(self._find(request)))

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        message = self._find(request)
        try:
            self._carrier.cancel(message)
        except TooLate:
            raise Refusal(400, "syntax_constraint_violation", "It is on its way") from None
        return web.json_response(to_batch(message))

    async def _report(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(to_batch_report(self._find(request)))

    def _find(self, request: web.Request) -> Message:
        message = self._books.find(request.match_info["id"])
        if message is None or message.order.wire != "sinch":
            raise Refusal(404, "not_found", "There is no such batch")
        return message

    def _matching(self, reference: str | None) -> list[Message]:
        return [
            message
            for message in self._books.newest_first()
            if message.order.wire == "sinch" and reference in (None, message.order.reference)
        ]


def _created(message: Message) -> web.Response:
    return web.json_response(to_batch(message), status=201)


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Refusal(400, "syntax_invalid_json", "Not JSON") from None
