"""Settings for metrics, logs, error reports and traces."""

from typing import Literal

from pydantic import BaseModel, Field, SecretStr

from service.config.types import HttpUrl


class MonitoringSettings(BaseModel):
    """Settings of monitoring. The descriptions are also the text of `.env.example`."""

    metrics_port: int = Field(
        default=0,
        ge=0,
        le=65_535,
        description="Port at which a worker or beat serves /metrics and /healthz; 0: none. The web "
        "server serves /metrics at its own port.",
    )
    metrics_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address at which a worker or beat serves /metrics and /healthz. Set 0.0.0.0 "
        "in a container.",
    )
    metrics_token: SecretStr | None = Field(
        default=None,
        min_length=16,
        description="Bearer token required to read /metrics, also on the web server: 16 characters "
        "or more. Unset: no token is required.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO",
        description="Lowest level that is logged: DEBUG, INFO, WARNING or ERROR.",
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto",
        description="Log format: json, text, or auto (text on a terminal, else json).",
    )
    sentry_dsn: str | None = Field(
        default=None,
        pattern=r"^https?://[^@/\s]+@[^@/\s]+/([^@\s]+/)?[0-9]+$",
        description="Sentry DSN for error reports. Unset: no reports.",
    )
    otel_exporter_otlp_endpoint: HttpUrl | None = Field(
        default=None,
        description="URL that receives traces by OTLP over HTTP, without /v1/traces. Unset: no "
        "traces.",
    )
