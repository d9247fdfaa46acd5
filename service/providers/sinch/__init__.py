"""The provider Sinch: `api` has its calls, `signature`, `reports` and `errors` the rest."""

import logging
import time
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from service.config.settings import Settings
from service.domain.report import Source, StatusReport
from service.errors import ErrorFact, Refused
from service.providers.base import (
    Callback,
    CallbackRequest,
    LookUpQuery,
    Outbound,
    RefusalAdvice,
    Sender,
)
from service.providers.sanitize import same_address, scalar
from service.providers.sinch import errors, reports, signature
from service.providers.sinch.api import Batches

# Less than three days, after which a message may expire at Sinch.
_MIN_AHEAD: Final = 60.0
_MAX_AHEAD: Final = 2 * 86_400.0
# Only text messages to numbers.
_UNSUPPORTED: Final = frozenset(
    {"messaging_service_sid", "content_sid", "content_variables", "media_urls"}
)

_log = logging.getLogger(__name__)


class Sinch:
    """The SMS API (XMS) of one service plan. Each message is a batch with one recipient."""

    name: Final = reports.NAME

    def __init__(self, settings: Settings) -> None:
        self._batches = Batches(settings)
        self._keyring = signature.Keyring(settings)
        self._number = settings.sinch_phone_number
        self._callbacks = f"{settings.callback_base_url}/callbacks/{self.name}"
        if settings.sinch_callback_path_secret is not None:
            self._callbacks += f"/{settings.sinch_callback_path_secret.get_secret_value()}"
            _log.warning(
                "callbacks of this Sinch plan are not signed: anyone who knows their URL can forge "
                "them. Ask Sinch to sign them, see docs/sinch.md"
            )

    def owns(self, sender: Sender) -> bool:
        """Return whether the sender is the number of the settings."""
        return sender.address is not None and sender.address == self._number

    def default_sender(self) -> Sender | None:
        """Return the number of the settings."""
        return Sender(self._number) if self._number else None

    def unsupported_fields(self, to: str, fields: Collection[str]) -> list[str]:
        """Return which of these fields Sinch does not support, and `to` for a channel address."""
        unsupported = sorted(_UNSUPPORTED.intersection(fields))
        return unsupported if to.startswith("+") else ["to", *unsupported]

    def send(self, outbound: Outbound) -> StatusReport:
        """Send one message. Raises Refused, NotAccepted or OutcomeUnknown."""
        batch = self._batches.create(self._batch(outbound))
        return _reported(batch, outbound.attempt_id, Source.API)

    def cancel(self, attempt_id: UUID, provider_sid: str) -> StatusReport:
        """Cancel a scheduled message. Raises Refused when it is too late, or as `send` does."""
        batch = self._batches.cancel(provider_sid)
        if batch.get("canceled") is not True:
            raise Refused("Sinch did not cancel the message")
        return _reported({**batch, "id": provider_sid}, attempt_id, Source.API)

    def fetch(self, attempt_id: UUID, provider_sid: str) -> StatusReport:
        """Fetch the status of a message. Raises Refused for an unknown id, or as `send` does."""
        report = self._batches.delivery_report(provider_sid)
        return reports.from_fields(
            {**report, "batch_id": provider_sid},
            Source.RECONCILIATION,
            attempt_id,
            datetime.now(UTC),
        )

    def find(self, query: LookUpQuery) -> list[StatusReport]:
        """Return the batch with the attempt id, if there is one. Raises as `send` does."""
        batches = self._batches.named(str(query.attempt_id), _iso(query.since))
        return [_reported(batch, query.attempt_id, Source.RECONCILIATION) for batch in batches]

    def confirm(self, query: LookUpQuery, provider_sid: str) -> StatusReport:
        """Fetch a batch by an id that a person entered. Raises Refused if it does not match."""
        batch = self._batches.batch(provider_sid)
        if fields := list(_differences(batch, query)):
            raise Refused(f"{provider_sid} is another message: different {', '.join(fields)}")
        return self.fetch(query.attempt_id, provider_sid)

    def verify(self, request: CallbackRequest) -> None:
        """Check the signature of a callback. Raises Forged."""
        signature.verify(request, self._keyring, time.time())

    def refusal_advice(self) -> Mapping[str, RefusalAdvice]:
        """Return advice for callbacks that were signed with another secret."""
        return signature.REFUSALS

    def parse(self, callback: Callback) -> StatusReport:
        """Parse a verified callback. Never raises for any body."""
        return reports.from_callback(callback)

    def explain(self, error_code: str) -> ErrorFact:
        """Explain an error code."""
        return errors.explain(error_code)

    def non_personal_fields(self) -> Collection[str]:
        """Return the payload fields that redaction keeps."""
        return reports.NON_PERSONAL_FIELDS

    def can_schedule(self, messaging_service_sid: str | None, seconds_ahead: float) -> bool:
        """Return whether Sinch can hold a message: 1 minute to 2 days ahead."""
        return _MIN_AHEAD <= seconds_ahead <= _MAX_AHEAD

    def _batch(self, outbound: Outbound) -> dict[str, Any]:
        batch = {
            "to": [outbound.to],
            "from": outbound.sender,
            "body": outbound.body,
            "type": "mt_text",
            "delivery_report": "per_recipient",
            "callback_url": f"{self._callbacks}/{outbound.attempt_id}",
            "client_reference": str(outbound.attempt_id),
            "send_at": outbound.send_at and _iso(outbound.send_at),
            "expire_at": _expiry(outbound),
        }
        return {name: value for name, value in batch.items() if value is not None}


def _differences(batch: Mapping[str, Any], query: LookUpQuery) -> Iterator[str]:
    """Yield the names of the fields that differ; none differ if our reference is equal."""
    reference = scalar(batch.get("client_reference"))
    if reference == str(query.attempt_id):
        return
    if reference:
        yield "reference"
    to = batch.get("to")
    if not isinstance(to, list) or len(to) != 1 or not same_address(scalar(to[0]), query.to):
        yield "recipient"
    if query.sender and not same_address(scalar(batch.get("from")), query.sender):
        yield "sender"
    if (batch.get("body") or query.body) != query.body:
        yield "text"


def _expiry(outbound: Outbound) -> str | None:
    if outbound.validity_period is None:
        return None
    begin = outbound.send_at or datetime.now(UTC)
    return _iso(begin + timedelta(seconds=outbound.validity_period))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _reported(batch: dict[str, Any], attempt_id: UUID, source: Source) -> StatusReport:
    return reports.from_batch(batch, source, attempt_id, datetime.now(UTC))
