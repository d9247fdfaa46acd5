"""The batches of service plans and projects over HTTP.

https://developers.sinch.com/docs/sms/api-reference/sms/tag/Batches/
"""

import json
from itertools import islice
from typing import Final

from aiohttp import web

from simulator.accounts import Account
from simulator.create_handler import CreateHandler
from simulator.error_codes import ApiError as NotScheduled
from simulator.lifecycle import Lifecycle
from simulator.message import Message
from simulator.records import Records
from simulator.sinch.guard import Guard
from simulator.sinch.orders import ApiError, parse_order
from simulator.sinch.reports import to_batch, to_batch_report

_DEFAULT_PAGE_SIZE: Final = 30
_MAX_PAGE_SIZE: Final = 100


class BatchesApi:
    """Serves the batches API."""

    def __init__(
        self,
        guard: Guard,
        records: Records,
        create_handler: CreateHandler,
        lifecycle: Lifecycle,
    ) -> None:
        self._guard = guard
        self._records = records
        self._create_handler = create_handler
        self._lifecycle = lifecycle

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of service plans and projects."""
        batches, guarded = "/xms/v1/{account}/batches", self._guard.guarded
        return [
            web.post(batches, guarded(self._create, creates=True)),
            web.get(batches, guarded(self._list)),
            web.get(f"{batches}/{{id}}", guarded(self._fetch)),
            web.delete(f"{batches}/{{id}}", guarded(self._cancel)),
            web.get(f"{batches}/{{id}}/delivery_report", guarded(self._report)),
        ]

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
