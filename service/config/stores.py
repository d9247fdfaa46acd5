"""Settings of the database and of Redis."""

from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator

from service.config.types import DatabaseUrl, RedisUrl, ReplicaUrl


class StoreSettings(BaseModel):
    """Settings of stores. The descriptions are also the text of `.env.example`."""

    database_url: DatabaseUrl = Field(
        default=SecretStr("sqlite:///waybill.db"),
        description="URL of the database: postgresql:// or sqlite:///. A relative SQLite path is "
        "below instance/. Use PostgreSQL in production.",
    )
    database_read_url: ReplicaUrl | None = Field(
        default=None,
        description="URL of a replica of the PostgreSQL database, for lists, search, /ops, metrics "
        "and the audit. Unset: they read DATABASE_URL.",
    )
    database_prepared_statements: bool | None = Field(
        default=None,
        description="Whether to use prepared statements of PostgreSQL. Unset: yes, unless a "
        "connection pooler is detected.",
    )
    redis_url: RedisUrl = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="URL of Redis or Valkey for the inbox and for Celery. Turn its append-only "
        "file on and eviction of keys off.",
    )
    inbox_limit: int = Field(
        default=200_000,
        ge=1,
        description="Maximum number of callbacks in the inbox. Further callbacks go to a table of "
        "the database. Raise it if Redis has memory for more.",
    )

    @field_validator("database_read_url")
    @classmethod
    def _needs_postgresql(cls, value: SecretStr | None, others: ValidationInfo) -> SecretStr | None:
        primary: SecretStr | None = others.data.get("database_url")
        if value and primary and primary.get_secret_value().startswith("sqlite:"):
            raise ValueError("needs a DATABASE_URL of PostgreSQL: remove it, or set both")
        return value
