"""Sends status callbacks and inbound messages, with retries and injected faults."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import aiohttp
from yarl import URL

from simulator.callback_event import Event
from simulator.config import Config
from simulator.message import Message, Try
from simulator.provider_format import ProviderFormat
from simulator.records import Records
from simulator.seeded_random import draw

# The first matching class counts. No retry rule covers a partial answer.
_FAILURES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (aiohttp.ConnectionTimeoutError, "ct"),
    (aiohttp.ClientConnectorError, "ct"),
    (aiohttp.ClientPayloadError, "partial"),
    (TimeoutError, "rt"),
    (aiohttp.ClientError, "closed"),
    (ValueError, "unusable"),
)
_KEPT: Final = 1_000  # bytes of an answer
_ANSWERED: Final = frozenset({"3xx", "4xx", "429", "5xx"})


class Callbacks:
    """Sends the provider's callbacks and records the results."""

    def __init__(
        self, config: Config, records: Records, formats: Mapping[str, ProviderFormat]
    ) -> None:
        self._config = config
        self._formats = formats
        self._records = records
        self._slots = asyncio.Semaphore(config.concurrency)
        self._held: dict[str, tuple[int, asyncio.Event]] = {}
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Open the HTTP session."""
        # TwilioProxy was observed to close each connection. A kept connection may be dead: a POST
        # on it looks the same as one that the server accepted and then dropped.
        connector = aiohttp.TCPConnector(
            limit=0, force_close=not self._config.keep_alive, happy_eyeballs_delay=None
        )
        cookies = aiohttp.DummyCookieJar()
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=cookies)

    async def close(self) -> None:
        """Close the HTTP session."""
        if self._session:
            await self._session.close()

    def new_event(self, message: Message) -> Event | None:
        """Return the event for the current status; None for a message without a callback URL."""
        if not message.order.status_callback:
            return None
        message.events += 1
        self._records.callbacks["due"] += 1
        request = self._formats[message.order.provider].callback(message)
        return Event(
            subject=message,
            index=message.events,
            request=request,
            group=message.sid,
            key=(message.number, message.events),
            totals=self._records.callbacks,
        )

    async def deliver(self, event: Event, faults: frozenset[str]) -> None:
        """Send one event, with these faults."""
        if "drop" in faults:
            event.subject.dropped.append(event.request.status)
            event.totals["dropped"] += 1
            return
        if "delay" in faults:
            await asyncio.sleep(self._config.delay)
        if "reorder" in faults:
            await self._hold_back(event)
        results = await self._send_copies(event, faults)
        event.totals[_overall(results)] += 1
        self._release_overtaken(event)

    async def _hold_back(self, event: Event) -> None:
        """Wait until a later event of the group was sent; hold back one at a time."""
        if event.group in self._held:
            return
        overtaken = asyncio.Event()
        self._held[event.group] = (event.index, overtaken)
        try:
            await asyncio.wait_for(overtaken.wait(), self._config.hold)
        except TimeoutError:
            del self._held[event.group]

    def _release_overtaken(self, event: Event) -> None:
        index, overtaken = self._held.get(event.group, (event.index, None))
        if overtaken and index < event.index:
            del self._held[event.group]
            overtaken.set()

    async def _send_copies(self, event: Event, faults: frozenset[str]) -> list[str]:
        lost = "lost-try" in faults
        if "duplicate" not in faults:
            return [await self._send(event, 1, lost)]
        key = (self._config.seed, "copies", *event.key)
        copies = 2 + int(draw(*key) * 3)
        event.totals["duplicates"] += copies - 1
        sends = [self._send(event, copy, lost) for copy in range(1, copies + 1)]
        if draw(*key, "at once") < 0.5:
            return await asyncio.gather(*sends)
        return [await send for send in sends]

    async def _send(self, event: Event, copy: int, lost: bool) -> str:
        """Send one copy, with the provider's retries; return the result of the last try.

        If the first try is lost, the connection to the server fails.
        """
        retry_policy = event.request.retry_policy
        async with self._slots:
            deadline = _now() + retry_policy.total_timeout
            left = 0.0 if lost else retry_policy.total_timeout
            result = await self._try(event, copy, 1, left)
        for retry, pause in enumerate(retry_policy.backoffs):
            if result not in retry_policy.retry_on or _now() + pause >= deadline:
                break
            await asyncio.sleep(pause)
            async with self._slots:
                result = await self._try(event, copy, retry + 2, max(deadline - _now(), 0.001))
        return result

    async def _try(self, event: Event, copy: int, number: int, left: float) -> str:
        """Send one request and record it; without time left, it does not connect."""
        entry = Try(
            event.request.status,
            event.request.url,
            event.request.token,
            number=number,
            copy=copy,
            at=datetime.now(UTC),
        )
        event.subject.tries.append(entry)
        event.totals["tries"] += 1
        if not left:
            entry.error = "ct: injected"
            return "ct"
        try:
            entry.answer = await self._post(event, entry, left)
        except tuple(kind for kind, _ in _FAILURES) as error:
            result = next(name for kind, name in _FAILURES if isinstance(error, kind))
            entry.error = f"{result}: {type(error).__name__}"
            return result
        return "429" if entry.answer == 429 else f"{entry.answer // 100}xx"

    async def _post(self, event: Event, entry: Try, left: float) -> int:
        assert self._session is not None
        request, retry_policy = event.request, event.request.retry_policy
        timeout = aiohttp.ClientTimeout(
            total=left, connect=retry_policy.connect_timeout, sock_read=retry_policy.read_timeout
        )
        async with self._session.post(
            URL(request.url, encoded=True),  # as configured: the signature covers the spelling
            data=request.body,
            headers=request.headers,
            timeout=timeout,
            ssl=retry_policy.verify_certificate,
            allow_redirects=False,
        ) as response:
            entry.answer_type = response.headers.get("Content-Type")
            entry.answer_body = (await response.read())[:_KEPT].decode(errors="replace")
            return response.status


def _overall(results: list[str]) -> str:
    if "2xx" in results:
        return "acknowledged"
    return "refused" if _ANSWERED.intersection(results) else "lost"


def _now() -> float:
    return asyncio.get_running_loop().time()
