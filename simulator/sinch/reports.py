"""Messages in Sinch's format: as a batch, and as a delivery report.

https://developers.sinch.com/docs/sms/api-reference/sms/tag/Delivery-reports/
"""

from datetime import UTC, datetime
from typing import Final

from simulator.message import Message

#: Status of the message: Sinch's status and code.
_STATUSES: Final = {
    "accepted": ("Queued", 400),
    "scheduled": ("Queued", 400),
    "queued": ("Queued", 400),
    "sending": ("Queued", 400),
    "sent": ("Dispatched", 401),
    "delivered": ("Delivered", 0),
    "canceled": ("Cancelled", 407),
}
#: Error code of the message: Sinch's status and code.
_FAILURES: Final = {
    30003: ("Expired", 406),
    30005: ("Deleted", 402),
    30006: ("Rejected", 402),
    30007: ("Aborted", 408),
    30008: ("Aborted", 403),
    30036: ("Expired", 406),
}


def status_and_code(message: Message) -> tuple[str, int]:
    """Return Sinch's status and code of a message; a status unknown to Sinch is unchanged."""
    if message.status in {"failed", "undelivered"}:
        default = ("Aborted" if message.status == "failed" else "InjectedError", 404)
        return _FAILURES.get(message.error_code or 0, default)
    return _STATUSES.get(message.status, (message.status, message.error_code or 0))


def to_batch(message: Message) -> dict[str, object]:
    """Return the JSON of a batch."""
    order = message.order
    batch = {
        "id": message.sid,
        "to": [order.to.removeprefix("+")],
        "from": order.sender,
        "body": message.body,
        "type": "mt_text",
        "canceled": "canceled" in message.statuses,
        "created_at": iso(message.created_at),
        "modified_at": iso(message.updated_at),
        "delivery_report": "per_recipient" if order.status_callback else "none",
        "callback_url": order.status_callback,
        "client_reference": order.reference,
        "send_at": iso(order.send_at) if order.send_at else None,
        "expire_at": iso(order.expire_at) if order.expire_at else None,
    }
    return {name: value for name, value in batch.items() if value is not None}


def to_recipient_report(message: Message) -> dict[str, object]:
    """Return the report of the recipient, as sent in a callback."""
    status, code = status_and_code(message)
    report: dict[str, object] = {
        "type": "recipient_delivery_report_sms",
        "batch_id": message.sid,
        "recipient": _recipient(message),
        "code": code,
        "status": status,
        "at": iso(datetime.now(UTC)),
    }
    if message.order.reference:
        report["client_reference"] = message.order.reference
    if message.status in {"delivered", "undelivered"}:
        report["operator_status_at"] = iso(message.updated_at)
    return report


def to_batch_report(message: Message) -> dict[str, object]:
    """Return the report of the whole batch, of the type `full`."""
    status, code = status_and_code(message)
    group = {"code": code, "status": status, "count": 1, "recipients": [_recipient(message)]}
    return {
        "type": "delivery_report_sms",
        "batch_id": message.sid,
        "total_message_count": 1,
        "statuses": [group],
    }


def iso(moment: datetime) -> str:
    """Return a time in Sinch's format."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _recipient(message: Message) -> str:
    """Return the number without its plus in two of three reports: Sinch does either."""
    number = message.order.to
    return number if message.number % 3 == 0 else number.removeprefix("+")
