"""The inbound messages of service plans and projects over HTTP.

https://developers.sinch.com/docs/sms/api-reference/sms/tag/Inbounds/
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final

from aiohttp import web

from simulator.accounts import Account
from simulator.inbound.message import InboundMessage
from simulator.inbound.records import InboundRecords
from simulator.sinch.guard import Guard
from simulator.sinch.inbounds import to_inbound
from simulator.sinch.orders import ApiError

Query = Callable[[str], str | None]

_DEFAULT_PAGE_SIZE: Final = 30
_MAX_PAGE_SIZE: Final = 100
_DEFAULT_PERIOD: Final = timedelta(hours=24)
_KEPT: Final = timedelta(days=14)


class InboundsApi:
    """Serves the list of inbound messages, the latest first."""

    def __init__(self, guard: Guard, records: InboundRecords) -> None:
        self._guard = guard
        self._records = records

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        inbounds = "/xms/v1/{account}/inbounds"
        return [
            web.get(inbounds, self._guard.guarded(self._list)),
            web.get(f"{inbounds}/{{id}}", self._guard.guarded(self._fetch)),
        ]

    async def _list(self, request: web.Request, account: Account) -> web.StreamResponse:
        """List one page. New messages shift the pages, unless `end_date` is before them."""
        number = _integer(request.query.get, "page", 0, 0, 10**6)
        size = _integer(request.query.get, "page_size", _DEFAULT_PAGE_SIZE, 1, _MAX_PAGE_SIZE)
        messages = list(self._matching(account, request.query.get))
        page = [*map(to_inbound, islice(messages, number * size, (number + 1) * size))]
        return web.json_response(
            {"page": number, "page_size": len(page), "count": len(messages), "inbounds": page}
        )

    async def _fetch(self, request: web.Request, account: Account) -> web.StreamResponse:
        message = self._records.find(request.match_info["id"])
        if message is None or message.account is not account:
            raise ApiError(404, "not_found", "There is no such inbound message")
        return web.json_response(to_inbound(message))

    def _matching(self, account: Account, query: Query) -> Iterator[InboundMessage]:
        now = datetime.now(UTC)
        start = max(_moment(query, "start_date", now - _DEFAULT_PERIOD), now - _KEPT)
        end = _moment(query, "end_date", datetime.max.replace(tzinfo=UTC))
        numbers, reference = _numbers(query("to")), query("client_reference")
        messages = [
            message
            for message in self._records.newest_first()
            if message.account is account
            and start <= message.received_at < end
            and (not numbers or message.text.to.removeprefix("+") in numbers)
            and reference in (None, message.text.answered_reference)
        ]
        return iter(sorted(messages, key=lambda message: message.received_at, reverse=True))


def _numbers(text: str | None) -> frozenset[str]:
    """Return numbers without their plus."""
    return frozenset(part.strip().removeprefix("+") for part in (text or "").split(",") if part)


def _moment(query: Query, name: str, default: datetime) -> datetime:
    text = query(name)
    if not text:
        return default
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _bad(name) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _integer(query: Query, name: str, default: int, low: int, high: int) -> int:
    text = query(name)
    if text is None:
        return default
    if not (text.isdecimal() and low <= int(text) <= high):
        raise _bad(name)
    return int(text)


def _bad(name: str) -> ApiError:
    return ApiError(400, "syntax_invalid_parameter_format", f"Invalid value for '{name}'")
