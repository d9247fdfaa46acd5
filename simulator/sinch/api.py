"""The batches of one service plan over HTTP.

https://developers.sinch.com/docs/sms/api-reference/sms/tag/Batches/
"""

import json
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Final

from aiohttp import web

from simulator.config import Config
from simulator.create_handler import CreateHandler, InjectedError, error_headers
from simulator.error_codes import ApiError as NotScheduled
from simulator.lifecycle import Lifecycle
from simulator.message import Message
from simulator.records import Records
from simulator.sinch.orders import ApiError, parse_order
from simulator.sinch.reports import to_batch, to_batch_report

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_FAILURES: Final = {
    429: "too_many_requests",
    500: "internal_error",
    503: "service_unavailable",
}
_DEFAULT_PAGE_SIZE: Final = 30
_MAX_PAGE_SIZE: Final = 100


class BatchesApi:
    """Serves the batches API."""

    def __init__(
        self, config: Config, records: Records, create_handler: CreateHandler, lifecycle: Lifecycle
    ) -> None:
        self._config = config
        self._records = records
        self._create_handler = create_handler
        self._lifecycle = lifecycle

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
        """Authenticate requests and return errors in Sinch's format."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                self._authenticate(request)
                return await handler(request)
            except ApiError as error:
                return self._error_response(error)

        return guarded

    def _error_response(self, error: ApiError) -> web.Response:
        headers = error_headers(self._config, error.status)
        return web.json_response(error.body, status=error.status, headers=headers)

    def _authenticate(self, request: web.Request) -> None:
        authorized = request.headers.get("Authorization") == f"Bearer {self._config.sinch_token}"
        if not authorized or request.match_info["plan"] != self._config.sinch_plan:
            raise ApiError(401, "unauthorized", "The token is not valid for this service plan")

    async def _create(self, request: web.Request) -> web.StreamResponse:
        self._records.creates["received"] += 1
        try:
            order = parse_order(_json(await request.text()))
        except ApiError as error:
            self._records.refused[error.code] += 1
            raise
        try:
            return await self._create_handler.handle(request, order, _created)
        except InjectedError as error:
            raise ApiError(error.status, _FAILURES[error.status], "Try again later") from None

    async def _list(self, request: web.Request) -> web.StreamResponse:
        """List batches, newest first; with `client_reference`, only its batches."""
        query = request.query
        size = min(int(query.get("page_size", _DEFAULT_PAGE_SIZE)), _MAX_PAGE_SIZE)
        number = int(query.get("page", 0))
        messages = self._matching(query.get("client_reference"))
        page = islice(messages, number * size, (number + 1) * size)
        batches = [to_batch(message) for message in page]
        return web.json_response(
            {"page": number, "page_size": len(batches), "count": len(messages), "batches": batches}
        )

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(to_batch(self._find(request)))

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        message = self._find(request)
        try:
            self._lifecycle.cancel(message)
        except NotScheduled:
            text = "The batch is already being sent"
            raise ApiError(400, "syntax_constraint_violation", text) from None
        return web.json_response(to_batch(message))

    async def _report(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(to_batch_report(self._find(request)))

    def _find(self, request: web.Request) -> Message:
        message = self._records.find(request.match_info["id"])
        if message is None or message.order.provider != "sinch":
            raise ApiError(404, "not_found", "There is no such batch")
        return message

    def _matching(self, reference: str | None) -> list[Message]:
        return [
            message
            for message in self._records.newest_first()
            if message.order.provider == "sinch" and reference in (None, message.order.reference)
        ]


def _created(message: Message) -> web.Response:
    return web.json_response(to_batch(message), status=201)


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ApiError(400, "syntax_invalid_json", "The body is not valid JSON") from None
