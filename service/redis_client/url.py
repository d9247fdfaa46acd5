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
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

_TLS_SCHEMES: Final = ("rediss", "sentinels", "clusters")
_SCHEMES: Final = ("redis", "unix", "sentinel", "cluster", *_TLS_SCHEMES)
_PORT: Final = 6379
# The prefix of options for the Sentinels themselves.
_SENTINEL: Final = "sentinel_"
_SENTINEL_PORT: Final = 26379
# An option name that an error may quote. Anything else may be part of a password.
_NAME: Final = re.compile(r"[a-z_]{1,40}")
ESCAPE: Final = (
    "cannot be read: write special characters of the user name and the password as percent codes"
    " (# as %23, / as %2F, ? as %3F, @ as %40)"
)


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """The address and the credentials of a Redis server. `path` is that of a Unix socket.

    With `nodes` it is a cluster, or with `master_name` what these Sentinels monitor.
    """

    nodes: tuple[tuple[str, int], ...] = ()
    master_name: str = ""
    host: str = ""
    port: int = _PORT
    path: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Mapping[str, Any] | None = field(default=None, repr=False)
    # Of the Sentinels; they have none unless it is given.
    sentinel_account: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_cluster(self) -> bool:
        """Tell whether this is a Redis Cluster."""
        return bool(self.nodes) and not self.master_name

    def client_options(self) -> dict[str, Any]:
        """Return the keyword arguments of a connection of redis-py."""
        server: dict[str, Any] = {"host": self.host, "port": self.port}
        if self.path or self.nodes:
            server = {"path": self.path} if self.path else {}
        account = {"username": self.username, "password": self.password}
        return {**server, "db": self.db, **account, **(self.tls or {})}

    def sentinel_options(self) -> dict[str, Any]:
        """Return the keyword arguments of a connection of redis-py to a Sentinel."""
        return {**self.sentinel_account, **({"ssl": True, **self.tls} if self.tls else {})}

    def celery_settings(self) -> dict[str, Any]:
        """Return Celery's settings for the broker. Celery logs the URL with a masked password."""
        if self.master_name:
            urls = [
                f"sentinel://{self._account()}{host}:{port}/{self.db}" for host, port in self.nodes
            ]
            return {
                "broker_url": ";".join(urls),
                "broker_use_ssl": dict(self.tls) if self.tls else None,
            }
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
    """Parse the URL of a server, of Sentinels or of a cluster. Raises ValueError without values.

    Forms: `redis://`, `rediss://` (TLS), `unix://`, `sentinel://a:26379,b:26379/NAME/0`,
    `sentinels://` (TLS), `cluster://a:7001,b:7002`, `clusters://` (TLS).
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(ESCAPE) from None
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"must start with {', '.join(f'{each}://' for each in _SCHEMES)}")
    if parts.fragment or (parts.scheme == "unix" and not parts.path):
        raise ValueError(ESCAPE if parts.fragment else "must name the path of a socket")
    options = _options(parts.query, parts.scheme)
    db = options.pop("db", None)
    account = {
        name.removeprefix(_SENTINEL): options.pop(name)
        for name in (f"{_SENTINEL}username", f"{_SENTINEL}password")
        if name in options
    }
    tls = _TLS_DEFAULTS | options if parts.scheme in _TLS_SCHEMES else None
    return RedisAddress(
        **_account_in(parts), **_place(parts, db), tls=tls, sentinel_account=account
    )


def check_broker(address: RedisAddress) -> None:
    """Raise ValueError for a server that cannot be Celery's broker."""
    if address.is_cluster:
        raise ValueError(
            "cannot be a cluster, which Celery does not support: set BROKER_URL to a server,"
            " sentinel:// or amqp://"
        )


def _place(parts: SplitResult, db: int | None) -> dict[str, Any]:
    """Return where a server is, and the number of its database."""
    if parts.scheme == "unix":
        return {"path": unquote(parts.path), "db": db or 0}
    path = unquote(parts.path).strip("/")
    if parts.scheme.startswith("sentinel"):
        name, _, path = path.partition("/")
        if not name:
            raise ValueError("must name the master that the Sentinels monitor: /NAME or /NAME/0")
        nodes = _nodes(parts, _SENTINEL_PORT)
        return {"nodes": nodes, "master_name": name, "db": _database(path, db)}
    nodes = _nodes(parts, _PORT)
    if parts.scheme.startswith("cluster"):
        if _database(path, db):
            raise ValueError("names a database; a cluster has only the database 0")
        return {"nodes": nodes}
    if len(nodes) > 1:
        raise ValueError("names several servers: write sentinel:// or cluster://")
    return {"host": nodes[0][0], "port": nodes[0][1], "db": _database(path, db)}


def _nodes(parts: SplitResult, port: int) -> tuple[tuple[str, int], ...]:
    """Return the hosts of a URL with their ports."""
    hosts = parts.netloc.rpartition("@")[2].split(",")
    try:
        found = [urlsplit(f"//{host}") for host in hosts]
        return tuple((unquote(each.hostname or "127.0.0.1"), each.port or port) for each in found)
    except ValueError:
        raise ValueError(ESCAPE) from None


def _account_in(parts: SplitResult) -> dict[str, Any]:
    """Return the user name and the password of a URL."""
    account = parts.netloc.rpartition("@")[0]
    username, _, password = account.partition(":")
    return {"username": unquote(username) or None, "password": unquote(password) or None}


def _options(query: str, scheme: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if not _NAME.fullmatch(name):
            raise ValueError(ESCAPE)
        if name not in _PARSERS:
            raise ValueError(
                f"has the unsupported option {name}; supported are {', '.join(_PARSERS)}."
                " Time-outs, retries and health checks are set by Waybill"
            )
        if name in options:
            raise ValueError(f"has the option {name} twice")
        if name.startswith("ssl_") and scheme not in _TLS_SCHEMES:
            tls = "rediss" if scheme == "unix" else f"{scheme}s"
            raise ValueError(f"has the option {name}, which needs TLS: write {tls}://")
        if name.startswith(_SENTINEL) and not scheme.startswith("sentinel"):
            raise ValueError(f"has the option {name}, which needs sentinel:// or sentinels://")
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
    f"{_SENTINEL}username": _text,
    f"{_SENTINEL}password": _text,
    "ssl_cert_reqs": _cert_requirement,
    "ssl_check_hostname": _bool,
    "ssl_ca_certs": _file,
    "ssl_ca_path": _file,
    "ssl_certfile": _file,
    "ssl_keyfile": _file,
    "ssl_password": _text,
}
