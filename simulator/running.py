"""Runs the simulator in a thread, for tests."""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from threading import Thread
from typing import Any
from urllib.parse import urlencode

from simulator.config import Config
from simulator.server import serve

_START_TIMEOUT = 10.0
_REQUEST_TIMEOUT = 30.0
_POLL = 0.01


class Running:
    """A running simulator: its URL, and a client of its control API.

    Raises ValueError when the control API answers with an error.
    """

    def __init__(self, url: str, config: Config) -> None:
        self.url = url
        self.config = config
        self._address = url.removeprefix("http://")

    def records(self, to: str | None = None) -> dict[str, Any]:
        """Return the totals, and the messages of one recipient or of all."""
        query = "?" + urlencode({"to": to}) if to else ""
        return self._call("GET", f"records{query}")

    def summary(self) -> dict[str, Any]:
        """Return only the totals."""
        return self._call("GET", "records?summary=1")

    def message(self, sid: str) -> dict[str, Any]:
        """Return the record of one message. Raises KeyError."""
        for entry in self.records()["messages"]:
            if entry["sid"] == sid:
                return dict(entry)
        raise KeyError(sid)

    def set_faults(self, rates: Mapping[str, float]) -> None:
        """Change the rates of some faults."""
        self._call("POST", "faults", dict(rates))

    def next_create(self, fault: str, count: int = 1) -> None:
        """Inject a fault into the next create requests."""
        self._call("POST", "next", {"fault": fault, "count": count})

    def add_outage(self, **fields: object) -> dict[str, Any]:
        """Schedule an outage and return its record; see `simulator.outage`."""
        return self._call("POST", "outages", fields)

    def outages(self) -> list[dict[str, Any]]:
        """Return the records of all outages, also of those that ended."""
        return list(self._call("GET", "outages")["outages"])

    def end_outages(self) -> None:
        """End all outages now."""
        self._call("DELETE", "outages")

    def account(self, account_id: str) -> dict[str, Any]:
        """Return the totals of one account. Raises KeyError."""
        for entry in self._call("GET", "accounts")["accounts"]:
            if entry["id"] == account_id:
                return dict(entry)
        raise KeyError(account_id)

    def refusals(self, account_id: str | None = None) -> list[dict[str, Any]]:
        """Return the create requests of which no message was made."""
        query = "?" + urlencode({"account": account_id}) if account_id else ""
        return list(self._call("GET", f"refusals{query}")["refusals"])

    def keep_queued(self, seconds: float) -> None:
        """Keep messages in the provider's queue for this time from now on; 0: none."""
        self._call("POST", "queue", {"seconds": seconds})

    def release(self, sid: str) -> None:
        """Send a scheduled message now."""
        self._call("POST", f"release/{sid}")

    def force(self, sid: str, status: str, error_code: int | None = None) -> dict[str, Any]:
        """Set a status on a message, wait for its callback, and return its record."""
        return self._call("POST", f"callbacks/{sid}", {"status": status, "error_code": error_code})

    def set_inbound_urls(self, **urls: str | None) -> None:
        """Set the webhook URLs of inbound messages, by provider or account."""
        self._call("POST", "inbound-urls", urls)

    def write(self, person: str, body: str = "", **fields: object) -> dict[str, Any]:
        """Let a person write, and return the record; see `simulator.inbound.control_fields`.

        Waits for the requests to the webhook URL, except with `wait=False`.
        """
        return self._call("POST", "inbound", {"from": person, "body": body, "wait": True, **fields})

    def repeat_inbound(self, sid: str) -> dict[str, Any]:
        """Send an inbound message to the webhook URL again, and return its record."""
        return self._call("POST", f"inbound/{sid}/repeat")

    def inbound(self, person: str | None = None) -> dict[str, Any]:
        """Return the totals, the inbound messages of one person or of all, and the blocks."""
        query = "?" + urlencode({"from": person}) if person else ""
        return self._call("GET", f"inbound{query}")

    def wait_until_idle(self, seconds: float = 10.0) -> None:
        """Wait until all messages and callbacks are finished. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while not (state := self._call("GET", "idle"))["idle"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"still in flight: {state['in_flight']}")
            time.sleep(_POLL)

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        with closing(HTTPConnection(self._address, timeout=_REQUEST_TIMEOUT)) as connection:
            connection.request(method, f"/_simulator/{path}", data)
            response = connection.getresponse()
            text = response.read().decode()
        if response.status >= 400:
            raise ValueError(text)
        return dict(json.loads(text)) if text else {}


@contextmanager
def running(config: Config | None = None) -> Iterator[Running]:
    """Serve on a free port in a background thread until the end of the block."""
    config = config or Config()
    started: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    thread = Thread(target=_run, args=(config, started), name="simulator", daemon=True)
    thread.start()
    url, loop, stop = started.result(_START_TIMEOUT)
    try:
        yield Running(url, config)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def _run(
    config: Config, started: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]]
) -> None:
    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        await serve(config, lambda url: started.set_result((url, loop, stop)), stop)

    try:
        asyncio.run(main())
    except Exception as error:
        if started.done():
            raise
        started.set_exception(error)
