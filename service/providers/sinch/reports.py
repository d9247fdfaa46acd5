"""Parse Sinch's callbacks and batches into status reports."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.providers.base import Callback
from service.providers.sanitize import as_count, as_uuid, clipped, scalar, storable

NAME: Final = "sinch"

# https://developers.sinch.com/docs/sms/api-reference/sms/tag/Delivery-reports/
# In lower case: the documents write Delivered, an official SDK writes DELIVERED.
STATUSES: Final[Mapping[str, Status]] = {
    "queued": Status.QUEUED,
    # Our choice: the operator has it, and Sinch reports nothing until the end.
    "dispatched": Status.SENT,
    "delivered": Status.DELIVERED,
    # Our choice: it reached the operator, who gave up.
    "failed": Status.UNDELIVERED,
    "rejected": Status.UNDELIVERED,  # by the operator
    "deleted": Status.UNDELIVERED,  # by the operator, mostly for an invalid number
    "expired": Status.UNDELIVERED,
    "aborted": Status.FAILED,  # inside Sinch: it was never sent
    "cancelled": Status.CANCELED,
    # Our choice: final for Sinch, but it means that the operator took it and sent no receipt.
    # That is no failure, and a later poll may learn more.
    "unknown": Status.SENT,
}

# A batch of the API has no status; these words describe its fields.
BATCH_STATUSES: Final[Mapping[str, Status]] = {
    "created": Status.ACCEPTED,
    "scheduled": Status.SCHEDULED,
    "canceled": Status.CANCELED,
}

# Fields of reports, batches and errors that redaction keeps.
NON_PERSONAL_FIELDS: Final = frozenset(
    {
        *("type", "batch_id", "client_reference", "status", "code", "at", "operator_status_at"),
        *("number_of_message_parts", "total_message_count", "encoding"),
        *("id", "canceled", "created_at", "modified_at", "send_at", "expire_at"),
        *("received_at", "sent_at", "operator_id"),  # of inbound messages
    }
)

_ONE_RECIPIENT: Final = frozenset(
    {"recipient_delivery_report_sms", "recipient_delivery_report_mms"}
)
_WHOLE_BATCH: Final = frozenset({"delivery_report_sms", "delivery_report_mms"})
# Delivered, queued, dispatched: these codes repeat the status and are no errors.
_NO_ERROR: Final = frozenset({"0", "400", "401"})
# Our word for a report about several recipients: we send to one, so it is not ours alone.
SEVERAL: Final = "several"


def from_callback(fields: Mapping[str, Any], callback: Callback) -> StatusReport:
    """Parse the fields of a verified callback. Never raises: bad ones have an unknown word."""
    return from_fields(fields, Source.CALLBACK, _attempt(fields), callback.received_at)


def from_fields(
    fields: Mapping[str, Any], source: Source, attempt_id: UUID | None, received_at: datetime
) -> StatusReport:
    """Parse a delivery report, from a callback or from the API."""
    word, code = _status_and_code(fields)
    report = StatusReport(
        provider=NAME,
        source=source,
        word=word,
        status=STATUSES.get(word.lower()),
        received_at=received_at,
        attempt_id=attempt_id,
        provider_sid=fields.get("batch_id"),
        error_code=None if code in _NO_ERROR else code,
        provider_time=scalar(fields.get("at")),
        segments=as_count(scalar(fields.get("number_of_message_parts"))),
        raw=flat(fields),
    )
    return clipped(report)


def from_batch(
    batch: Mapping[str, Any], source: Source, attempt_id: UUID | None, received_at: datetime
) -> StatusReport:
    """Parse a batch of the API."""
    word = _batch_word(batch, received_at)
    kept = ("id", "canceled", "created_at", "modified_at", "send_at", "expire_at", "type")
    report = StatusReport(
        provider=NAME,
        source=source,
        word=word,
        status=BATCH_STATUSES[word],
        received_at=received_at,
        attempt_id=attempt_id,
        provider_sid=batch.get("id"),
        # We have its text and numbers already.
        raw=flat({name: batch[name] for name in kept if name in batch}),
    )
    return clipped(report)


def _attempt(fields: Mapping[str, Any]) -> UUID | None:
    """Return the attempt id in the body.

    The path has one, too, but Sinch does not sign it: a genuine body that is sent to another path
    would be recorded for another message.
    """
    return as_uuid(scalar(fields.get("client_reference")))


def _status_and_code(fields: Mapping[str, Any]) -> tuple[str, str]:
    """Return the status and the code of a report, as text."""
    kind = scalar(fields.get("type"))
    if kind in _ONE_RECIPIENT:
        return _word_and_code(fields)
    if kind not in _WHOLE_BATCH:
        return kind, ""
    groups = fields.get("statuses")
    used = [group for group in groups if _is_used(group)] if isinstance(groups, list) else []
    if not used:
        return "", ""
    if len(used) > 1 or fields.get("total_message_count", 1) != 1:
        return SEVERAL, ""
    return _word_and_code(used[0])


def _is_used(group: object) -> bool:
    return isinstance(group, dict) and group.get("count") != 0


def _word_and_code(fields: Mapping[str, Any]) -> tuple[str, str]:
    return scalar(fields.get("status")), scalar(fields.get("code"))


def _batch_word(batch: Mapping[str, Any], received_at: datetime) -> str:
    if batch.get("canceled") is True:
        return "canceled"
    try:
        ahead = datetime.fromisoformat(scalar(batch.get("send_at"))) > received_at
    except (ValueError, TypeError):  # missing, or without a time zone
        ahead = False
    return "scheduled" if ahead else "created"


def fields(body: bytes) -> dict[str, Any]:
    """Return the fields of a JSON object. Never raises."""
    text = body.decode(errors="replace")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return {"unreadable": text}
    return parsed if isinstance(parsed, dict) else {"unreadable": text}


def flat(fields: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the fields as storable text."""
    return {storable(str(name)): text(value) for name, value in fields.items()}


def text(value: object) -> str | None:
    """Return a value as storable text; other values than text as JSON."""
    if value is None or isinstance(value, str):
        return value and storable(value)
    try:
        return json.dumps(value)
    except (ValueError, RecursionError):
        return "unreadable"
