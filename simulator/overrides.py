"""Parses connection overrides: retry rules in the fragment of a callback URL.

https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from simulator.retry_policy import RetryPolicy

_DEFAULTS: Final = {"ct": 5_000, "rt": 15_000, "tt": 15_000, "rc": 1}
_RANGES: Final = {"ct": (100, 10_000), "rt": (100, 15_000), "tt": (100, 15_000), "rc": (0, 5)}
# No documented list has a connection that is closed without an answer: only `all` covers it.
_ALL: Final = frozenset({"4xx", "429", "5xx", "ct", "rt", "closed"})


@lru_cache(maxsize=1024)
def parse_overrides(fragment: str, backoff: float) -> RetryPolicy:
    """Parse a fragment; clamp numbers that are out of range, and ignore unknown values."""
    fields = dict(parse_qsl(fragment))
    return RetryPolicy(
        connect_timeout=_number(fields, "ct") / 1000,
        read_timeout=_number(fields, "rt") / 1000,
        total_timeout=_number(fields, "tt") / 1000,
        # Twilio does not document its backoff. It must be short: all tries must fit into `tt`.
        backoffs=tuple(backoff * 2**retry for retry in range(_number(fields, "rc"))),
        retry_on=_retry_on(fields.get("rp", "ct")),
        verify_certificate=fields.get("sni", "y") != "n",
    )


def _number(fields: Mapping[str, str], key: str) -> int:
    text = fields.get(key, "")
    low, high = _RANGES[key]
    return min(max(int(text), low), high) if text.isdecimal() else _DEFAULTS[key]


def _retry_on(text: str) -> frozenset[str]:
    named = frozenset(text.split(","))
    if "4xx" in named:
        named |= {"429"}
    return _ALL if "all" in named else named & _ALL - {"closed"}
