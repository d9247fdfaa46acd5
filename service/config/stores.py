"""Settings of the database and of Redis."""

from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator

from service.config.types import BrokerUrl, DatabaseUrl, RedisUrl, ReplicaUrl


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
        description="URL of Redis or Valkey: redis://, rediss://, unix://, "
        "sentinel://host:26379,host:26379/NAME/0 or cluster://host:7001,host:7002. Turn its "
        "append-only file on and eviction of keys off.",
    )
    inbox_url: RedisUrl | None = Field(
        default=None,
        description="URL of the Redis or Valkey of the inbox. Unset: REDIS_URL.",
    )
    broker_url: BrokerUrl | None = Field(
        default=None,
        description="URL of Celery's broker: as REDIS_URL but no cluster, or amqp:// or amqps:// "
        "for RabbitMQ. Unset: REDIS_URL.",
    )
    inbox_streams: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Number of streams of the inbox. More than one only with a cluster; a power of "
        "two spreads evenly.",
    )
    inbox_replicas: int = Field(
        default=0,
        ge=0,
        le=5,
        description="Number of replicas that must have a callback before it is acknowledged. With "
        "fewer the callback is stored in the database, too.",
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

    @property
    def inbox_address(self) -> str:
        """Return the URL of the inbox."""
        return (self.inbox_url or self.redis_url).get_secret_value()

    @property
    def broker_address(self) -> str:
        """Return the URL of the broker."""
        return (self.broker_url or self.redis_url).get_secret_value()
