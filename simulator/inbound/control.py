"""The control API of persons: what they write, and the records of it."""

import asyncio

from aiohttp import web

from simulator.accounts import Accounts
from simulator.control_json import bad_request, iso, read_json, try_entry
from simulator.inbound.blocks import Blocks
from simulator.inbound.control_fields import read_faults, read_sid, read_text, read_time
from simulator.inbound.message import InboundMessage
from simulator.inbound.persons import Persons
from simulator.inbound.urls import InboundUrls
from simulator.message import Try
from simulator.records import Records


class InboundControl:
    """Makes persons write, and shows what they wrote and what became of it."""

    def __init__(
        self,
        accounts: Accounts,
        records: Records,
        persons: Persons,
        urls: InboundUrls,
        blocks: Blocks,
    ) -> None:
        self._accounts = accounts
        self._records = records
        self._persons = persons
        self._urls = urls
        self._blocks = blocks

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        inbound = "/_simulator/inbound"
        return [
            web.get(inbound, self._read_records),
            web.post(inbound, self._write),
            web.get(f"{inbound}/{{sid}}", self._read),
            web.post(f"{inbound}/{{sid}}/repeat", self._repeat),
            web.get("/_simulator/inbound-urls", self._read_urls),
            web.post("/_simulator/inbound-urls", self._set_urls),
        ]

    async def _read_records(self, request: web.Request) -> web.Response:
        totals = {"totals": self._records.inbound.summary()}
        if request.query.get("summary") == "1":
            return web.json_response(totals)
        person = request.query.get("from")
        messages = [
            inbound_entry(message)
            for message in self._records.inbound.oldest_first()
            if person in (None, message.sender)
        ]
        return web.json_response({**totals, "messages": messages, "blocks": self._blocks.entries()})

    async def _write(self, request: web.Request) -> web.Response:
        fields = await read_json(request)
        try:
            message, sending = self._persons.write(
                read_text(fields, self._accounts, self._records),
                faults=read_faults(fields),
                sid=read_sid(fields, self._records),
                received_at=read_time(fields),
            )
        except ValueError as error:
            raise bad_request(str(error)) from None
        return await _answer(message, sending if fields.get("wait") else None, status=201)

    async def _repeat(self, request: web.Request) -> web.Response:
        message = self._find(request)
        return await _answer(message, self._persons.repeat(message))

    async def _read(self, request: web.Request) -> web.Response:
        return web.json_response(inbound_entry(self._find(request)))

    async def _read_urls(self, _: web.Request) -> web.Response:
        return web.json_response(self._urls.urls)

    async def _set_urls(self, request: web.Request) -> web.Response:
        try:
            self._urls.set(await read_json(request))
        except ValueError as error:
            raise bad_request(str(error)) from None
        return web.json_response(self._urls.urls)

    def _find(self, request: web.Request) -> InboundMessage:
        message = self._records.inbound.find(request.match_info["sid"])
        if message is None:
            raise web.HTTPNotFound(text="no such inbound message")
        return message


async def _answer(
    message: InboundMessage, sending: asyncio.Task[None] | None, status: int = 200
) -> web.Response:
    """Show a message, after its requests if there is a task to wait for."""
    if sending:
        await asyncio.shield(sending)
    return web.json_response(inbound_entry(message), status=status)


def inbound_entry(message: InboundMessage) -> dict[str, object]:
    """Return the record of one inbound message."""
    text = message.text
    return {
        "number": message.number,
        "provider": text.account.provider,
        "account": text.account.id,
        "sid": message.sid,
        "from": text.sender,
        "to": text.to,
        "messaging_service_sid": text.service,
        "body": text.body,
        "media": text.media,
        "answered_sid": text.answered_sid,
        "received_at": iso(message.received_at),
        "acknowledged": message.acknowledged,
        "callbacks": [*map(_try, message.tries)],
        "dropped": bool(message.dropped),
    }


def _try(entry: Try) -> dict[str, object]:
    return {
        **try_entry(entry),
        "answer_type": entry.answer_type,
        "answer_body": entry.answer_body,
    }
