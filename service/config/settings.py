"""All settings. Only this module reads them from the environment."""

import os
from collections.abc import Mapping
from functools import cached_property
from typing import Final, Self

from dotenv import dotenv_values
from pydantic import ConfigDict, Field, SecretStr, ValidationError, model_validator

from service.config.accounts import Accounts, SinchAccount, TwilioAccount
from service.config.monitoring import MonitoringSettings
from service.config.privacy import PrivacySettings
from service.config.public_urls import is_host_of, unreachable
from service.config.senders import RegionSettings
from service.config.sending import SendingSettings
from service.config.sinch import SinchSettings
from service.config.stores import StoreSettings
from service.config.twilio import TwilioSettings
from service.errors import as_requirement

# Seconds between the end of the longest call and the end of its claim, to record the answer.
_MARGIN: Final = 5.0

SESSIONS_NEED_A_KEY: Final = (
    "is required when operators exist, because it signs their sessions. Generate it with "
    'python -c "import secrets; print(secrets.token_urlsafe(32))" and set the same value for every '
    "web server and command."
)


_SEND_ATTEMPTS: Final = (
    "SEND_ATTEMPTS: was replaced by SEND_PATIENCE, the seconds after which a message that was not "
    "sent expires (4 hours by default). Remove SEND_ATTEMPTS."
)


class ConfigurationError(Exception):
    """The settings are invalid. The message lists every invalid variable, but no value."""


class Settings(
    MonitoringSettings,
    PrivacySettings,
    SendingSettings,
    SinchSettings,
    TwilioSettings,
    StoreSettings,
    RegionSettings,  # validated first
):
    """All settings of the service. The descriptions are also the text of `.env.example`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    api_threads: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Threads of a web process for all requests except callbacks. Unset: all "
        "threads of the server but one, and at most 64.",
    )
    ops_secret: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Secret of the installation, 32 characters or more. It signs the sessions of "
        "/ops and keys the digests of requests. Required when an operator exists.",
    )
    worker_concurrency: int = Field(
        default=8,
        ge=1,
        le=500,
        description="Threads of one Celery worker process. A send worker makes as many calls to "
        "the provider at the same time.",
    )

    @model_validator(mode="after")
    def _lease_outlives_a_call(self) -> Self:
        calls = (
            self.twilio_connect_timeout + self.twilio_read_timeout,
            self.sinch_connect_timeout + self.sinch_read_timeout,
        )
        if self.claim_lease < max(calls) + _MARGIN:
            raise ValueError(
                f"CLAIM_LEASE: must exceed connect and read timeout together by {_MARGIN:g} s"
            )
        return self

    @model_validator(mode="after")
    def _providers_are_configured(self) -> Self:
        if not self.accounts:
            raise ValueError(
                "TWILIO_ACCOUNT_SID: configure a provider: set this and TWILIO_AUTH_TOKEN, or "
                "SINCH_SERVICE_PLAN_ID, or ACCOUNTS_FILE"
            )
        names = " or ".join(self.accounts)
        if self.default_provider is not None and self.default_provider not in self.accounts:
            raise ValueError(f"DEFAULT_PROVIDER: must be a configured provider: {names}")
        for target in (target for route in self.sms_routes for target in route.targets):
            if target.provider not in self.accounts:
                raise ValueError(f"SMS_ROUTES: each provider must be a configured one: {names}")
            known = self.accounts[target.provider]
            if target.account is not None and target.account not in known:
                raise ValueError(
                    f"SMS_ROUTES: each account of {target.provider} must be one of: "
                    f"{', '.join(known)}"
                )
        return self

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        file = self.accounts_file or Accounts()
        defaults = (self.default_twilio_account, self.default_sinch_account)
        for default, listed in zip(defaults, (file.twilio, file.sinch), strict=True):
            if default and any(account.name == default.name for account in listed):
                raise ValueError(
                    "ACCOUNTS_FILE: must not have an account with the name default, which the "
                    "settings TWILIO_... and SINCH_... describe; give it another name"
                )
        return self

    @model_validator(mode="after")
    def _providers_reach_us(self) -> Self:
        """Check the URL of new messages. A simulator may reach URLs that providers cannot."""
        reason = unreachable(self.callback_base_url)
        if reason is not None and self.calls_real_provider():
            raise ValueError(f"PUBLIC_BASE_URL: {reason}")
        return self

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

    @classmethod
    def load(cls, environ: Mapping[str, str | None] | None = None) -> "Settings":
        """Read the environment, then `.env`. Raises ConfigurationError with every problem."""
        variables = {**dotenv_values(".env"), **os.environ} if environ is None else environ
        if variables.get("SEND_ATTEMPTS"):
            raise ConfigurationError(_SEND_ATTEMPTS)
        values = {
            name: value
            for name in cls.model_fields
            if (value := (variables.get(name.upper()) or "").strip())
        }
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigurationError(_explain(error)) from None


def _explain(error: ValidationError) -> str:
    problems = error.errors(include_input=False, include_context=False, include_url=False)
    lines = [_problem(problem["loc"], problem["type"], problem["msg"]) for problem in problems]
    return "\n  ".join(["the settings are unusable (see .env.example):", *lines])


def _problem(location: tuple[int | str, ...], kind: str, message: str) -> str:
    """Return the variable, what is wrong, and what to set."""
    if not location:
        return as_requirement(message)  # of several settings; it begins with the variable
    name, text = str(location[0]), as_requirement(message)
    if name == "accounts_file" and len(location) > 1:
        place = " ".join(str(part) for part in location[1:])
        return f"ACCOUNTS_FILE: {place}: {text}"
    if kind in ("missing", "string_pattern_mismatch"):
        text = f"{text}. {Settings.model_fields[name].description}"
    return f"{name.upper()}: {text}"
