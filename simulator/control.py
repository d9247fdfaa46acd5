"""The control API: faults and records over HTTP, for tests and demonstrations."""

from aiohttp import web

from simulator.control_json import bad_request, message_entry, read_json
from simulator.faults import Faults
from simulator.lifecycle import Lifecycle
from simulator.message import Message
from simulator.queue_time import QueueTime
from simulator.records import Records
from simulator.tasks import Tasks


class Control:
    """The control API, under `/_simulator`. Real providers have no such API."""

    def __init__(
        self,
        records: Records,
        faults: Faults,
        queue_time: QueueTime,
        lifecycle: Lifecycle,
        tasks: Tasks,
    ) -> None:
        self._records = records
        self._faults = faults
        self._queue_time = queue_time
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
            web.get("/_simulator/queue", self._read_queue_time),
            web.post("/_simulator/queue", self._set_queue_time),
            web.post("/_simulator/outcomes", self._set_outcomes),
            web.post("/_simulator/release/{sid}", self._release),
            web.post("/_simulator/callbacks/{sid}", self._force),
        ]

    async def _read_records(self, request: web.Request) -> web.Response:
        totals = self._records.summary()
        if request.query.get("summary") == "1":
            return web.json_response(totals)
        messages = self._records.oldest_first(request.query.get("to"))
        return web.json_response({"totals": totals, "messages": [*map(message_entry, messages)]})

    async def _read_idle(self, _: web.Request) -> web.Response:
        in_flight = self._tasks.in_flight
        return web.json_response({"idle": in_flight == 0, "in_flight": in_flight})

    async def _read_faults(self, _: web.Request) -> web.Response:
        return web.json_response(self._faults.rates)

    async def _set_faults(self, request: web.Request) -> web.Response:
        rates = await read_json(request)
        try:
            self._faults.set({name: float(rate) for name, rate in rates.items()})
        except (TypeError, ValueError) as error:
            raise bad_request(str(error)) from None
        return web.json_response(self._faults.rates)

    async def _inject_next(self, request: web.Request) -> web.Response:
        fields = await read_json(request)
        try:
            self._faults.inject(str(fields.get("fault")), int(fields.get("count", 1)))
        except (TypeError, ValueError) as error:
            raise bad_request(str(error)) from None
        return web.Response(status=204)

    async def _read_queue_time(self, _: web.Request) -> web.Response:
        return web.json_response({"seconds": self._queue_time.seconds})

    async def _set_queue_time(self, request: web.Request) -> web.Response:
        fields = await read_json(request)
        try:
            self._queue_time.set(float(fields["seconds"]))
        except (KeyError, TypeError, ValueError):
            raise bad_request("seconds must be a number between 0 and 86400") from None
        return web.json_response({"seconds": self._queue_time.seconds})

    async def _set_outcomes(self, request: web.Request) -> web.Response:
        weights = await read_json(request)
        try:
            self._lifecycle.outcomes.set({name: float(each) for name, each in weights.items()})
        except (TypeError, ValueError) as error:
            raise bad_request(str(error)) from None
        return web.Response(status=204)

    async def _release(self, request: web.Request) -> web.Response:
        if not self._lifecycle.release(self._find(request)):
            raise bad_request("the message is not scheduled")
        return web.Response(status=204)

    async def _force(self, request: web.Request) -> web.Response:
        message, fields = self._find(request), await read_json(request)
        status, code = fields.get("status"), fields.get("error_code")
        if not isinstance(status, str) or not status:
            raise bad_request("status must be a text that is not empty")
        await self._lifecycle.force(message, status, int(code) if code else None)
        return web.json_response(message_entry(message))

    def _find(self, request: web.Request) -> Message:
        message = self._records.find(request.match_info["sid"])
        if message is None:
            raise web.HTTPNotFound(text="no such message")
        return message
