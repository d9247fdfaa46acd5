"""Delivers status callbacks: one request, its retries, and the faults that meet it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import aiohttp
from yarl import URL

from simulator.books import Books
from simulator.config import Config
from simulator.dice import roll
from simulator.message import Message, Try
from simulator.wire import Post, Wire

# The first that fits. A partial answer is never tried again, whatever the policy says.
_FAILURES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (aiohttp.ConnectionTimeoutError, "ct"),
    (aiohttp.ClientConnectorError, "ct"),
    (aiohttp.ClientPayloadError, "partial"),
    (TimeoutError, "rt"),
    (aiohttp.ClientError, "closed"),
    (ValueError, "unusable"),
)
_ANSWERED: Final = frozenset({"3xx", "4xx", "429", "5xx"})


@dataclass(slots=True)
class Event:
    """One status to report, frozen at the moment it was reached."""

    message: Message
    index: int  # among the callbacks of this message
    post: Post


class Callbacks:
    """Sends what the carrier would send, and enters in the books what came of it."""

    def __init__(self, config: Config, books: Books, wires: Mapping[str, Wire]) -> None:
        self._config = config
        self._wires = wires
        self._books = books
        self._slots = asyncio.Semaphore(config.concurrency)
        self._held: dict[str, tuple[int, asyncio.Event]] = {}
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make ready to send."""
        # TwilioProxy was seen to close each connection. One that is kept may turn out to be dead,
        # and a POST on it cannot be told from one that the server took and dropped.
        connector = aiohttp.TCPConnector(
            limit=0, force_close=not self._config.keep_alive, happy_eyeballs_delay=None
        )
        cookies = aiohttp.DummyCookieJar()
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=cookies)

    async def close(self) -> None:
        """Drop the connections."""
        if self._session:
            await self._session.close()

    def event(self, message: Message) -> Event | None:
        """Write down the present status of a message for its client, if it has asked to know."""
        if not message.order.status_callback:
            return None
        message.events += 1
        self._books.callbacks["due"] += 1
        post = self._wires[message.order.wire].post(message)
        return Event(message, message.events, post)

    async def deliver(self, event: Event, faults: frozenset[str]) -> None:
        """See one event through, with whatever faults meet it."""
        if "drop" in faults:
            event.message.dropped.append(event.post.status)
            self._books.callbacks["dropped"] += 1
            return
        if "delay" in faults:
            await asyncio.sleep(self._config.delay)
        if "reorder" in faults:
            await self._hold_back(event)
        outcomes = await self._send_copies(event, duplicate="duplicate" in faults)
        self._books.callbacks[_verdict(outcomes)] += 1
        self._let_go(event)

    async def _hold_back(self, event: Event) -> None:
        """Wait until a later callback of this message has overtaken; hold one at a time."""
        sid = event.message.sid
        if sid in self._held:
            return
        overtaken = asyncio.Event()
        self._held[sid] = (event.index, overtaken)
        try:
            await asyncio.wait_for(overtaken.wait(), self._config.hold)
        except TimeoutError:
            del self._held[sid]

    def _let_go(self, event: Event) -> None:
        index, overtaken = self._held.get(event.message.sid, (event.index, None))
        if overtaken and index < event.index:
            del self._held[event.message.sid]
            overtaken.set()

    async def _send_copies(self, event: Event, duplicate: bool) -> list[str]:
        if not duplicate:
            return [await self._send(event, 1)]
        key = (self._config.seed, "copies", event.message.number, event.index)
        copies = 2 + int(roll(*key) * 3)
        self._books.callbacks["duplicates"] += copies - 1
        sendings = [self._send(event, copy) for copy in range(1, copies + 1)]
        if roll(*key, "at once") < 0.5:
            return await asyncio.gather(*sendings)
        return [await sending for sending in sendings]

    async def _send(self, event: Event, copy: int) -> str:
        """Send one copy, with the carrier's retries, and return how the last try ended."""
        patience = event.post.patience
        async with self._slots:
            deadline = _now() + patience.total
            outcome = await self._try(event, copy, 1, patience.total)
        for retry, pause in enumerate(patience.pauses):
            if outcome not in patience.policy or _now() + pause >= deadline:
                break
            await asyncio.sleep(pause)
            async with self._slots:
                outcome = await self._try(event, copy, retry + 2, max(deadline - _now(), 0.001))
        return outcome

    async def _try(self, event: Event, copy: int, number: int, left: float) -> str:
        entry = Try(
            event.post.status,
            event.post.url,
            event.post.token,
            number=number,
            copy=copy,
            at=datetime.now(UTC),
        )
        event.message.tries.append(entry)
        self._books.callbacks["tries"] += 1
        try:
            entry.answer = await self._post(event, left)
        except tuple(kind for kind, _ in _FAILURES) as error:
            outcome = next(name for kind, name in _FAILURES if isinstance(error, kind))
            entry.error = f"{outcome}: {type(error).__name__}"
            return outcome
        return "429" if entry.answer == 429 else f"{entry.answer // 100}xx"

    async def _post(self, event: Event, left: float) -> int:
        assert self._session is not None
        post, patience = event.post, event.post.patience
        timeout = aiohttp.ClientTimeout(
            total=left, connect=patience.connect, sock_read=patience.read
        )
        async with self._session.post(
            URL(post.url, encoded=True),  # as configured, or the signature would not fit
            data=post.body,
            headers=post.headers,
            timeout=timeout,
            ssl=patience.verify,
            allow_redirects=False,
        ) as response:
            await response.read()
            return response.status


def _verdict(outcomes: list[str]) -> str:
    if "2xx" in outcomes:
        return "acknowledged"
    return "refused" if _ANSWERED.intersection(outcomes) else "lost"


def _now() -> float:
    return asyncio.get_running_loop().time()
