"""The control API of outages."""

from datetime import UTC, datetime

from aiohttp import web

from simulator.control_json import bad_request, iso, read_json
from simulator.outage import Outage
from simulator.outages import Outages


class OutagesControl:
    """Schedules, lists and ends outages, under `/_simulator/outages`."""

    def __init__(self, outages: Outages) -> None:
        self._outages = outages

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/_simulator/outages", self._list),
            web.post("/_simulator/outages", self._add),
            web.delete("/_simulator/outages", self._end_all),
            web.delete("/_simulator/outages/{id}", self._end),
        ]

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response({"outages": [*map(_entry, self._outages)]})

    async def _add(self, request: web.Request) -> web.Response:
        try:
            outage = self._outages.add(await read_json(request))
        except ValueError as error:
            raise bad_request(str(error)) from None
        return web.json_response(_entry(outage), status=201)

    async def _end_all(self, request: web.Request) -> web.Response:
        self._outages.end(self._outages)
        return await self._list(request)

    async def _end(self, request: web.Request) -> web.Response:
        outage = self._outages.find(request.match_info["id"])
        if outage is None:
            raise web.HTTPNotFound(text="no such outage")
        self._outages.end([outage])
        return web.json_response(_entry(outage))


def _entry(outage: Outage) -> dict[str, object]:
    return {
        "id": outage.id,
        "state": outage.state(datetime.now(UTC)),
        "answered": outage.answered,
        "starts_at": iso(outage.starts_at),
        "ends_at": iso(outage.ends_at),
        "provider": outage.provider,
        "account": outage.account,
        "sender": outage.sender,
        "prefix": outage.prefix,
        "calls": outage.calls,
        "fault": outage.fault,
        "status": outage.status,
        "code": outage.code,
        "retry_after": outage.retry_after,
        "retry_after_date": outage.retry_after_date,
    }
