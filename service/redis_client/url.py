"""Parse a Redis URL for both clients: redis-py and Celery's (kombu).

Each client parses URLs differently: it may ignore an option that the other obeys, and kombu does
not verify certificates by default. So both get the result of this module, and other options are
refused when the settings are loaded.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

_SCHEMES: Final = ("redis", "rediss", "unix")
_PORT: Final = 6379
# An option name that an error may quote. Anything else may be part of a password.
_NAME: Final = re.compile(r"[a-z_]{1,40}")
_ESCAPE: Final = (
    "cannot be read: write special characters of the user name and the password as percent codes"
    " (# as %23, / as %2F, ? as %3F, @ as %40)"
)


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """The address and the credentials of a Redis server. `path` is that of a Unix socket."""

    host: str = ""
    port: int = _PORT
    path: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Mapping[str, Any] | None = field(default=None, repr=False)

    def client_options(self) -> dict[str, Any]:
        """Return the keyword arguments of a connection of redis-py."""
        server = {"path": self.path} if self.path else {"host": self.host, "port": self.port}
        account = {"username": self.username, "password": self.password}
        return {**server, "db": self.db, **account, **(self.tls or {})}

    def celery_settings(self) -> dict[str, Any]:
        """Return Celery's settings for the broker. Celery logs the URL with a masked password."""
        if self.path:
            # kombu does not mask the password in the URL of a socket.
            url = f"redis+socket://{quote(self.path)}?{urlencode({'virtual_host': self.db})}"
            account = {"broker_user": self.username, "broker_password": self.password}
            return {"broker_url": url, **account}
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "redis" if self.tls is None else "rediss"
        url = f"{scheme}://{self._account()}{host}:{self.port}/{self.db}"
        return {"broker_url": url, "broker_use_ssl": dict(self.tls) if self.tls else None}

    def _account(self) -> str:
        if not (self.username or self.password):
            return ""
        return f"{quote(self.username or '', safe='')}:{quote(self.password or '', safe='')}@"


def parse_redis_url(url: str) -> RedisAddress:
    """Parse a `redis://`, `rediss://` (TLS) or `unix://` URL. Raises ValueError without values."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "127.0.0.1", parts.port or _PORT
    except ValueError:
        raise ValueError(_ESCAPE) from None
    if parts.scheme not in _SCHEMES:
        raise ValueError("must start with redis://, rediss:// or unix://")
    if parts.fragment or (parts.scheme == "unix" and not parts.path):
        raise ValueError(_ESCAPE if parts.fragment else "must name the path of a socket")
    options = _options(parts.query, with_tls=parts.scheme == "rediss")
    account: dict[str, Any] = {
        "username": unquote(parts.username or "") or None,
        "password": unquote(parts.password or "") or None,
    }
    if parts.scheme == "unix":
        return RedisAddress(path=unquote(parts.path), db=options.get("db", 0), **account)
    tls = {name: value for name, value in options.items() if name != "db"}
    return RedisAddress(
        host=unquote(host),
        port=port,
        db=_database(unquote(parts.path).strip("/"), options.get("db")),
        **account,
        tls=_TLS_DEFAULTS | tls if parts.scheme == "rediss" else None,
    )


def _options(query: str, *, with_tls: bool) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if not _NAME.fullmatch(name):
            raise ValueError(_ESCAPE)
        if name not in _PARSERS:
            raise ValueError(
                f"has the unsupported option {name}; supported are {', '.join(_PARSERS)}."
                " Time-outs, retries and health checks are set by Waybill"
            )
        if name in options:
            raise ValueError(f"has the option {name} twice")
        if name != "db" and not with_tls:
            raise ValueError(f"has the option {name}, which needs TLS: write rediss://")
        options[name] = _PARSERS[name](name, value)
    return options


def _database(path: str, option: int | None) -> int:
    if not path:
        return option or 0
    number = _number("the path", path)
    if option not in (None, number):
        raise ValueError("names one database in the path and another in db")
    return number


def _number(name: str, value: str) -> int:
    if not re.fullmatch(r"\d{1,6}", value):
        raise ValueError(f"{name} must be the number of a database")
    return int(value)


def _cert_requirement(name: str, value: str) -> str:
    word = value.lower().removeprefix("cert_")
    if word not in ("required", "optional", "none"):
        raise ValueError(f"{name} must be required, optional or none")
    return word


def _bool(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0", "yes", "no"):
        raise ValueError(f"{name} must be true or false")
    return value.lower() in ("true", "1", "yes")


def _file(name: str, value: str) -> str:
    # Check at start: later every connection would fail, and all callbacks go to the database.
    if not Path(value).exists():
        raise ValueError(f"{name} names a file that does not exist")
    return value


def _text(_name: str, value: str) -> str:
    return value


_TLS_DEFAULTS: Final = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
_PARSERS: Final[Mapping[str, Callable[[str, str], Any]]] = {
    "db": _number,
    "ssl_cert_reqs": _cert_requirement,
    "ssl_check_hostname": _bool,
    "ssl_ca_certs": _file,
    "ssl_ca_path": _file,
    "ssl_certfile": _file,
    "ssl_keyfile": _file,
    "ssl_password": _text,
}
