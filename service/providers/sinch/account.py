"""One account of Sinch. Each message is a batch with one recipient."""

import logging
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from service.config.accounts import SinchAccount
from service.config.settings import Settings
from service.domain.report import Source, StatusReport
from service.errors import Refused
from service.providers.base import LookUpQuery, Outbound, Sender
from service.providers.callback_urls import callback_path
from service.providers.inbound import EVERY_SENDER, Inbound, ListPage, ListQuery
from service.providers.sanitize import same_address, scalar
from service.providers.sinch import inbound, reports
from service.providers.sinch.api import Batches

# Sinch keeps a message for three days at most.
_MAX_VALIDITY: Final = timedelta(days=3)

# Sinch lists the inbound messages of 14 days, 100 on a page at most.
_LONGEST_LIST: Final = timedelta(days=14)
_PAGE_SIZE: Final = 100

_log = logging.getLogger(__name__)


class Account:
    """One account: its credentials, sender and calls."""

    def __init__(self, account: SinchAccount, settings: Settings) -> None:
        self.name: Final = account.name
        self.routes: Final[Collection[str]] = account.routes
        self._batches = Batches(account, settings)
        self._number = account.phone_number
        self._senders = account.senders
        self._base_url = settings.callback_base_url
        secret = account.callback_path_secret
        self._path_secret = None if secret is None else secret.get_secret_value()
        if secret is not None:
            _log.warning(
                "callbacks of the Sinch account %s are not signed: anyone who knows their URL can "
                "forge them. Ask Sinch to sign them, see docs/sinch.md",
                account.name,
            )

    def owns(self, sender: Sender) -> bool:
        """Return whether the settings of this account name the sender."""
        return sender.messaging_service_sid is None and sender.address in self._senders

    def default_sender(self) -> Sender | None:
        """Return the number of the settings."""
        return Sender(self._number) if self._number else None

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

    def listed_by(self, senders: Collection[str]) -> Collection[str]:  # noqa: ARG002
        """Return one list for all senders: Sinch lists the inbound messages of the account."""
        return (EVERY_SENDER,)

    def list_inbound(self, query: ListQuery) -> ListPage:
        """Return one page of inbound messages. Raises as `fetch` does.

        The end of the time makes page numbers stable: later messages would move the others.
        """
        number, now = int(query.page or 0), datetime.now(UTC)
        since = max(query.since, now - _LONGEST_LIST)
        times = {"start_date": _iso(since), "end_date": _iso(query.until)}
        answer = self._batches.inbounds({"page": number, "page_size": _PAGE_SIZE, **times})
        listed = [each for each in answer["inbounds"] if isinstance(each, dict)]
        messages = [each for fields in listed if (each := inbound.parsed(fields, now)) is not None]
        return ListPage(
            [each._replace(account=self.name) for each in messages],
            str(number + 1) if _has_more(answer, number, len(listed)) else None,
        )

    def with_media(self, received: Inbound) -> Inbound:
        """Return the message: Sinch's list has the media."""
        return received

    def _batch(self, outbound: Outbound) -> dict[str, Any]:
        batch = {
            "to": [outbound.to],
            "from": outbound.sender,
            "body": outbound.body,
            "type": "mt_text",
            "delivery_report": "per_recipient",
            "callback_url": self._callback_url(outbound.attempt_id),
            "client_reference": str(outbound.attempt_id),
            "send_at": outbound.send_at and _iso(outbound.send_at),
            "expire_at": _expiry(outbound),
        }
        return {name: value for name, value in batch.items() if value is not None}

    def _callback_url(self, attempt_id: UUID) -> str:
        return self._base_url + callback_path(
            reports.NAME, self.name, attempt_id, self._path_secret
        )


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


def _has_more(answer: Mapping[str, Any], number: int, listed: int) -> bool:
    """Return whether pages follow; Sinch may make them smaller than the request says."""
    count, size = answer.get("count"), answer.get("page_size")
    before = number * (size if isinstance(size, int) else _PAGE_SIZE)
    return listed > 0 and isinstance(count, int) and before + listed < count


def _expiry(outbound: Outbound) -> str | None:
    if outbound.validity_period is None:
        return None
    begin = outbound.send_at or datetime.now(UTC)
    return _iso(begin + min(timedelta(seconds=outbound.validity_period), _MAX_VALIDITY))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _reported(batch: dict[str, Any], attempt_id: UUID, source: Source) -> StatusReport:
    return reports.from_batch(batch, source, attempt_id, datetime.now(UTC))
