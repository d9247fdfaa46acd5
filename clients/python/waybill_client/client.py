"""The client: send messages, read them, follow them."""

from collections.abc import Iterator, Sequence
from time import monotonic, sleep
from typing import Any, Final, Self, Unpack, cast
from uuid import UUID, uuid4

import httpx

from waybill_client.errors import Conflict, Problem, WaybillError, problem
from waybill_client.events import Events
from waybill_client.http import Http, Request
from waybill_client.inbound import Inbound
from waybill_client.opt_outs import OptOuts
from waybill_client.retries import Attempts
from waybill_client.types import Message, MessageFilters, NewMessage
from waybill_client.webhook_endpoints import WebhookEndpoints

_BATCH: Final = 1000  # messages of one request
# A server under load may take this much longer for each message of a batch.
_SECONDS_OF_MESSAGE: Final = 0.02
_FIRST_POLL, _LONGEST_POLL = 0.5, 30.0  # seconds between two polls
_LEAST_DEADLINE: Final = 10.0  # seconds, of the last poll
_NOT_DELIVERED: Final = frozenset({"expired", "canceled", "failed", "undelivered"})
_LONGEST_KEY: Final = 255


class Waybill:
    """A client of Waybill under one API key. Safe to share between threads.

    `timeout` is for each attempt, `deadline` for a call with all its attempts and pauses; both
    are in seconds. `transport` replaces the network, in tests.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        timeout: float = 10,
        deadline: float = 60,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = Http(url, api_key, timeout, transport)
        self._deadline = deadline
        self.webhook_endpoints = WebhookEndpoints(self._call)
        self.inbound = Inbound(self._call)
        self.opt_outs = OptOuts(self._http, deadline)

    def __repr__(self) -> str:
        return f"Waybill({self._http.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(
        self,
        *,
        from_: str | None = None,
        idempotency_key: str | None = None,
        **fields: Unpack[NewMessage],
    ) -> Message:
        """Send a message; the fields are those of `POST /v1/messages`, and `from_` is `from`.

        Without `idempotency_key`, the call makes a key: its retries send once. With a key derived
        from the reason for the message, your own repetitions send once, too.
        """
        key = str(uuid4()) if idempotency_key is None else idempotency_key
        _check_key(key)
        request = Request("POST", "/v1/messages", _with_sender(fields, from_), key=key)
        return cast(Message, self._call(request))

    def send_batch(
        self, messages: Sequence[NewMessage], *, idempotency_key: str | None = None
    ) -> list[Message | Problem]:
        """Send messages; return for each, in order, the message or why it was refused.

        More than 1000 messages go out in several requests. If one fails, call again with the
        same messages and the `idempotency_key` of the error: what was accepted is not sent again.
        """
        key = str(uuid4()) if idempotency_key is None else idempotency_key
        _check_key(key if len(messages) <= _BATCH else f"{key}.{len(messages)}")
        results = list[Message | Problem]()
        for start in range(0, len(messages), _BATCH):
            part = [dict(message) for message in messages[start : start + _BATCH]]
            results += self._send_part(part, key, start)
        return results

    def _send_part(
        self, messages: list[dict[str, Any]], key: str, start: int
    ) -> list[Message | Problem]:
        part_key = key if start == 0 else f"{key}.{start}"
        wait = len(messages) * _SECONDS_OF_MESSAGE
        request = Request(
            "POST", "/v1/messages/batch", {"messages": messages}, key=part_key, wait=wait
        )
        try:
            answer = self._call(request)
        except WaybillError as error:
            error.idempotency_key = key
            raise
        return [_batch_result(item) for item in answer["results"]]

    def get(self, message_id: str | UUID) -> Message:
        """Return a message as it is now. Raises NotFound."""
        return cast(Message, self._call(Request("GET", _path(message_id))))

    def wait(self, message_id: str | UUID, timeout: float = 60) -> Message:
        """Return a message when it is final, or as it is after `timeout` seconds.

        Polls, with pauses of 0.5 to 30 s. For many messages use `events()` or webhooks. Raises
        NoAnswer or ServerError if there is no answer until then, or in the 10 s of the last poll.
        """
        until, pause = monotonic() + timeout, _FIRST_POLL
        request = Request("GET", _path(message_id))
        while True:
            attempts = Attempts(max(until - monotonic(), _LEAST_DEADLINE))
            message = cast(Message, self._http.call(request, attempts))
            if message["final"] or monotonic() + pause > until:
                return message
            sleep(pause)
            pause = min(pause * 2, _LONGEST_POLL)

    def cancel(self, message_id: str | UUID) -> Message:
        """Cancel a message that is not sent yet. Raises Conflict if it is too late."""
        return cast(Message, self._call(Request("POST", f"{_path(message_id)}/cancel")))

    def resend(self, message_id: str | UUID, confirm_duplicate: bool = False) -> Message:
        """Send a message again that failed or expired. Raises Conflict for any other.

        `confirm_duplicate` sends it also if it is unknown whether it was sent before.
        """
        body = {"confirm_duplicate": True} if confirm_duplicate else None
        attempts = Attempts(self._deadline)
        request = Request("POST", f"{_path(message_id)}/resend", body)
        try:
            return cast(Message, self._http.call(request, attempts))
        except Conflict:
            # After a lost answer, the first attempt may be what makes the second a conflict.
            message = self.get(message_id) if attempts.failed > 1 else None
            if message is None or message["status"] in _NOT_DELIVERED:
                raise
            return message

    def messages(self, **filters: Unpack[MessageFilters]) -> Iterator[Message]:
        """Yield messages, the newest first; `limit` is the size of a page."""
        cursor: str | None = None
        while True:
            params = {**filters, **({"cursor": cursor} if cursor else {})}
            page = self._call(Request("GET", "/v1/messages", params=params))
            yield from page["messages"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def events(
        self, after: str | None = None, types: Sequence[str] | None = None, wait: float = 25
    ) -> Events:
        """Return an endless iterator over events, the oldest first.

        `types` are `message.updated`, which is the default, and `message.received`.
        `after` is a stored `cursor`, "now", or None for the oldest event that is kept. `wait` is
        how many seconds the server may hold a request until there is an event.
        """
        return Events(self._http, after, types, wait)

    def _call(self, request: Request) -> Any:
        return self._http.call(request, Attempts(self._deadline))


def _check_key(key: str) -> None:
    if not (0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable()):
        raise ValueError("idempotency_key must be 1 to 255 printable ASCII characters")


def _path(message_id: str | UUID) -> str:
    return f"/v1/messages/{UUID(str(message_id))}"


def _with_sender(fields: NewMessage, sender: str | None) -> dict[str, Any]:
    return {**fields, **({} if sender is None else {"from": sender})}


def _batch_result(item: dict[str, Any]) -> Message | Problem:
    return item["message"] if "message" in item else problem(item["problem"])
