"""The kinds of value that a setting may have, and what is wrong with one that has not."""

from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

_DIALECTS: Final = {
    "postgres://": "postgresql+psycopg://",
    "postgresql://": "postgresql+psycopg://",
}


class ExtraToken(BaseModel):
    """One more auth token that may sign callbacks: of a subaccount, or during a rotation."""

    model_config = ConfigDict(frozen=True)
    account_sid: str
    label: str
    token: SecretStr


class SharedKey(BaseModel):
    """A webhook shared key and the one algorithm configured for it."""

    model_config = ConfigDict(frozen=True)
    key_id: str
    algorithm: str
    secret: SecretStr


def _database_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    for prefix, driver in _DIALECTS.items():
        if url.startswith(prefix):
            return SecretStr(driver + url.removeprefix(prefix))
    if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise ValueError("must start with postgresql:// or sqlite:///")
    return value


def _redis_url(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must start with redis://, rediss:// or unix://")
    return value


def _http_url(value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise ValueError("must start with https:// (or http:// on a private network)")
    try:
        parts = urlsplit(value)
        named = parts.hostname and parts.port != 0
    except ValueError:
        named = None
    if not named:
        raise ValueError("must name a host, and a port only as a number")
    if "#" in value or "?" in value or "@" in value:
        raise ValueError("must have no user name, no query and no fragment")
    return value.rstrip("/")


def _triples(value: Any) -> Any:
    """Split `a:b:c, d:e:f` into lists of three; the last part may itself hold colons."""
    if not isinstance(value, str):
        return value
    entries = [entry.strip().split(":", 2) for entry in value.split(",") if entry.strip()]
    if any(len(entry) != 3 or not all(entry) for entry in entries):
        raise ValueError("must be a comma list of entries of three parts, as in a:b:c")
    return entries


def _extra_tokens(value: Any) -> Any:
    return tuple(
        ExtraToken(account_sid=account, label=label, token=token)
        for account, label, token in _triples(value)
    )


def _shared_keys(value: Any) -> Any:
    keys = tuple(
        SharedKey(key_id=key_id, algorithm=algorithm, secret=secret)
        for key_id, algorithm, secret in _triples(value)
    )
    if any(key.algorithm not in ("HMAC_SHA1", "HMAC_SHA256") for key in keys):
        raise ValueError("the algorithm must be HMAC_SHA1 or HMAC_SHA256")
    return keys


HttpUrl = Annotated[str, AfterValidator(_http_url)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
ExtraTokens = Annotated[tuple[ExtraToken, ...], BeforeValidator(_extra_tokens)]
SharedKeys = Annotated[tuple[SharedKey, ...], BeforeValidator(_shared_keys)]
