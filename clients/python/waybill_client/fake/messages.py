"""The messages of the fake: what was accepted, and what became of it."""

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any, Final, cast
from uuid import UUID

import httpx

from waybill_client.fake import requests, senders
from waybill_client.fake.fields import time_text
from waybill_client.fake.http import content, json_response, page
from waybill_client.fake.refusals import Refusal
from waybill_client.fake.texts import estimate
from waybill_client.types import Message, Status

_FINAL: Final = {"expired", "canceled", "failed", "undelivered", "delivered", "read"}
_ON_AIR: Final = {"sending", "sent", "undelivered", "delivered", "read"}
_PATIENCE: Final = timedelta(hours=4)
_UNKNOWN: Final = "waybill_outcome_unknown"
KEY_REUSED: Final = (
    "this Idempotency-Key was used for a different request; use a new key for a new message"
)


class Messages:
    """The messages, in the order in which they were accepted. `changed` hears of each change."""

    def __init__(self, changed: Callable[[Message], None]) -> None:
        self.by_id = dict[str, Message]()
        self._changed = changed
        self._answers = dict[str, tuple[dict[str, Any], Message]]()  # by idempotency key
        self._was_on_air = set[str]()

    def routes(self, pattern: str) -> list[tuple[str, str, Callable[..., httpx.Response]]]:
        """Return the routes beside those that accept; `pattern` is that of an id."""
        root = "/v1/messages"
        message = f"{root}/{pattern}"
        return [
            ("GET", root, self._list),
            ("GET", message, lambda _, i: json_response(200, self.get(i))),
            ("POST", f"{message}/cancel", lambda _, i: json_response(200, self.cancel(i))),
            ("POST", f"{message}/resend", self._resend),
        ]

    def accept(self, request: dict[str, Any], key: str | None) -> tuple[Message, bool]:
        """Return the message of a request, as it was accepted, and whether it is a repetition."""
        if key in self._answers:
            earlier, answer = self._answers[key]
            if earlier != request:
                raise Refusal(409, KEY_REUSED)
            return answer, True
        message = _new(request)
        self.by_id[message["id"]] = message
        if key is not None:
            self._answers[key] = (request, deepcopy(message))
        return deepcopy(message), False

    def get(self, message_id: str) -> Message:
        """Return a copy of a message. Raises Refusal."""
        if message_id not in self.by_id:
            raise Refusal(404, "message not matching")
        return deepcopy(self.by_id[message_id])

    def set(self, message_id: str, status: Status, error: dict[str, Any] | None = None) -> Message:
        """Give a message a status and an error, as a report of the provider does."""
        self.get(message_id)
        message, now = self.by_id[message_id], time_text(datetime.now(UTC))
        changes: dict[str, Any] = {"status": status, "error": error, "updated_at": now}
        changes |= {"version": message["version"] + 1, "final": status in _FINAL}
        changes["final_at"] = now if status in _FINAL else None
        if status not in ("pending", "canceled", "expired"):
            changes["provider_sid"] = message["provider_sid"] or f"SM{token_hex(16)}"
            changes["submitted_at"] = message["submitted_at"] or now
        message.update(cast(Message, changes))
        if status in _ON_AIR:
            self._was_on_air.add(message_id)
        self._changed(deepcopy(message))
        return deepcopy(message)

    def cancel(self, message_id: str) -> Message:
        """Cancel a message that is not sent. Raises Refusal."""
        message = self.get(message_id)
        if message["status"] == "canceled":
            return message
        if message["status"] not in ("pending", "scheduled"):
            raise Refusal(409, f"too late to cancel: the message is {message['status']}")
        return self.set(message_id, "canceled")

    def _resend(self, request: httpx.Request, message_id: str) -> httpx.Response:
        confirmed = requests.resend(content(request) if request.content else {})
        message = self.get(message_id)
        if message["status"] not in ("failed", "expired"):
            raise Refusal(409, f"the message cannot be sent again: it is {message['status']}")
        if message_id in self._was_on_air:
            raise Refusal(409, "the message was sent: a second copy could arrive")
        error = message["error"]
        if error is not None and error["code"] == _UNKNOWN and not confirmed:
            raise Refusal(409, "it is unknown whether the message was sent")
        return json_response(202, self.set(message_id, "pending"))

    def _list(self, request: httpx.Request) -> httpx.Response:
        query = requests.list_query(dict(request.url.params))
        limit, cursor = query.pop("limit"), query.pop("cursor", None)
        since, until = query.pop("created_after", ""), query.pop("created_before", "z")
        matching = [
            message
            for message in reversed(self.by_id.values())
            if since <= message["created_at"] < until
            and all(message[name] == value for name, value in query.items())  # type: ignore[literal-required]
        ]
        shown, next_cursor = page(matching, cursor, limit)
        return json_response(200, {"messages": shown, "next_cursor": next_cursor})


def _new(request: dict[str, Any]) -> Message:
    now = datetime.now(UTC)
    text = request.get("body") if not request.get("media_urls") else None
    is_sms = text is not None and ":" not in request["to"]
    encoding, segments = estimate(text) if is_sms and text is not None else (None, None)
    nothing = ("media_urls", "content_sid", "content_variables", "send_at", "validity_period")
    return cast(
        Message,
        {
            **dict.fromkeys(
                (*nothing, "body", "reference", "messaging_service_sid", "webhook_endpoint")
            ),
            **dict.fromkeys(("provider_sid", "waiting", "error", "price")),
            **dict.fromkeys(("submitted_at", "final_at")),
            **dict.fromkeys(("test", "redacted", "conflict", "final"), False),
            "id": new_id(now),
            "provider": "twilio",
            "account": "default",
            "metadata": {},
            "priority": "normal",
            "resend_if_unknown": False,
            "smart_encoding": False,
            "encoding": encoding,
            "segments": segments,
            "created_at": time_text(now),
            "updated_at": time_text(now),
            "version": 1,
            "status": "pending",
            **request,
            "from": _sender(request),
            "expires_at": request.get("expires_at") or _expiry(request, now),
        },
    )


def _sender(request: dict[str, Any]) -> str | None:
    sender: str | None = request.get("from")
    if sender is None:
        return None if "messaging_service_sid" in request else senders.DEFAULT
    return senders.in_pool(request["to"]) if senders.is_pool(sender) else sender


def _expiry(request: dict[str, Any], now: datetime) -> str:
    start = datetime.fromisoformat(request["send_at"]) if "send_at" in request else now
    seconds = request.get("validity_period")
    return time_text(start + (_PATIENCE if seconds is None else timedelta(seconds=seconds)))


def new_id(now: datetime) -> str:
    """Return a UUIDv7, as the real server makes them."""
    milliseconds = f"{int(now.timestamp() * 1000):012x}"
    return str(UUID(f"{milliseconds}7{token_hex(2)[:3]}8{token_hex(8)[:15]}"))
