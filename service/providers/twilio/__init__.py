"""The provider Twilio: `account` has its calls, `signature`, `reports` and `errors` the rest."""

from collections.abc import Collection, Mapping
from typing import Final

from service.config.accounts import TwilioAccount
from service.config.settings import Settings
from service.domain.report import StatusReport
from service.errors import ErrorFact, Forged
from service.providers.base import (
    Callback,
    CallbackRequest,
    Inbound,
    InboundAnswer,
    RefusalAdvice,
    Sender,
)
from service.providers.callback_urls import (
    NOT_CONFIGURED,
    NOT_CONFIGURED_ADVICE,
    account_in,
    names_unknown_account,
)
from service.providers.twilio import errors, inbound, reports, signature
from service.providers.twilio.account import Account

# https://www.twilio.com/docs/messaging/features/message-scheduling (errors 35114, 35115)
_MIN_AHEAD: Final = 300.0
_MAX_AHEAD: Final = 35 * 86_400.0


class Twilio:
    """Twilio Programmable Messaging."""

    name: Final = reports.NAME

    def __init__(self, settings: Settings) -> None:
        configured = settings.accounts[self.name].values()
        accounts = [account for account in configured if isinstance(account, TwilioAccount)]
        self.accounts: Final = {account.name: Account(account, settings) for account in accounts}
        self._keyrings = {account.name: signature.Keyring([account]) for account in accounts}
        self._all_keys = signature.Keyring(accounts)
        self._sids = {account.name: account.account_sid for account in accounts}
        self._base_urls = settings.accepted_base_urls

    def unsupported_fields(self, to: str, fields: Collection[str]) -> list[str]:
        """Return nothing: Twilio supports all fields."""
        return []

    def has_service(self, messaging_service_sid: str) -> bool:
        """Return True: only Twilio has Messaging Services."""
        return True

    def can_schedule(self, messaging_service_sid: str | None, seconds_ahead: float) -> bool:
        """Return whether Twilio can hold a message: with a service, 5 minutes to 35 days ahead."""
        return messaging_service_sid is not None and _MIN_AHEAD <= seconds_ahead <= _MAX_AHEAD

    def verify(self, request: CallbackRequest) -> None:
        """Check that the account in the path signed a callback. Raises Forged."""
        name = account_in(request.path, self.accounts)
        keyring = self._all_keys if name is None else self._keyrings.get(name)
        try:
            if keyring is not None:
                signature.verify(request, self._base_urls, keyring)
                return
        except Forged:
            if not names_unknown_account(request.path, self.accounts):
                raise
        raise Forged(NOT_CONFIGURED)

    def refusal_advice(self) -> Mapping[str, RefusalAdvice]:
        """Return advice for callbacks that were signed with another token or key."""
        return {**signature.REFUSALS, NOT_CONFIGURED: NOT_CONFIGURED_ADVICE}

    def parse(self, callback: Callback) -> StatusReport | Inbound:
        """Parse a verified callback or inbound message. Never raises for any body."""
        form = reports.fields(callback.body)
        received = inbound.parsed(form, callback)
        if received is None:
            return reports.from_callback(form, callback)
        return received._replace(account=self._account_of(received, form.get("AccountSid", "")))

    def _account_of(self, received: Inbound, account_sid: str) -> str:
        """Return the account with this SID that owns the sender, else the first with this SID."""
        names = [name for name, sid in self._sids.items() if sid == account_sid] or [*self._sids]
        senders = Sender(received.to_address), Sender(None, received.messaging_service_sid)
        owners = (name for name in names if any(map(self.accounts[name].owns, senders)))
        return next(owners, names[0])

    def inbound_answer(self) -> InboundAnswer:
        """Return an empty TwiML document: other texts would be sent to the person."""
        return inbound.ANSWER

    def explain(self, error_code: str) -> ErrorFact:
        """Explain an error code."""
        return errors.explain(error_code)

    def non_personal_fields(self) -> Collection[str]:
        """Return the payload fields that redaction keeps."""
        return reports.NON_PERSONAL_FIELDS
