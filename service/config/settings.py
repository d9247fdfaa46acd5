"""All settings. Only this module reads them from the environment."""

import os
from collections.abc import Mapping
from typing import Final, Self

from dotenv import dotenv_values
from pydantic import ConfigDict, Field, SecretStr, ValidationError, model_validator

from service.config.monitoring import MonitoringSettings
from service.config.privacy import PrivacySettings
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
        configured = ["twilio", *(["sinch"] if self.sinch_service_plan_id else [])]
        choice = f"must be a configured provider: {' or '.join(configured)}"
        if self.default_provider not in configured:
            raise ValueError(f"DEFAULT_PROVIDER: {choice}")
        if any(route.provider not in configured for route in self.sms_routes):
            raise ValueError(f"SMS_ROUTES: each provider {choice}")
        return self

    @classmethod
    def load(cls, environ: Mapping[str, str | None] | None = None) -> "Settings":
        """Read the environment, then `.env`. Raises ConfigurationError with every problem."""
        variables = {**dotenv_values(".env"), **os.environ} if environ is None else environ
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
    if kind in ("missing", "string_pattern_mismatch"):
        text = f"{text}. {Settings.model_fields[name].description}"
    return f"{name.upper()}: {text}"
