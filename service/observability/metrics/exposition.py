"""Return all metrics in the text format of Prometheus."""

import os
import secrets
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from pydantic import SecretStr

# The text format that every Prometheus since 2014 reads.
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def exposed(readings: Collector | None = None) -> bytes:
    """Return the counters and histograms of this server, and the gauges of `readings`.

    With PROMETHEUS_MULTIPROC_DIR set, all processes that use the directory are summed.
    https://prometheus.github.io/client_python/multiprocess/
    """
    own = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        own = CollectorRegistry()
        MultiProcessCollector(own)
    text = generate_latest(own)
    if readings:
        gauges = CollectorRegistry(auto_describe=False)
        gauges.register(readings)
        text += generate_latest(gauges)
    return text


def may_read(token: SecretStr | None, authorization: str) -> bool:
    """Return whether the Authorization header holds the token, or no token is set."""
    if token is None:
        return True
    expected = f"Bearer {token.get_secret_value()}"
    return secrets.compare_digest(authorization.encode(), expected.encode())
