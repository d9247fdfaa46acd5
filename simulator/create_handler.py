"""Handles create requests of every API, with injected faults."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from itertools import count
from typing import Final

from aiohttp import web

from simulator.config import Config
from simulator.faults import UNPROCESSED, Faults
from simulator.lifecycle import Lifecycle
from simulator.message import Message, Order
from simulator.records import Records

_POLL_INTERVAL: Final = 0.02  # seconds between two checks of the client's connection


class InjectedError(Exception):
    """An injected error status, 429, 500 or 503. The API formats it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def error_headers(config: Config, status: int) -> dict[str, str]:
    """Return the headers of an error: Retry-After of a 429, if configured."""
    wait = config.retry_after if status == HTTPStatus.TOO_MANY_REQUESTS else 0
    return {"Retry-After": str(wait)} if wait else {}


class CreateHandler:
    """Numbers the create requests of all APIs, so that the same seed gives the same run."""

    def __init__(
        self, config: Config, records: Records, faults: Faults, lifecycle: Lifecycle
    ) -> None:
        self._config = config
        self._records = records
        self._faults = faults
        self._lifecycle = lifecycle
        self._numbers = count(1)

    async def handle(
        self,
        request: web.Request,
        order: Order,
        show: Callable[[Message], web.Response],
    ) -> web.StreamResponse:
        """Accept an order and answer it, or inject a fault. Raises InjectedError."""
        number = next(self._numbers)
        fault = self._faults.on_create(number)
        if fault:
            self._records.faults[fault] += 1
        if fault in UNPROCESSED:
            return _reject(request, fault)
        message = self._lifecycle.accept(order, number, fault)
        self._records.creates["accepted"] += 1
        return await self._answer(request, show(message), message, fault)

    async def _answer(
        self, request: web.Request, answer: web.Response, message: Message, fault: str | None
    ) -> web.StreamResponse:
        """Start the message, and answer the request as the fault requires."""
        sending = self._lifecycle.start(message)
        if fault == "500":
            raise InjectedError(500)
        if fault == "cut":
            return _disconnect(request)
        if fault == "timeout":
            await _wait_for_disconnect(request, self._config.hang)
            return _disconnect(request)
        if fault == "early" and not message.order.send_at:
            await asyncio.shield(sending)
        if fault == "slow":
            await asyncio.sleep(self._config.slow)
        self._records.creates["created"] += 1
        return answer


def _reject(request: web.Request, fault: str) -> web.Response:
    if fault == "cut-before":
        return _disconnect(request)
    raise InjectedError(int(fault.partition("-")[0]))


def _disconnect(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response()  # not sent: the connection is closed


async def _wait_for_disconnect(request: web.Request, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while loop.time() < deadline and request.transport and not request.transport.is_closing():
        await asyncio.sleep(_POLL_INTERVAL)
