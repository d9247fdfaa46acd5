"""Settings: the only reader of the environment. Every problem is reported at once."""

import os
from collections.abc import Mapping
from typing import Final, Self

from dotenv import dotenv_values
from pydantic import ConfigDict, Field, SecretStr, ValidationError, model_validator

from service.config.monitoring import WatchingSettings
from service.config.privacy import PrivacySettings
from service.config.senders import RatedSenders, RegionSettings, SenderSetting, ServiceSetting
from service.config.sinch import SinchSettings
from service.config.types import (
    CallbackOverrides,
    DatabaseUrl,
    ExtraTokens,
    PostLimits,
    RedisUrl,
    Routes,
    Seconds,
    SharedKeys,
)

# Seconds between the end of the longest call and the end of its claim: time to write it down.
_MARGIN: Final = 5.0


SESSIONS_NEED_A_KEY: Final = (
    "is required where operators exist: it signs their sessions. Make one with "
    'python -c "import secrets; print(secrets.token_urlsafe(32))" and give the same to every '
    "web server and command."
)


class ConfigurationError(Exception):
    """The settings are unusable; the message names every variable that is, and never a value."""


class Settings(PrivacySettings, SinchSettings, WatchingSettings, RegionSettings):
    """Every setting of the service; the description is the sentence in `.env.example`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    database_url: DatabaseUrl = Field(
        default=SecretStr("sqlite:///waybill.db"),
        description="Where messages and their ledger live: postgresql:// or sqlite:///.",
    )
    database_prepared_statements: bool | None = Field(
        default=None,
        description="Whether PostgreSQL prepares statements; unset: unless there is a pooler.",
    )
    redis_url: RedisUrl = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="Redis or Valkey for the inbox and for Celery; keep its append-only file on.",
    )
    twilio_account_sid: str = Field(
        pattern=r"^AC[0-9a-fA-F]{32}$",
        description="The Twilio account that sends.",
    )
    twilio_auth_token: SecretStr = Field(
        min_length=1,
        description="The primary auth token of that account; it sends and it signs callbacks.",
    )
    twilio_phone_number: SenderSetting | None = Field(
        default=None,
        description="The sender used when a message names neither sender nor service.",
    )
    twilio_messaging_service_sid: ServiceSetting | None = Field(
        default=None,
        description="The Messaging Service used when a message names neither; beats the number.",
    )
    twilio_extra_auth_tokens: ExtraTokens = Field(
        default=(),
        description="More tokens that may sign callbacks: account:label:token, comma between.",
    )
    twilio_shared_keys: SharedKeys = Field(
        default=(),
        description="Webhook shared keys that may sign: key id:algorithm:secret, comma between.",
    )
    twilio_connect_timeout: Seconds = Field(
        default=3.0,
        description="Seconds to wait for a connection to the provider.",
    )
    twilio_read_timeout: Seconds = Field(
        default=10.0,
        description="Seconds to wait for the provider's answer; after that a send is in doubt.",
    )
    twilio_callback_overrides: CallbackOverrides = Field(
        default="ct=2000&rt=4000&tt=15000&rc=5&rp=all",
        description="How Twilio retries a callback (connection overrides), or none.",
    )
    default_provider: str = Field(
        default="twilio",
        description="Who carries a message that names no provider and meets no route.",
    )
    sms_routes: Routes = Field(
        default=(),
        description="Who carries what, by the longest prefix of the number: +46:sinch,*:twilio.",
    )
    sender_rates: RatedSenders = Field(
        default=(),
        description="Segments a second by sender, * is any other: +15005550006:10,*:1.",
    )
    rate_limit_posts: PostLimits | None = Field(
        default=None,
        description="How much each client may post: 100/second;5000/minute; unset: no limit.",
    )
    claim_lease: Seconds = Field(
        default=60.0,
        description="Seconds a worker may take for one send before it counts as dead.",
    )
    send_attempts: int = Field(
        default=20,
        ge=1,
        le=60,
        description="How often a send the provider did not take is tried before it fails.",
    )
    doubt_first_lookup: Seconds = Field(
        default=10.0,
        description="Seconds before a send without an answer is looked up; doubles each time.",
    )
    doubt_lookups: int = Field(
        default=5,
        ge=1,
        le=10,
        description="After how many look-ups without a find resend_if_unknown decides.",
    )
    reconcile_after: float = Field(
        default=43_200,
        gt=0,
        le=31_536_000,
        description="Seconds without a final status after which the provider is asked.",
    )
    reconcile_horizon: float = Field(
        default=345_600,
        gt=0,
        le=31_536_000,
        description="Seconds after which asking stops and the outcome is called unknown.",
    )
    reconcile_budget: int = Field(
        default=5,
        ge=1,
        le=500,
        description="How many messages a second are looked up at most; as many again are fetched.",
    )
    inbox_limit: int = Field(
        default=200_000,
        ge=1,
        description="Callbacks that wait in Redis at most; more go to a table of the database.",
    )
    api_threads: int | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="Threads of a web process for requests but callbacks; unset: all but one.",
    )
    ops_secret: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Secret of the installation: signs sessions of /ops, keys digests of requests.",
    )
    worker_concurrency: int = Field(
        default=8,
        ge=1,
        le=500,
        description="Threads of one Celery worker process.",
    )

    @model_validator(mode="after")
    def _lease_outlives_a_call(self) -> Self:
        calls = (
            self.twilio_connect_timeout + self.twilio_read_timeout,
            self.sinch_connect_timeout + self.sinch_read_timeout,
        )
        if self.claim_lease < max(calls) + _MARGIN:
            raise ValueError(f"CLAIM_LEASE must exceed both timeouts together by {_MARGIN:g} s")
        return self

    @model_validator(mode="after")
    def _routes_lead_somewhere(self) -> Self:
        known = {"twilio"} | ({"sinch"} if self.sinch_service_plan_id else set())
        if self.default_provider not in known:
            raise ValueError("DEFAULT_PROVIDER: no such provider, or it has no settings")
        if any(route.provider not in known for route in self.sms_routes):
            raise ValueError("SMS_ROUTES: names a provider that does not exist or has no settings")
        return self

    @classmethod
    def load(cls, environ: Mapping[str, str | None] | None = None) -> "Settings":
        """Read the environment over `.env`. Raises ConfigurationError naming every problem."""
        given = {**dotenv_values(".env"), **os.environ} if environ is None else environ
        known = {
            name: value
            for name in cls.model_fields
            if (value := (given.get(name.upper()) or "").strip())
        }
        try:
            return cls.model_validate(known)
        except ValidationError as error:
            raise ConfigurationError(_explain(error)) from None


def _explain(error: ValidationError) -> str:
    problems = [
        f"  {_name(problem['loc'])}{problem['msg'].removeprefix('Value error, ')}"
        for problem in error.errors(include_input=False, include_context=False, include_url=False)
    ]
    return "\n".join(["the settings are unusable (see .env.example):", *problems])


def _name(location: tuple[int | str, ...]) -> str:
    return f"{str(location[0]).upper()}: " if location else ""
