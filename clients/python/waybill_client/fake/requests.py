"""The requests that the fake accepts."""

from collections.abc import Mapping
from typing import Any, Final, get_args

from waybill_client.fake import fields, senders
from waybill_client.fake.refusals import invalid
from waybill_client.types import Status

_STATUSES: Final = get_args(Status)
TYPES: Final = ("message.updated", "message.received")
_NEW_MESSAGE: Final[Mapping[str, fields.Check]] = {
    "to": fields.recipient,
    "body": fields.body,
    "smart_encoding": fields.boolean,
    "media_urls": fields.list_of(
        fields.matching(r"https?://\S+", "must start with https:// or http://"), 10
    ),
    "content_sid": fields.matching(r"HX[0-9a-fA-F]{32}", "must be HX and 32 hexadecimal digits"),
    "content_variables": fields.variables,
    "provider": fields.one_of("twilio", "sinch"),
    "account": fields.text(most=32),
    "from": senders.sender_or_pool,
    "messaging_service_sid": fields.matching(
        r"MG[0-9a-fA-F]{32}", "must be MG and 32 hexadecimal digits"
    ),
    "send_at": fields.near_future,
    "validity_period": fields.whole_number(1, 36_000),
    "expires_at": fields.near_future,
    "reference": fields.text(),
    "metadata": fields.scalars,
    "priority": fields.one_of("high", "normal"),
    "resend_if_unknown": fields.boolean,
}
_DEFAULTS: Final = {"smart_encoding": False, "resend_if_unknown": False, "priority": "normal"}
_LIST: Final[Mapping[str, fields.Check]] = {
    "status": fields.one_of(*_STATUSES),
    "provider": fields.text(0, 10_000),
    "to": fields.recipient,
    "reference": fields.text(0, 10_000),
    "provider_sid": fields.text(0, 10_000),
    "created_after": fields.time,
    "created_before": fields.time,
    "cursor": fields.matching(r"[0-9a-f-]{36}", "must be the next_cursor of an answer"),
    "limit": lambda value: fields.whole_number(1, 200)(_number(value)),
}
_INBOUND: Final[Mapping[str, fields.Check]] = {
    "from": fields.recipient,
    "to": fields.text(),
    "keyword": fields.one_of("stop", "start", "help"),
    "in_reply_to": fields.matching(r"[0-9a-f-]{36}", "must be the id of a message"),
    "received_after": fields.time,
    "received_before": fields.time,
    "cursor": _LIST["cursor"],
    "limit": _LIST["limit"],
}
_OPT_OUTS: Final[Mapping[str, fields.Check]] = {
    "number": fields.recipient,
    "sender": senders.listed,
    "cursor": fields.matching(r"[^/]+/[^/]+", "must be the next_cursor of an answer"),
    "limit": _LIST["limit"],
}
_FEED: Final[Mapping[str, fields.Check]] = {
    "after": fields.matching(r"now|\d+", "must be a next_cursor of an earlier answer"),
    "types": lambda value: [fields.one_of(*TYPES)(each) for each in value.split(",")],
    "limit": lambda value: fields.whole_number(1, 500)(_number(value)),
    "wait": lambda value: _between(_number(value), 0, 25),
}


def new_message(request: Any, endpoint: fields.Check) -> dict[str, Any]:
    """Return the normalised fields of a message, without defaults. Raises Refusal.

    `endpoint` checks the id of a webhook endpoint.
    """
    checks = {**_NEW_MESSAGE, "webhook_endpoint": endpoint}
    values = fields.check(request, checks, required=("to",))
    if "content_variables" in values and "content_sid" not in values:
        raise invalid({"(request)": "content_variables must be given together with content_sid"})
    if "content_sid" in values and ("body" in values or "media_urls" in values):
        raise invalid({"(request)": "must have either content_sid, or body and media_urls"})
    if not {"body", "media_urls", "content_sid"} & set(values):
        raise invalid({"(request)": fields.CONTENTS})
    if "expires_at" in values and "validity_period" in values:
        raise invalid({"expires_at": "must be left out with validity_period; send one of them"})
    if senders.is_pool(values.get("from", "")) and "messaging_service_sid" in values:
        raise invalid({"messaging_service_sid": "must be left out with a pool in from"})
    if values.get("expires_at", "z") <= values.get("send_at", ""):
        raise invalid({"expires_at": "must be later than send_at"})
    return {name: value for name, value in values.items() if value != _DEFAULTS.get(name, {})}


def list_query(query: Mapping[str, str]) -> dict[str, Any]:
    """Return the filters of a list of messages. Raises Refusal."""
    return {"limit": 50, **fields.check(dict(query), _LIST)}


def inbound_query(query: Mapping[str, str]) -> dict[str, Any]:
    """Return the filters of a list of inbound messages. Raises Refusal."""
    return {"limit": 50, **fields.check(dict(query), _INBOUND)}


def opt_out_query(query: Mapping[str, str]) -> dict[str, Any]:
    """Return the filters of a list of opt-outs. Raises Refusal."""
    return {"limit": 50, **fields.check(dict(query), _OPT_OUTS)}


def opt_out_sender(request: Any) -> str | None:
    """Return the sender that a change of opt-outs names. Raises Refusal."""
    sender: str | None = fields.check(request, {"sender": senders.listed}).get("sender")
    return sender


def feed_query(query: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters of the event feed. Raises Refusal."""
    defaults = {"after": None, "types": TYPES, "limit": 100, "wait": 0.0}
    return {**defaults, **fields.check(dict(query), _FEED)}


def batch(request: Any) -> list[Any]:
    """Return the messages of a batch, unchecked. Raises Refusal."""
    checks = {"messages": fields.list_of(lambda item: item, 1000)}
    return list(fields.check(request, checks, required=("messages",))["messages"])


def resend(request: Any) -> bool:
    """Return whether a resend is confirmed. Raises Refusal."""
    return bool(
        fields.check(request, {"confirm_duplicate": fields.boolean}).get("confirm_duplicate", False)
    )


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError("must be a number") from None


def _between(value: float, least: float, most: float) -> float:
    if not least <= value <= most:
        raise ValueError(f"must be {least} to {most}")
    return value
