"""The settings of whoever watches: metrics, logs, errors, traces."""

from pydantic import BaseModel, Field, SecretStr

from service.config.types import HttpUrl


class WatchingSettings(BaseModel):
    """How the service is watched; the description is the sentence in `.env.example`."""

    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        description="Port at which a worker or beat answers /metrics and /healthz; 0: none.",
    )
    metrics_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address at which a worker or beat answers /metrics and /healthz.",
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Token that reading /metrics takes, on the web too; unset: none.",
    )
    log_level: str = Field(
        default="INFO",
        pattern=r"^(DEBUG|INFO|WARNING|ERROR)$",
        description="The least severe log line to write: DEBUG, INFO, WARNING or ERROR.",
    )
    log_format: str = Field(
        default="auto",
        pattern=r"^(auto|json|text)$",
        description="How log lines are written: json, text, or auto (text on a terminal).",
    )
    sentry_dsn: str | None = Field(
        default=None,
        pattern=r"^https?://[^@/\s]+@[^@/\s]+/([^@\s]+/)?[0-9]+$",
        description="Where errors are reported, as Sentry gives it; unset: nowhere.",
    )
    otel_exporter_otlp_endpoint: HttpUrl | None = Field(
        default=None,
        description="Where traces go, by OTLP over HTTP (without /v1/traces); unset: nowhere.",
    )
