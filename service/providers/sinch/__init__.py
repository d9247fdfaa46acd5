"""Sinch: `api` the calls, `signature` the proof, `reports` the words, `errors` the codes."""

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

# Well inside the three days after which, by any reading, a message expires at Sinch.
_SOONEST: Final = 60.0
_LATEST: Final = 2 * 86_400.0
# SMS only, to numbers: no channels, no templates, no services that pick a sender.
_NO_PLACE_FOR: Final = frozenset(
    {"messaging_service_sid", "content_sid", "content_variables", "media_urls"}
)

_log = logging.getLogger(__name__)


class Sinch:
    """The SMS API (XMS) of one service plan. One recipient per batch: one message, one identity."""

    name: Final = reports.NAME

    def __init__(self, settings: Settings) -> None:
        self._batches = Batches(settings)
        self._keyring = signature.Keyring(settings)
        self._number = settings.sinch_phone_number
        self._callbacks = f"{settings.callback_base_url}/callbacks/{self.name}"
        if settings.sinch_callback_path_secret is not None:
            self._callbacks += f"/{settings.sinch_callback_path_secret.get_secret_value()}"
            _log.warning(
                "callbacks of this Sinch plan are not signed: whoever knows their path "
                "can forge them. Ask Sinch to sign them, see docs/sinch.md"
            )

    def owns(self, sender: Sender) -> bool:
        """Tell whether the sender is the number of the settings."""
        return sender.address is not None and sender.address == self._number

    def default_sender(self) -> Sender | None:
        """Return who sends a message that names nobody."""
        return Sender(self._number) if self._number else None

    def unsupported_fields(self, to: str, fields: Collection[str]) -> list[str]:
        """Return what of these is not for SMS as plain text to a number."""
        misfits = sorted(_NO_PLACE_FOR.intersection(fields))
        return misfits if to.startswith("+") else ["to", *misfits]

    def send(self, outbound: Outbound) -> StatusReport:
        """Hand one message over. Raises Refused, NotAccepted or OutcomeUnknown."""
        batch = self._batches.create(self._order(outbound))
        return _reported(batch, outbound.attempt_id, Source.API)

    def cancel(self, attempt_id: UUID, provider_sid: str) -> StatusReport:
        """Stop a scheduled message. Raises Refused when it is too late, or as `send` does."""
        batch = self._batches.cancel(provider_sid)
        if batch.get("canceled") is not True:
            raise Refused("Sinch did not cancel it")
        return _reported({**batch, "id": provider_sid}, attempt_id, Source.API)

    def fetch(self, attempt_id: UUID, provider_sid: str) -> StatusReport:
        """Ask where a message is. Raises Refused when it is not known, or as `send` does."""
        report = self._batches.delivery_report(provider_sid)
        return reports.from_fields(
            {**report, "batch_id": provider_sid},
            Source.RECONCILIATION,
            attempt_id,
            datetime.now(UTC),
        )

    def find(self, wanted: LookUpQuery) -> list[StatusReport]:
        """Return the batch under the attempt's id: that one or none. Raises as `send` does."""
        found = self._batches.named(str(wanted.attempt_id), _iso(wanted.since))
        return [_reported(one, wanted.attempt_id, Source.RECONCILIATION) for one in found]

    def confirm(self, sought: LookUpQuery, provider_sid: str) -> StatusReport:
        """Fetch a batch by an id that a person gave. Raises Refused if it is another message's."""
        batch = self._batches.batch(provider_sid)
        if odd := list(_differences(batch, sought)):
            raise Refused(f"{provider_sid} is another message: different {', '.join(odd)}")
        return self.fetch(sought.attempt_id, provider_sid)

    def verify(self, request: CallbackRequest) -> None:
        """Return when Sinch signed this request. Raises Forged otherwise."""
        signature.verify(request, self._keyring, time.time())

    def refusal_advice(self) -> Mapping[str, RefusalAdvice]:
        """Return what to do about callbacks that no secret of ours signed."""
        return signature.REFUSALS

    def parse(self, callback: Callback) -> StatusReport:
        """Put a verified callback into our words; never raises for what the body holds."""
        return reports.from_callback(callback)

    def explain(self, error_code: str) -> ErrorFact:
        """Say what an error code means."""
        return errors.explain(error_code)

    def non_personal_fields(self) -> Collection[str]:
        """Return which fields of a raw payload redaction keeps."""
        return reports.NON_PERSONAL_FIELDS

    def can_schedule(self, messaging_service_sid: str | None, seconds_ahead: float) -> bool:
        """Tell whether Sinch would hold a message: from a minute to two days."""
        return _SOONEST <= seconds_ahead <= _LATEST

    def _order(self, outbound: Outbound) -> dict[str, Any]:
        order = {
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
        return {name: value for name, value in order.items() if value is not None}


def _differences(batch: Mapping[str, Any], sought: LookUpQuery) -> Iterator[str]:
    """Yield the names of the fields that differ; our own reference decides where there is one."""
    reference = scalar(batch.get("client_reference"))
    if reference == str(sought.attempt_id):
        return
    if reference:
        yield "reference"
    to = batch.get("to")
    if not isinstance(to, list) or len(to) != 1 or not same_address(scalar(to[0]), sought.to):
        yield "recipient"
    if sought.sender and not same_address(scalar(batch.get("from")), sought.sender):
        yield "sender"
    if (batch.get("body") or sought.body) != sought.body:
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
