"""Parse the URL of RabbitMQ for Celery.

Celery verifies no certificate by default, ignores options that it does not know, and handles
several addresses badly, so all three are settled here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, urlsplit, urlunsplit

from service.redis_client.url import ESCAPE

SCHEMES: Final = ("amqp", "amqps")
# The options of a URL, and what py-amqp calls them.
_OPTIONS: Final = {
    "ssl_ca_certs": "ca_certs",
    "ssl_certfile": "certfile",
    "ssl_keyfile": "keyfile",
}


@dataclass(frozen=True, slots=True)
class AmqpAddress:
    """The URL of RabbitMQ without options, and the files for TLS; without TLS `tls` is None."""

    url: str = field(repr=False)
    tls: Mapping[str, str] | None = None


def parse_amqp_url(url: str) -> AmqpAddress:
    """Parse `amqp://USER:PASSWORD@HOST:5672/VHOST` or `amqps://`.

    Raises ValueError, whose text has no part of the URL.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError unless it is a number
    except ValueError:
        raise ValueError(ESCAPE) from None
    if parts.scheme not in SCHEMES:
        raise ValueError("must start with amqp:// or amqps://")
    if parts.fragment or "@" in parts.path:
        raise ValueError(ESCAPE)
    if "," in parts.netloc or ";" in url:
        raise ValueError(
            "names several servers: name one address that leads to a node that is up, such as a"
            " load balancer, because Celery recovers slowly from the loss of one of a list"
        )
    return AmqpAddress(urlunsplit(parts._replace(query="")), _tls(parts))


def _tls(parts: SplitResult) -> dict[str, Any] | None:
    options = parse_qsl(parts.query, keep_blank_values=True)
    if parts.scheme == "amqp":
        if options:
            raise ValueError("has options; those of TLS need amqps://, and there are no others")
        return None
    files: dict[str, Any] = {}
    for name, value in options:
        if name not in _OPTIONS or name in files:
            raise ValueError(f"may have each of these options once: {', '.join(_OPTIONS)}")
        if not Path(value).exists():
            raise ValueError(f"{name} names a file that does not exist")
        files[_OPTIONS[name]] = value
    return files
