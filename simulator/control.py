"""The control API: faults and records over HTTP, for tests and demonstrations."""

import json
from datetime import datetime
from typing import Any

from aiohttp import web

from simulator.faults import Faults
from simulator.lifecycle import Lifecycle
from simulator.message import Message, Try
from simulator.records import Records
from simulator.tasks import Tasks


class Control:
    """The control API, under `/_simulator`. Real providers have no such API."""

    def __init__(
        self, records: Records, faults: Faults, lifecycle: Lifecycle, tasks: Tasks
    ) -> None:
        self._records = records
        self._faults = faults
        self._lifecycle = lifecycle
        self._tasks = tasks

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/_simulator/records", self._read_records),
            web.get("/_simulator/idle", self._read_idle),
            web.get("/_simulator/faults", self._read_faults),
            web.post("/_simulator/faults", self._set_faults),
            web.post("/_simulator/next", self._inject_next),
            web.post("/_simulator/release/{sid}", self._release),
            web.post("/_simulator/callbacks/{sid}", self._force),
        ]

    async def _read_records(self, request: web.Request) -> web.Response:
        totals = self._records.summary()
        if request.query.get("summary") == "1":
            return web.json_response(totals)
        messages = self._records.oldest_first(request.query.get("to"))
        return web.json_response({"totals": totals, "messages": [*map(_entry, messages)]})

    async def _read_idle(self, _: web.Request) -> web.Response:
        in_flight = self._tasks.in_flight
        return web.json_response({"idle": in_flight == 0, "in_flight": in_flight})

    async def _read_faults(self, _: web.Request) -> web.Response:
        return web.json_response(self._faults.rates)

    async def _set_faults(self, request: web.Request) -> web.Response:
        rates = await _json(request)
        try:
            self._faults.set({name: float(rate) for name, rate in rates.items()})
        except (TypeError, ValueError) as error:
            raise _bad(str(error)) from None
        return web.json_response(self._faults.rates)

    async def _inject_next(self, request: web.Request) -> web.Response:
        fields = await _json(request)
        try:
            self._faults.inject(str(fields.get("fault")), int(fields.get("count", 1)))
        except (TypeError, ValueError) as error:
            raise _bad(str(error)) from None
        return web.Response(status=204)

    async def _release(self, request: web.Request) -> web.Response:
        if not self._lifecycle.release(self._find(request)):
            raise _bad("the message is not scheduled")
        return web.Response(status=204)

    async def _force(self, request: web.Request) -> web.Response:
        message, fields = self._find(request), await _json(request)
        status, code = fields.get("status"), fields.get("error_code")
        if not isinstance(status, str) or not status:
            raise _bad("status must be a text that is not empty")
        await self._lifecycle.force(message, status, int(code) if code else None)
        return web.json_response(_entry(message))

    def _find(self, request: web.Request) -> Message:
        message = self._records.find(request.match_info["sid"])
        if message is None:
            raise web.HTTPNotFound(text="no such message")
        return message


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        value = await request.json()
    except json.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise _bad("the body must be a JSON object")
    return value


def _bad(text: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=text)


def _entry(message: Message) -> dict[str, object]:
    return {
        "number": message.number,
        "provider": message.order.provider,
        "sid": message.sid,
        "to": message.order.to,
        "from": message.sender,
        "messaging_service_sid": message.order.service,
        "body": message.body,
        "body_sha256": message.body_sha256,
        "created_at": _iso(message.created_at),
        "status": message.status,
        "statuses": message.statuses,
        "error_code": message.error_code,
        "on_air": message.on_air,
        "deleted": message.deleted,
        "fault": message.fault,
        "reference": message.order.reference,
        "status_callback": message.order.status_callback,
        "callbacks": [*map(_try, message.tries)],
        "dropped": message.dropped,
    }


def _try(entry: Try) -> dict[str, object]:
    return {
        "status": entry.status,
        "url": entry.url,
        "token": entry.token,
        "try": entry.number,
        "copy": entry.copy,
        "at": _iso(entry.at),
        "answer": entry.answer,
        "error": entry.error,
    }


def _iso(moment: datetime) -> str:
    return moment.isoformat()
