"""A create request and the faults that strike it, whichever API it came by."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from itertools import count
from typing import Final

from aiohttp import web

from simulator.books import Books
from simulator.carrier import Carrier
from simulator.config import Config
from simulator.faults import UNPROCESSED, Faults
from simulator.message import Message, Order

_GONE_CHECK: Final = 0.02  # seconds between two looks at whether the client is still there


class Failed(Exception):
    """The answer that a fault demands: 429, 500 or 503, in the words of the API."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def error_headers(config: Config, status: int) -> dict[str, str]:
    """Return the headers of an error: when to try again, where the settings say so."""
    wait = config.retry_after if status == HTTPStatus.TOO_MANY_REQUESTS else 0
    return {"Retry-After": str(wait)} if wait else {}


class Creates:
    """Takes orders under one row of numbers, so that one seed tells one story."""

    def __init__(self, config: Config, books: Books, faults: Faults, carrier: Carrier) -> None:
        self._config = config
        self._books = books
        self._faults = faults
        self._carrier = carrier
        self._numbers = count(1)

    async def take(
        self,
        request: web.Request,
        order: Order,
        show: Callable[[Message], web.Response],
    ) -> web.StreamResponse:
        """Take an order and answer, well or as a fault demands. Raises Failed."""
        number = next(self._numbers)
        fault = self._faults.on_create(number)
        if fault:
            self._books.faults[fault] += 1
        if fault in UNPROCESSED:
            return _turn_away(request, fault)
        message = self._carrier.take(order, number, fault)
        self._books.creates["accepted"] += 1
        return await self._answer(request, show(message), message, fault)

    async def _answer(
        self, request: web.Request, answer: web.Response, message: Message, fault: str | None
    ) -> web.StreamResponse:
        """Send the message on its way, and answer as the fault demands."""
        walking = self._carrier.start(message)
        if fault == "500":
            raise Failed(500)
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


def _turn_away(request: web.Request, fault: str) -> web.Response:
    if fault == "cut-before":
        return _hang_up(request)
    raise Failed(int(fault.partition("-")[0]))


def _hang_up(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response()  # goes nowhere


async def _until_gone(request: web.Request, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while loop.time() < deadline and request.transport and not request.transport.is_closing():
        await asyncio.sleep(_GONE_CHECK)
