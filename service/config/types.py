"""Validated types for settings."""

import re
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from limits import parse_many
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from service.config.amqp_url import parse_amqp_url
from service.config.database_url import primary_url, replica_url
from service.redis_client.url import check_broker, parse_redis_url


class ExtraToken(BaseModel):
    """A further auth token that may sign callbacks: of a subaccount, or during a rotation."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    account_sid: str | None = None  # None: the account that has this token
    label: str = Field(min_length=1)
    token: SecretStr = Field(min_length=1)


class SharedKey(BaseModel):
    """A webhook shared key and its algorithm."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    key_id: str = Field(min_length=1)
    algorithm: Literal["HMAC_SHA1", "HMAC_SHA256"]
    secret: SecretStr = Field(min_length=1)


class SenderRate(BaseModel):
    """Segments per second of a sender; `*` is any other sender."""

    model_config = ConfigDict(frozen=True)
    sender: str
    rate: float


def _database_url(value: SecretStr) -> SecretStr:
    return SecretStr(primary_url(value.get_secret_value()))


def _replica_url(value: SecretStr) -> SecretStr:
    return SecretStr(replica_url(value.get_secret_value()))


def _redis_url(value: SecretStr) -> SecretStr:
    parse_redis_url(value.get_secret_value())
    return value


def _broker_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    if url.startswith("amqp"):
        parse_amqp_url(url)
    else:
        check_broker(parse_redis_url(url))
    return value


def http_url(value: str) -> str:
    """Return a URL without trailing slashes. Raises ValueError."""
    if not value.startswith(("http://", "https://")):
        raise ValueError("must start with https:// (or http:// on a private network)")
    try:
        parts = urlsplit(value)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_host = False
    if not has_host:
        raise ValueError("must have a host, and a number as its port if it has one")
    if "#" in value or "?" in value or "@" in value:
        raise ValueError("must have no user name, no query and no fragment")
    return value.rstrip("/")


_OVERRIDES: Final[dict[str, str]] = {
    **dict.fromkeys(("ct", "rt", "tt"), r"[1-9]\d{2,4}"),
    "rc": r"[0-5]",
    "rp": r"(4xx|5xx|ct|rt|all)(,(4xx|5xx|ct|rt|all))*",
    "sni": r"[yn]",
    "e": r"[a-z-]+(,[a-z-]+)*",
}


def _callback_overrides(value: str) -> str:
    """Return connection overrides for the fragment of a callback URL; nothing for `none`.

    https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
    """
    if value.lower() == "none":
        return ""
    for pair in value.removeprefix("#").split("&"):
        name, _, setting = pair.partition("=")
        if name not in _OVERRIDES or not re.fullmatch(_OVERRIDES[name], setting):
            raise ValueError(
                f"must be none, or connection overrides such as rc=5&rp=all, not {pair[:40]!r}"
            )
    return value.removeprefix("#")


def _triples(value: str) -> list[Any]:
    """Split `a:b:c, d:e:f` into lists of three. The last part may contain colons."""
    entries = [entry.strip().split(":", 2) for entry in value.split(",") if entry.strip()]
    if any(len(entry) != 3 or not all(entry) for entry in entries):
        raise ValueError("must be a comma-separated list of entries such as a:b:c")
    return entries


def _extra_tokens(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(
        ExtraToken(account_sid=account, label=label, token=token)
        for account, label, token in _triples(value)
    )


def _shared_keys(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    keys = _triples(value)
    if any(algorithm not in ("HMAC_SHA1", "HMAC_SHA256") for _, algorithm, _ in keys):
        raise ValueError("must have the algorithm HMAC_SHA1 or HMAC_SHA256 in each entry")
    return tuple(
        SharedKey(key_id=key_id, algorithm=algorithm, secret=secret)
        for key_id, algorithm, secret in keys
    )


def _secrets(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(secret.strip() for secret in value.split(",") if secret.strip())


def _path_secret(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[A-Za-z0-9_-]{16,64}", value.get_secret_value()):
        raise ValueError("must be 16 to 64 letters, digits, - or _, because it is part of a URL")
    return value


def pairs(value: str, form: str, example: str) -> list[tuple[str, str]]:
    """Split `a:b,c:d` into pairs of the given form. Raises ValueError."""
    entries = [entry.strip() for entry in value.split(",") if entry.strip()]
    if not all(re.fullmatch(form, entry) for entry in entries):
        raise ValueError(f"must be a comma-separated list such as {example}")
    split = [(key, text) for key, _, text in (entry.rpartition(":") for entry in entries)]
    if len(dict(split)) < len(split):
        raise ValueError("must not name a prefix or sender twice")
    return split


def _sender_rates(value: Any) -> Any:
    """Split `+15005550006:10,*:1` into rates."""
    if not isinstance(value, str):
        return value
    split = pairs(value, r".+:\d{1,6}(\.\d+)?", "+15005550006:10,*:1")
    if any(float(rate) == 0 for _, rate in split):
        raise ValueError("must have rates above 0")
    return tuple(SenderRate(sender=sender, rate=float(rate)) for sender, rate in split)


def _post_limits(value: str) -> str:
    try:
        limits = parse_many(value)
    except ValueError:
        limits = []
    if not limits or any(limit.amount < 1 for limit in limits):
        raise ValueError("must be limits such as 100/second;5000/minute")
    return value


HttpUrl = Annotated[str, AfterValidator(http_url)]
CallbackOverrides = Annotated[str, AfterValidator(_callback_overrides)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
ReplicaUrl = Annotated[SecretStr, AfterValidator(_replica_url)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
BrokerUrl = Annotated[SecretStr, AfterValidator(_broker_url)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
ExtraTokens = Annotated[tuple[ExtraToken, ...], BeforeValidator(_extra_tokens)]
SharedKeys = Annotated[tuple[SharedKey, ...], BeforeValidator(_shared_keys)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_secrets)]
PathSecret = Annotated[SecretStr, AfterValidator(_path_secret)]
SenderRates = Annotated[tuple[SenderRate, ...], BeforeValidator(_sender_rates)]
PostLimits = Annotated[str, AfterValidator(_post_limits)]
