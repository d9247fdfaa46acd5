"""The events of a client, in one order, without an end."""

import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from threading import Event as Flag
from time import monotonic
from typing import Final, Self

from waybill_client.http import Http, Request
from waybill_client.retries import Attempts
from waybill_client.types import FeedItem, ReceivedFeedItem

# Seconds between two requests that find nothing, if the server does not hold them that long.
_LEAST_INTERVAL: Final = 1.0

_log = logging.getLogger("waybill_client")


# `message.updated`: a change of a message; `data` is the message as it is now.
# `message.received`: a person wrote; `data` is the inbound message.
# In a webhook `data` has no content, such as `body`, unless the endpoint has `include_body`.
Event = FeedItem | ReceivedFeedItem


class _Stopped(Exception):
    """`stop` was called while the server did not answer."""


class Events:
    """An iterator over events that waits for the next one, and reconnects when it must.

    `cursor` is behind all events whose handling has ended, that is, for which the loop asked for
    the next one. Store it, and start again with `after=cursor`: no event is skipped, and those of
    the last page may come again. Raises CursorExpired, and Problem for a refused request.
    """

    def __init__(
        self,
        http: Http,
        after: str | None = None,
        types: Sequence[str] | None = None,
        wait: float = 25,
        limit: int = 100,
    ) -> None:
        self.cursor = after
        self._http = http
        self._types = None if types is None else ",".join(types)
        self._wait = wait
        self._limit = limit
        self._next = after
        self._page = deque[Event]()
        self._stopped = Flag()

    def stop(self) -> None:
        """End the iteration, also from another thread or a signal handler.

        A request that waits for events is not interrupted: that takes up to `wait` seconds.
        """
        self._stopped.set()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        while not self._stopped.is_set():
            if self._page:
                return self._page.popleft()
            self.cursor = self._next
            with suppress(_Stopped):
                self._read()
        raise StopIteration

    def _read(self) -> None:
        started = monotonic()
        params = {"after": self.cursor, "types": self._types, "wait": self._wait}
        parameters = {name: value for name, value in params.items() if value is not None}
        request = Request(
            "GET", "/v1/events", params={**parameters, "limit": self._limit}, wait=self._wait
        )
        answer = self._http.call(request, Attempts(float("inf"), self._reconnect))
        self._page.extend(answer["events"])
        self._next = answer["next_cursor"]
        if not self._page and not answer["has_more"]:
            self._sleep(_LEAST_INTERVAL - (monotonic() - started))

    def _reconnect(self, seconds: float) -> None:
        _log.warning("the event feed does not answer; next request in %.0f s", seconds)
        self._sleep(seconds)
        if self._stopped.is_set():
            raise _Stopped

    def _sleep(self, seconds: float) -> None:
        self._stopped.wait(seconds)
