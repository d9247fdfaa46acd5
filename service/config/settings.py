"""All settings. Only this module reads them from the environment."""

import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from dotenv import dotenv_values
from pydantic import ConfigDict, Field, SecretStr, ValidationError

from service.config import checks
from service.config.inbound import InboundSettings
from service.config.monitoring import MonitoringSettings
from service.config.privacy import PrivacySettings
from service.config.webhooks import WebhookSettings
from service.errors import as_requirement

SESSIONS_NEED_A_KEY: Final = (
    "is required when operators exist, because it signs their sessions. Generate it with "
    'python -c "import secrets; print(secrets.token_urlsafe(32))" and set the same value for every '
    "web server and command."
)


_SEND_ATTEMPTS: Final = (
    "was replaced by SEND_PATIENCE, the seconds after which a message that was not "
    "sent expires (4 hours by default). Remove SEND_ATTEMPTS."
)

_ANY_URL: Final = "https://sms.example.com"


class ConfigurationError(Exception):
    """The settings are invalid. The message lists every invalid variable, but no value."""


class Settings(
    MonitoringSettings,
    PrivacySettings,
    WebhookSettings,
    InboundSettings,
    checks.CheckedSettings,
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

    @classmethod
    def load(cls, environ: Mapping[str, str | None] | None = None) -> "Settings":
        """Read the environment, then `.env`. Raises ConfigurationError with every problem."""
        variables = {**dotenv_values(".env"), **os.environ} if environ is None else environ
        values = {
            name: value
            for name in cls.model_fields
            if (value := (variables.get(name.upper()) or "").strip())
        }
        problems = [("send_attempts", _SEND_ATTEMPTS)] if variables.get("SEND_ATTEMPTS") else []
        settings = None
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            problems += _explained(error)
            settings = cls._without({name for name, _ in problems}, values)
        if settings is not None:
            problems += checks.problems(settings, {name for name, _ in problems})
        if problems or settings is None:
            lines = [f"{name.upper()}: {text}" for name, text in problems]
            text = "\n  ".join(["the settings are unusable (see .env.example):", *lines])
            raise ConfigurationError(text)
        return settings

    @classmethod
    def _without(cls, faulty: Collection[str], values: Mapping[str, Any]) -> "Settings | None":
        """Return settings with defaults in place of the faulty ones, to check the others."""
        usable = {name: value for name, value in values.items() if name not in faulty}
        try:
            return cls.model_validate({"public_base_url": _ANY_URL, **usable})
        except ValidationError:
            return None


def _explained(error: ValidationError) -> Iterator[tuple[str, str]]:
    """Yield the setting of each problem, what is wrong, and what to set."""
    for problem in error.errors(include_input=False, include_context=False, include_url=False):
        name, text = str(problem["loc"][0]), as_requirement(problem["msg"])
        if problem["type"] in ("missing", "string_pattern_mismatch"):
            text = f"{text}. {Settings.model_fields[name].description}"
        yield from ((name, line) for line in text.splitlines())
