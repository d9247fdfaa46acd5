"""The fake server: a Waybill in the process of the tests."""

import re
from collections import deque
from collections.abc import Callable
from copy import deepcopy
from typing import Any, Final

import httpx

from waybill_client.client import Waybill
from waybill_client.events import Event
from waybill_client.fake import requests
from waybill_client.fake.endpoints import Endpoints, WebhookRequest
from waybill_client.fake.feed import Feed
from waybill_client.fake.http import content, json_response, key_of, problem_response
from waybill_client.fake.inbound import InboundMessages
from waybill_client.fake.messages import Messages
from waybill_client.fake.opt_outs import OptOuts
from waybill_client.fake.refusals import Refusal
from waybill_client.types import InboundMessage, Message, OptOut, Status

_URL: Final = "http://waybill.test"
_ID: Final = r"([0-9a-fA-F-]{36})"


class FakeWaybill:
    """A Waybill for tests, which keeps books of what it was asked for and sends nothing.

    What happens to a message is up to the test: `deliver`, `fail`, `set_status`.
    """

    def __init__(self, api_key: str = "wb_fake") -> None:
        self.api_key = api_key
        self.requests = list[tuple[str, str]]()
        self._messages = Messages(self._on_change)
        self._inbound = InboundMessages(self._on_received)
        self._opt_outs = OptOuts()
        self._feed = Feed(self._current)
        self._endpoints = Endpoints()
        self._faults = deque[httpx.Response | None]()
        self._routes = self._all_routes()

    @property
    def transport(self) -> httpx.MockTransport:
        """Return a transport for any httpx client."""
        return httpx.MockTransport(self._answer)

    def client(self, **options: Any) -> Waybill:
        """Return a client of this server; the options are those of `Waybill`."""
        defaults = {"url": _URL, "api_key": self.api_key, "transport": self.transport}
        return Waybill(**{**defaults, **options})

    # What happened

    @property
    def messages(self) -> list[Message]:
        """Return the messages as they are now, in the order in which they were accepted."""
        return deepcopy(list(self._messages.by_id.values()))

    @property
    def inbound(self) -> list[InboundMessage]:
        """Return the inbound messages, in the order in which they came."""
        return deepcopy(list(self._inbound.by_id.values()))

    @property
    def opt_outs(self) -> list[OptOut]:
        """Return the opt-outs in force, by number and sender."""
        return self._opt_outs.all()

    @property
    def events(self) -> list[Event]:
        """Return the events of the feed."""
        return self._feed.events

    @property
    def webhooks(self) -> list[WebhookRequest]:
        """Return the signed requests that Waybill would have made, in order."""
        return list(self._endpoints.requests)

    # What happens next

    def deliver(self, message_id: str) -> Message:
        """Report that the provider accepted a message, and that it was delivered."""
        self.set_status(message_id, "queued")
        return self.set_status(message_id, "delivered")

    def fail(self, message_id: str, code: str = "30003", *, retryable: bool = False) -> Message:
        """Report that a message failed, with an error code."""
        error = {"code": code, "message": None, "explanation": f"Error {code}."}
        return self._messages.set(message_id, "failed", {**error, "retryable": retryable})

    def set_status(self, message_id: str, status: Status) -> Message:
        """Give a message any status."""
        return self._messages.set(message_id, status)

    def receive(self, body: str, from_: str, to: str | None = None) -> InboundMessage:
        """Let a person write; it answers your last message to them that was sent.

        `to` is the sender that they write to: by default that of the message.
        """
        return self._inbound.add(body, from_, to, self._messages.by_id.values())

    def forget_events(self) -> None:
        """Delete the events, so that older cursors are answered with 410."""
        self._feed.forget()

    def answer_next(self, status: int, times: int = 1, retry_after: int | None = None) -> None:
        """Answer the next requests with an error; they have no effect."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        for _ in range(times):
            self._faults.append(problem_response(Refusal(status, "as the test asked for"), headers))

    def lose_next_answer(self, times: int = 1) -> None:
        """Carry out the next requests, but cut the connection before the answer."""
        self._faults.extend([None] * times)

    # Requests

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append((request.method, request.url.path))
        fault = self._faults.popleft() if self._faults else httpx.Response(200)
        if fault is not None and fault.is_error:
            return fault
        try:
            answer = self._routed(request)
        except Refusal as refusal:
            answer = problem_response(refusal)
        if fault is None:
            raise httpx.ReadError("the connection was cut", request=request)
        return answer

    def _routed(self, request: httpx.Request) -> httpx.Response:
        if request.headers.get("Authorization") != f"Bearer {self.api_key}":
            raise Refusal(401, "the API key is unknown or revoked; ask an operator for a new key")
        for method, pattern, answer in self._routes:
            match = re.fullmatch(pattern, request.url.path)
            if match and method == request.method:
                return answer(request, *match.groups())
        raise Refusal(404, "there is nothing at this path")

    def _all_routes(self) -> list[tuple[str, str, Callable[..., httpx.Response]]]:
        return [
            ("POST", "/v1/messages", self._post),
            ("POST", "/v1/messages/batch", self._post_batch),
            ("GET", "/v1/events", self._list_events),
            *self._messages.routes(_ID),
            *self._inbound.routes(_ID),
            *self._opt_outs.routes(),
            *self._endpoints.routes(_ID),
        ]

    def _post(self, request: httpx.Request) -> httpx.Response:
        key = key_of(request)
        message, repeated = self._messages.accept(self._checked(content(request)), key)
        return json_response(202, message, {"Idempotent-Replayed": "true"} if repeated else {})

    def _post_batch(self, request: httpx.Request) -> httpx.Response:
        key = key_of(request)
        items = requests.batch(content(request))
        results = [self._result(item, key and f"{key}\n{i}") for i, item in enumerate(items)]
        return json_response(202, {"results": results})

    def _result(self, item: Any, key: str | None) -> dict[str, Any]:
        try:
            message, _ = self._messages.accept(self._checked(item), key)
        except Refusal as refusal:
            return {"status": refusal.document["status"], "problem": refusal.document}
        return {"status": 202, "message": message}

    def _checked(self, request: Any) -> dict[str, Any]:
        return requests.new_message(request, self._endpoints.check)

    def _list_events(self, request: httpx.Request) -> httpx.Response:
        return json_response(200, self._feed.page(requests.feed_query(dict(request.url.params))))

    def _current(self, event: Event) -> Message | InboundMessage:
        if event["type"] == "message.received":
            return self._inbound.get(event["data"]["id"])
        return self._messages.get(event["data"]["id"])

    def _on_received(self, message: InboundMessage) -> None:
        self._opt_outs.hear(message)
        answered = self._messages.by_id.get(message["in_reply_to"] or "")
        only = answered["webhook_endpoint"] if answered else None
        self._endpoints.tell(self._feed.add_received(message), only)

    def _on_change(self, message: Message) -> None:
        self._endpoints.tell(self._feed.add(message), message["webhook_endpoint"])
