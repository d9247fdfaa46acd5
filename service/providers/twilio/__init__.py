"""The provider Twilio: `api` has its calls, `signature`, `reports` and `errors` the rest."""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from twilio.base import values
from twilio.rest import Client

from service.config.settings import Settings
from service.domain.report import Source, StatusReport
from service.errors import ErrorFact, OutcomeUnknown, Refused
from service.providers.base import (
    Callback,
    CallbackRequest,
    LookUpQuery,
    Outbound,
    RefusalAdvice,
    Sender,
)
from service.providers.http import call
from service.providers.sanitize import as_sid
from service.providers.twilio import errors, reports, signature
from service.providers.twilio.api import Http, resource
from service.providers.twilio.matching import differences, matches

# https://www.twilio.com/docs/messaging/features/message-scheduling (errors 35114, 35115)
_MIN_AHEAD: Final = 300.0
_MAX_AHEAD: Final = 35 * 86_400.0
# Messages that a look-up reads: no person receives more in its few minutes.
_MAX_LISTED: Final = 200


class Twilio:
    """Twilio Programmable Messaging, called through the official client."""

    name: Final = reports.NAME

    def __init__(self, settings: Settings) -> None:
        self._keyring = signature.Keyring(settings)
        self._base_urls = settings.accepted_base_urls
        self._overrides = settings.twilio_callback_overrides
        self._number = settings.twilio_phone_number
        self._service = settings.twilio_messaging_service_sid
        self._client = Client(
            settings.twilio_account_sid,
            settings.twilio_auth_token.get_secret_value(),
            # Else the library reads TWILIO_EDGE, which would replace our address.
            environment={"TWILIO_EDGE": ""},
            http_client=Http(
                settings.twilio_api_base_url,
                connect=settings.twilio_connect_timeout,
                read=settings.twilio_read_timeout,
                connections=settings.worker_concurrency,
            ),
        )

    def owns(self, sender: Sender) -> bool:
        """Return whether the sender is a Messaging Service or the number of the settings."""
        if sender.messaging_service_sid is not None:
            return True
        return sender.address is not None and sender.address == self._number

    def default_sender(self) -> Sender | None:
        """Return the Messaging Service of the settings, else the number."""
        if self._service:
            return Sender(messaging_service_sid=self._service)
        return Sender(self._number) if self._number else None

    def unsupported_fields(self, to: str, fields: Collection[str]) -> list[str]:
        """Return nothing: Twilio supports all fields."""
        return []

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

    def verify(self, request: CallbackRequest) -> None:
        """Check the signature of a callback. Raises Forged."""
        signature.verify(request, self._base_urls, self._keyring)

    def refusal_advice(self) -> Mapping[str, RefusalAdvice]:
        """Return advice for callbacks that were signed with another token or key."""
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
        """Return whether Twilio can hold a message: with a service, 5 minutes to 35 days ahead."""
        return messaging_service_sid is not None and _MIN_AHEAD <= seconds_ahead <= _MAX_AHEAD

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
            "validity_period": outbound.validity_period,
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
        path = f"/callbacks/{self.name}/{attempt_id}"
        fragment = f"#{self._overrides}" if self._overrides else ""
        return f"{self._base_urls[0]}{path}{fragment}"

    def _reported(
        self, message: Any, attempt_id: UUID | None, source: Source = Source.API
    ) -> StatusReport:
        return reports.from_resource(
            resource(message), source, attempt_id, received_at=datetime.now(UTC)
        )


def _json(variables: dict[str, str] | None) -> str | None:
    return None if variables is None else json.dumps(variables)
