"""Handles create requests of every API, with injected faults."""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from itertools import count
from types import MappingProxyType
from typing import Final

from aiohttp import web

from simulator.accounts import Account
from simulator.config import Config
from simulator.faults import CREATE_WITHOUT_ANSWER, UNPROCESSED, Faults
from simulator.lifecycle import Lifecycle
from simulator.message import Message, Order
from simulator.outage import ERROR, Outage
from simulator.outages import Outages
from simulator.records import Records

_POLL_INTERVAL: Final = 0.02  # seconds between two checks of the client's connection


class InjectedError(Exception):
    """An injected error. The API formats it; without a code, it uses the code of the status."""

    def __init__(
        self,
        status: int,
        code: int | str | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(status)
        self.status = status
        self.code = code
        self.headers = headers


def error_headers(config: Config, status: int) -> dict[str, str]:
    """Return the headers of an error: Retry-After of a 429, if configured."""
    wait = config.retry_after if status == HTTPStatus.TOO_MANY_REQUESTS else 0
    return {"Retry-After": str(wait)} if wait else {}


class CreateHandler:
    """Numbers the create requests of all APIs, so that the same seed gives the same run."""

    def __init__(
        self,
        config: Config,
        records: Records,
        faults: Faults,
        outages: Outages,
        lifecycle: Lifecycle,
    ) -> None:
        self._config = config
        self._records = records
        self._faults = faults
        self._outages = outages
        self._lifecycle = lifecycle
        self._numbers = count(1)

    def check(self, account: Account) -> None:
        """Raise the InjectedError of an outage that covers all calls of an account."""
        if outage := self._outages.answer(account):
            raise _error_of(outage)

    async def handle(
        self,
        request: web.Request,
        order: Order,
        show: Callable[[Message], web.Response],
    ) -> web.StreamResponse:
        """Accept an order and answer it, or inject a fault. Raises InjectedError."""
        number = next(self._numbers)
        outage = self._outages.answer(order.account, order)
        fault = outage.fault if outage else self._faults.on_create(number)
        if fault:
            self._records.faults[fault] += 1
        if fault in (ERROR, *UNPROCESSED):
            self._refuse(order, fault, outage)
            return await self._reject(request, fault, outage)
        message = self._lifecycle.accept(order, number, fault)
        self._records.accounts.of(order.account).accepted += 1
        self._records.creates["accepted"] += 1
        return await self._answer(request, show(message), message, fault)

    def _refuse(self, order: Order, fault: str, outage: Outage | None) -> None:
        error = outage and (outage.code or outage.status)
        reason, outage_id = str(error or fault), outage.id if outage else None
        self._records.accounts.refuse(order.account, reason, order, outage_id)

    async def _reject(
        self, request: web.Request, fault: str, outage: Outage | None
    ) -> web.Response:
        if outage and fault == ERROR:
            raise _error_of(outage)
        if fault == "timeout-unprocessed":
            await _wait_for_disconnect(request, self._config.hang)
        if fault in CREATE_WITHOUT_ANSWER:
            return _disconnect(request)
        raise InjectedError(int(fault.partition("-")[0]))

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


def _error_of(outage: Outage) -> InjectedError:
    assert outage.status is not None
    return InjectedError(outage.status, outage.code, outage.headers)


def _disconnect(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response()  # not sent: the connection is closed


async def _wait_for_disconnect(request: web.Request, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while loop.time() < deadline and request.transport and not request.transport.is_closing():
        await asyncio.sleep(_POLL_INTERVAL)
