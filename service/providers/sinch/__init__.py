"""The provider Sinch: `account` has its calls, `signature`, `reports` and `errors` the rest."""

import time
from collections.abc import Collection, Mapping
from typing import Final

from service.config.accounts import SinchAccount
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
from service.providers.sinch import errors, inbound, reports, signature
from service.providers.sinch.account import Account

# Less than three days, after which a message may expire at Sinch.
_MIN_AHEAD: Final = 60.0
_MAX_AHEAD: Final = 2 * 86_400.0
# Only text messages to numbers.
_UNSUPPORTED: Final = frozenset(
    {"messaging_service_sid", "content_sid", "content_variables", "media_urls"}
)


class Sinch:
    """The SMS API (XMS)."""

    name: Final = reports.NAME

    def __init__(self, settings: Settings) -> None:
        configured = settings.accounts[self.name].values()
        accounts = [account for account in configured if isinstance(account, SinchAccount)]
        self.accounts: Final = {account.name: Account(account, settings) for account in accounts}
        self._keyrings = {
            account.name: signature.Keyring([account], settings) for account in accounts
        }
        self._all_keys = signature.Keyring(accounts, settings)

    def unsupported_fields(self, to: str, fields: Collection[str]) -> list[str]:
        """Return which of these fields Sinch does not support, and `to` for a channel address."""
        unsupported = sorted(_UNSUPPORTED.intersection(fields))
        return unsupported if to.startswith("+") else ["to", *unsupported]

    def has_service(self, messaging_service_sid: str) -> bool:
        """Return False: Sinch has no Messaging Services."""
        return False

    def can_schedule(self, messaging_service_sid: str | None, seconds_ahead: float) -> bool:
        """Return whether Sinch can hold a message: 1 minute to 2 days ahead."""
        return _MIN_AHEAD <= seconds_ahead <= _MAX_AHEAD

    def verify(self, request: CallbackRequest) -> None:
        """Check that the account in the path signed a callback. Raises Forged."""
        name = account_in(request.path, self.accounts)
        keyring = self._all_keys if name is None else self._keyrings.get(name)
        try:
            if keyring is not None:
                signature.verify(request, keyring, time.time())
                return
        except Forged as forged:
            # A secret of the account default looks like a name.
            is_secret = forged.reason == signature.WRONG_PATH
            if is_secret or not names_unknown_account(request.path, self.accounts):
                raise
        raise Forged(NOT_CONFIGURED)

    def refusal_advice(self) -> Mapping[str, RefusalAdvice]:
        """Return advice for callbacks that were signed with another secret."""
        return {**signature.REFUSALS, NOT_CONFIGURED: NOT_CONFIGURED_ADVICE}

    def parse(self, callback: Callback) -> StatusReport | Inbound:
        """Parse a verified callback or inbound message. Never raises for any body."""
        fields = reports.fields(callback.body)
        received = inbound.parsed(fields, callback.received_at)
        if received is not None:
            return received._replace(account=self._account_of(received.to_address))
        return reports.from_callback(fields, callback)

    def _account_of(self, number: str) -> str:
        """Return the account that owns a number, else the first."""
        owners = (name for name, each in self.accounts.items() if each.owns(Sender(number)))
        return next(owners, next(iter(self.accounts)))

    def inbound_answer(self) -> InboundAnswer:
        """Return an empty answer: Sinch reads only its status."""
        return inbound.ANSWER

    def explain(self, error_code: str) -> ErrorFact:
        """Explain an error code."""
        return errors.explain(error_code)

    def non_personal_fields(self) -> Collection[str]:
        """Return the payload fields that redaction keeps."""
        return reports.NON_PERSONAL_FIELDS
