"""The settings of providers together: their accounts, routes and limits."""

from collections.abc import Collection, Mapping
from functools import cached_property

from service.config.accounts import Accounts, SinchAccount, TwilioAccount
from service.config.public_urls import is_host_of
from service.config.senders import RegionSettings
from service.config.sending import SendingSettings
from service.config.sinch import SinchSettings
from service.config.twilio import TwilioSettings


class ProviderSettings(
    SendingSettings,
    SinchSettings,
    TwilioSettings,
    RegionSettings,  # validated first
):
    """Settings of providers. The descriptions are also the text of `.env.example`."""

    def calls_real_provider(self) -> bool:
        """Return whether messages may go to a real provider and not only to a simulator."""
        sinch_url = self.sinch_api_base_url
        return (
            "twilio" in self.accounts and is_host_of(self.twilio_api_base_url, "twilio.com")
        ) or (
            "sinch" in self.accounts and (sinch_url is None or is_host_of(sinch_url, "sinch.com"))
        )

    @cached_property
    def accounts(self) -> Mapping[str, Mapping[str, TwilioAccount | SinchAccount]]:
        """Return the accounts of each configured provider by name, that of the settings first."""
        file = self.accounts_file or Accounts()
        by_provider = {
            "twilio": (self.default_twilio_account, *file.twilio),
            "sinch": (self.default_sinch_account, *file.sinch),
        }
        named = {
            provider: {account.name: account for account in accounts if account is not None}
            for provider, accounts in by_provider.items()
        }
        return {provider: accounts for provider, accounts in named.items() if accounts}

    @property
    def fallback_provider(self) -> str:
        """Return the provider of messages that no route matches."""
        return self.default_provider or next(iter(self.accounts))

    @property
    def given(self) -> Collection[str]:
        """Return the names of the settings that have a value other than nothing."""
        return {name for name in self.model_fields_set if getattr(self, name) not in (None, ())}
