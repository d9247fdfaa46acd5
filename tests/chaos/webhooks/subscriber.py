"""A client that has webhook endpoints and reads the feed, while the API may be away."""

import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import requests

_TIMEOUT: Final = 20.0
_WAIT: Final = 5  # seconds that a request of the feed waits for an event
_PAUSE: Final = 0.3  # before a request that failed is repeated

Item = dict[str, Any]  # an event in the feed


class Subscriber:
    """Calls the API until it answers."""

    def __init__(self, url: str, key: str) -> None:
        self._url = f"{url}/v1"
        self._headers = {"Authorization": f"Bearer {key}"}

    def subscribe(self, url: str, statuses: list[str]) -> dict[str, Any]:
        """Create an endpoint; return it with its secret."""
        return self._call("POST", "/webhook-endpoints", {"url": url, "statuses": statuses})

    def endpoints(self) -> dict[str, dict[str, Any]]:
        """Return the endpoints of the client by id."""
        found = self._call("GET", "/webhook-endpoints")["webhook_endpoints"]
        return {endpoint["id"]: endpoint for endpoint in found}

    def enable(self, endpoint_id: str) -> None:
        """Enable an endpoint."""
        self._call("POST", f"/webhook-endpoints/{endpoint_id}/enable")

    def recover(self, endpoint_id: str, since: datetime) -> int:
        """Ask for everything since then that was not delivered; return how many events it is."""
        fields = {"since": since.isoformat()}
        answer = self._call("POST", f"/webhook-endpoints/{endpoint_id}/recover", fields)
        return int(answer["recovered"])

    def feed(self) -> Iterator[Item]:
        """Yield every event of the client, from the first to the last."""
        after = None
        while True:
            page = self.page(after, 0)
            yield from page["events"]
            after = page["next_cursor"]
            if not page["has_more"]:
                return

    def page(self, after: str | None, wait: int) -> dict[str, Any]:
        """Return the events behind a cursor."""
        return self._call("GET", "/events", params={"after": after, "wait": wait, "limit": 200})

    def _call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        params: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Call until there is an answer. Raises HTTPError for a request that is not valid."""
        while True:
            try:
                answer = requests.request(
                    method,
                    self._url + path,
                    json=body,
                    params=params,
                    headers=self._headers,
                    timeout=_TIMEOUT,
                )
            except requests.RequestException:
                time.sleep(_PAUSE)
                continue
            if answer.status_code < 500:
                answer.raise_for_status()
                result: dict[str, Any] = answer.json()
                return result
            time.sleep(_PAUSE)


class Follower:
    """Reads the feed in the background by its cursor, and keeps what it saw."""

    def __init__(self, subscriber: Subscriber) -> None:
        self.ids = list[str]()
        self._subscriber = subscriber
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow)

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def end(self) -> None:
        """Read what is there, and end."""
        self._end.set()
        self._thread.join()

    def _follow(self) -> None:
        after = None
        while True:
            ended = self._end.is_set()
            page = self._subscriber.page(after, 0 if ended else _WAIT)
            self.ids += [event["id"] for event in page["events"]]
            after = page["next_cursor"]
            if ended and not page["has_more"]:
                return
