"""The opt-outs of the fake: who does not want messages, and from which sender."""

from collections.abc import Callable, Collection
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from waybill_client.fake import fields, requests, senders
from waybill_client.fake.http import content, json_response
from waybill_client.fake.refusals import Refusal, invalid
from waybill_client.types import InboundMessage, OptOut

_CLIENT: Final = "client fake"
_Key = tuple[str, str]  # the person and the sender


class OptOuts:
    """The opt-outs in force. They stop no message: what becomes of one is up to the test."""

    def __init__(self) -> None:
        self._by_key = dict[_Key, OptOut]()

    def routes(self) -> list[tuple[str, str, Callable[..., httpx.Response]]]:
        """Return the routes."""
        root = "/v1/opt-outs"
        number = f"{root}/([^/]+)"
        return [
            ("GET", root, self._list),
            ("PUT", number, self._put),
            ("DELETE", number, self._delete),
        ]

    def all(self) -> list[OptOut]:
        """Return the opt-outs by number and sender."""
        return self._matching({})

    def hear(self, message: InboundMessage) -> None:
        """Begin or end what the keyword of an inbound message says."""
        person = message["from"].removeprefix("rcs:")
        for sender in filter(None, (message["to"], message["messaging_service_sid"])):
            if message["keyword"] == "stop":
                self._begin((person, sender), "keyword", "recipient")
            elif message["keyword"] == "start":
                self._by_key.pop((person, sender), None)

    def _list(self, request: httpx.Request) -> httpx.Response:
        query = requests.opt_out_query(dict(request.url.params))
        limit, cursor = query.pop("limit"), query.pop("cursor", "")
        matching = [each for each in self._matching(query) if _key(each) > _position(cursor)]
        page, more = matching[:limit], len(matching) > limit
        next_cursor = "/".join(_key(page[-1])) if more else None
        return json_response(200, {"opt_outs": page, "next_cursor": next_cursor})

    def _put(self, request: httpx.Request, number: str) -> httpx.Response:
        sender = requests.opt_out_sender(content(request) if request.content else {})
        self._begin(_pair(_number(number), sender or senders.EVERY), "client", _CLIENT)
        return json_response(200, {"opt_outs": self._matching({"number": _number(number)})})

    def _delete(self, request: httpx.Request, number: str) -> httpx.Response:
        sender = requests.opt_out_sender(dict(request.url.params))
        query = {"number": _number(number), **({"sender": sender} if sender else {})}
        ended = self._matching(query)
        if not ended:
            raise Refusal(404, "there is no such opt-out")
        for opt_out in ended:
            del self._by_key[_key(opt_out)]
        return httpx.Response(204)

    def _begin(self, key: _Key, reason: Any, by: str) -> None:
        number, sender = key
        self._by_key[key] = {
            "number": number,
            "sender": sender,
            "provider": "*" if sender == senders.EVERY else "twilio",
            "since": fields.time_text(datetime.now(UTC)),
            "reason": reason,
            "changed_by": by,
            "error_code": None,
        }

    def _matching(self, query: dict[str, str]) -> list[OptOut]:
        people = _addresses(query["number"]) if "number" in query else None
        return [
            deepcopy(opt_out)
            for (person, sender), opt_out in sorted(self._by_key.items())
            if (people is None or person in people) and query.get("sender", sender) == sender
        ]


def _key(opt_out: OptOut) -> _Key:
    return opt_out["number"], opt_out["sender"]


def _position(cursor: str) -> _Key:
    number, _, sender = cursor.partition("/")
    return number, sender


def _pair(number: str, sender: str) -> _Key:
    """Return the key of an opt-out: from a sender of a channel it is of the person on it."""
    person, channel = number.removeprefix("rcs:"), senders.channel_of(sender)
    on_channel = channel == "whatsapp" and not senders.channel_of(person)
    return (f"{channel}:{person}" if on_channel else person), sender


def _addresses(number: str) -> Collection[str]:
    """Return the addresses that a number matches: without a channel it matches every channel."""
    person = number.removeprefix("rcs:")
    return [person] if ":" in person else [person, f"whatsapp:{person}"]


def _number(text: str) -> str:
    try:
        return fields.recipient(text)
    except ValueError as error:
        raise invalid({"number": str(error)}) from None
