"""The inbound messages of the fake: what persons wrote."""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Final, cast

import httpx

from waybill_client.fake import requests, senders
from waybill_client.fake.fields import time_text
from waybill_client.fake.http import json_response, page
from waybill_client.fake.messages import new_id
from waybill_client.fake.refusals import Refusal
from waybill_client.types import InboundMessage, Message

_NOT_SENT: Final = {"pending", "scheduled", "canceled", "expired", "failed"}
_KEYWORDS: Final = {
    "stop": "stop stopall unsubscribe cancel end quit revoke optout",
    "start": "start yes unstop",
    "help": "help info",
}


class InboundMessages:
    """The inbound messages, in the order in which they came. `received` hears of each."""

    def __init__(self, received: Callable[[InboundMessage], None]) -> None:
        self.by_id = dict[str, InboundMessage]()
        self._received = received

    def routes(self, pattern: str) -> list[tuple[str, str, Callable[..., httpx.Response]]]:
        """Return the routes; `pattern` is that of an id."""
        root = "/v1/inbound"
        return [
            ("GET", root, self._list),
            ("GET", f"{root}/{pattern}", lambda _, i: json_response(200, self.get(i))),
        ]

    def add(
        self, body: str, person: str, to: str | None, sent: Iterable[Message]
    ) -> InboundMessage:
        """Add a message of a person, which answers the last one that was sent to them."""
        answered = [
            message
            for message in sent
            if message["to"] == person
            and message["status"] not in _NOT_SENT
            and to in (None, message["from"])
        ]
        last = answered[-1] if answered else None
        message = _new(body, person, to or (last and last["from"]) or senders.DEFAULT, last)
        self.by_id[message["id"]] = message
        self._received(deepcopy(message))
        return deepcopy(message)

    def get(self, inbound_id: str) -> InboundMessage:
        """Return a copy of a message. Raises Refusal."""
        if inbound_id not in self.by_id:
            raise Refusal(404, "there is no such inbound message")
        return deepcopy(self.by_id[inbound_id])

    def _list(self, request: httpx.Request) -> httpx.Response:
        query = requests.inbound_query(dict(request.url.params))
        limit, cursor = query.pop("limit"), query.pop("cursor", None)
        since, until = query.pop("received_after", ""), query.pop("received_before", "z")
        matching = [
            message
            for message in reversed(self.by_id.values())
            if since <= message["received_at"] < until and _matches(message, query)
        ]
        shown, next_cursor = page(matching, cursor, limit)
        return json_response(200, {"messages": shown, "next_cursor": next_cursor})


def _matches(message: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
    return all(message[name] == value for name, value in query.items())


def _new(body: str, person: str, to: str, answered: Message | None) -> InboundMessage:
    now, sid, word = datetime.now(UTC), f"SM{token_hex(16)}", body.strip().casefold()
    keywords = (keyword for keyword, words in _KEYWORDS.items() if word in words.split())
    message = {
        "id": new_id(now),
        "test": False,
        "redacted": False,
        "provider": "twilio",
        "account": "default",
        "provider_sid": sid,
        "from": person,
        "to": to,
        "messaging_service_sid": answered and answered["messaging_service_sid"],
        "body": body,
        "media": [],
        "keyword": next(keywords, None),
        "in_reply_to": answered and answered["id"],
        "received_at": time_text(now),
        "provider_time": None,
        "raw": {"MessageSid": sid, "From": person, "To": to, "Body": body, "NumMedia": "0"},
    }
    return cast(InboundMessage, message)
