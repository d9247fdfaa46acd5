"""One account of Twilio, called through the official client."""

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from twilio.base import values
from twilio.rest import Client

from service.config.accounts import TwilioAccount
from service.config.settings import Settings
from service.domain.report import Source, StatusReport
from service.errors import OutcomeUnknown, Refused
from service.providers.base import LookUpQuery, Outbound, Sender
from service.providers.callback_urls import callback_path
from service.providers.http import call
from service.providers.inbound import Inbound, ListPage, ListQuery
from service.providers.sanitize import as_sid
from service.providers.twilio import inbound_list, reports
from service.providers.twilio.api import Http, resource
from service.providers.twilio.matching import differences, matches

# Messages that a look-up reads: no person receives more in its few minutes.
_MAX_LISTED: Final = 200
# Seconds: https://www.twilio.com/docs/messaging/api/message-resource (error 21624)
_MAX_VALIDITY: Final = 36_000
_TWILIO: Final = "https://api.twilio.com"


class Account:
    """One account: its credentials, senders and calls."""

    def __init__(self, account: TwilioAccount, settings: Settings) -> None:
        self.name: Final = account.name
        self.routes: Final[Collection[str]] = account.routes
        self._number = account.phone_number
        self._service = account.messaging_service_sid
        self._senders = account.senders
        self._base_url = settings.callback_base_url
        self._overrides = settings.twilio_callback_overrides
        self._client = Client(
            *_credentials(account),
            account.account_sid,
            # Else the library reads TWILIO_EDGE, which would replace our address.
            environment={"TWILIO_EDGE": "", "TWILIO_REGION": ""},
            http_client=Http(
                _api_url(account, settings),
                connect=settings.twilio_connect_timeout,
                read=settings.twilio_read_timeout,
                connections=settings.worker_concurrency,
            ),
        )

    def owns(self, sender: Sender) -> bool:
        """Return whether the settings of this account name the Messaging Service or sender."""
        return sender.key in self._senders

    def default_sender(self) -> Sender | None:
        """Return the Messaging Service of the settings, else the number."""
        if self._service:
            return Sender(messaging_service_sid=self._service)
        return Sender(self._number) if self._number else None

    def send(self, outbound: Outbound) -> StatusReport:
        """Send one message. Raises Refused, NotAccepted or OutcomeUnknown."""
        created = call(lambda: self._client.messages.create(**self._parameters(outbound)))
        report = self._reported(created, outbound.attempt_id)
        if report.provider_sid is None:
            raise OutcomeUnknown("the answer has no SID")
        return report

    def cancel(self, attempt_id: UUID, provider_sid: str) -> StatusReport:
        """Cancel a scheduled message. Raises Refused when it is too late, or as `send` does."""
        canceled = call(lambda: self._client.messages(provider_sid).update(status="canceled"))
        return self._reported(canceled, attempt_id)

    def fetch(self, attempt_id: UUID, provider_sid: str) -> StatusReport:
        """Fetch the status of a message. Raises Refused for an unknown SID, or as `send` does."""
        fetched = self._fetched(provider_sid)
        return self._reported(fetched, attempt_id, Source.RECONCILIATION)

    def find(self, query: LookUpQuery) -> list[StatusReport]:
        """Return a report for each message that matches. Raises as `send` does.

        Twilio cannot search by our attempt id, and its date filter omits messages that are not
        sent yet. So this lists by recipient and compares the rest here.
        """
        listed = call(lambda: self._client.messages.list(to=query.to, limit=_MAX_LISTED))
        return [
            self._reported(message, None, Source.RECONCILIATION)
            for message in listed
            if as_sid(message.sid) and matches(message, query)
        ]

    def confirm(self, query: LookUpQuery, provider_sid: str) -> StatusReport:
        """Fetch a message by a SID that a person entered. Raises Refused if it does not match."""
        fetched = self._fetched(provider_sid)
        if fields := list(differences(fetched, query)):
            raise Refused(f"{provider_sid} is another message: different {', '.join(fields)}")
        return self._reported(fetched, query.attempt_id, Source.RECONCILIATION)

    def listed_by(self, senders: Collection[str]) -> Collection[str]:
        """Return the numbers to list by: Twilio's list has all messages of the account."""
        return inbound_list.receiving({*self._senders, *senders})

    def list_inbound(self, query: ListQuery) -> ListPage:
        """Return one page of inbound messages to a number. Raises as `fetch` does."""
        page = call(lambda: inbound_list.read(self._client, query))
        return page._replace(messages=[each._replace(account=self.name) for each in page.messages])

    def with_media(self, received: Inbound) -> Inbound:
        """Return a listed message with the links of its media, which Twilio lists apart."""
        if received.raw.get("num_media") in (None, "0"):
            return received
        sid = received.provider_sid
        return received._replace(media=call(lambda: inbound_list.media_of(self._client, sid)))

    def _fetched(self, provider_sid: str) -> Any:
        fetched = call(lambda: self._client.messages(provider_sid).fetch())
        if as_sid(fetched.sid) != provider_sid:
            raise OutcomeUnknown("the answer is about another message")
        return fetched

    def _parameters(self, outbound: Outbound) -> dict[str, Any]:
        parameters = {
            "to": outbound.to,
            "from_": outbound.sender,
            "messaging_service_sid": outbound.messaging_service_sid,
            "body": outbound.body,
            "media_url": outbound.media_urls,
            "content_sid": outbound.content_sid,
            "content_variables": _json(outbound.content_variables),
            "validity_period": _validity(outbound),
            "smart_encoded": outbound.smart_encoding or None,
            "send_at": outbound.send_at,
            "schedule_type": "fixed" if outbound.send_at else None,
            "attempt": outbound.attempt,
            "status_callback": self._callback_url(outbound.attempt_id),
        }
        return {
            name: values.unset if value is None else value for name, value in parameters.items()
        }

    def _callback_url(self, attempt_id: UUID) -> str:
        # Twilio neither sends nor signs the fragment:
        # https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
        path = callback_path(reports.NAME, self.name, attempt_id)
        fragment = f"#{self._overrides}" if self._overrides else ""
        return f"{self._base_url}{path}{fragment}"

    def _reported(
        self, message: Any, attempt_id: UUID | None, source: Source = Source.API
    ) -> StatusReport:
        return reports.from_resource(
            resource(message), source, attempt_id, received_at=datetime.now(UTC)
        )


def _json(variables: dict[str, str] | None) -> str | None:
    return None if variables is None else json.dumps(variables)


def _validity(outbound: Outbound) -> int | None:
    period = outbound.validity_period
    return None if period is None else min(period, _MAX_VALIDITY)


def _credentials(account: TwilioAccount) -> tuple[str, str]:
    """Return user and password of calls."""
    if account.api_key_sid is not None and account.api_key_secret is not None:
        return account.api_key_sid, account.api_key_secret.get_secret_value()
    assert account.auth_token is not None
    return account.account_sid, account.auth_token.get_secret_value()


def _api_url(account: TwilioAccount, settings: Settings) -> str:
    """Return the address of the API; one in the settings, as of a simulator, takes precedence."""
    if settings.twilio_api_base_url != _TWILIO or account.region is None:
        return settings.twilio_api_base_url
    return f"https://api.{account.edge}.{account.region}.twilio.com"
