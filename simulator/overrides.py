"""The connection overrides that a callback URL carries in its fragment.

https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from simulator.patience import Patience

_DEFAULTS: Final = {"ct": 5_000, "rt": 15_000, "tt": 15_000, "rc": 1}
_RANGES: Final = {"ct": (100, 10_000), "rt": (100, 15_000), "tt": (100, 15_000), "rc": (0, 5)}
# A connection closed without an answer is in none of the documented lists, so only `all` covers it.
_ALL: Final = frozenset({"4xx", "429", "5xx", "ct", "rt", "closed"})


@lru_cache(maxsize=1024)
def read_overrides(fragment: str, pause: float) -> Patience:
    """Read a fragment; clamp what is out of range and ignore what makes no sense."""
    words = dict(parse_qsl(fragment))
    return Patience(
        connect=_number(words, "ct") / 1000,
        read=_number(words, "rt") / 1000,
        total=_number(words, "tt") / 1000,
        # How long Twilio pauses is not documented; short, for all must fit in `tt`.
        pauses=tuple(pause * 2**retry for retry in range(_number(words, "rc"))),
        policy=_policy(words.get("rp", "ct")),
        verify=words.get("sni", "y") != "n",
    )


def _number(words: Mapping[str, str], key: str) -> int:
    text = words.get(key, "")
    low, high = _RANGES[key]
    return min(max(int(text), low), high) if text.isdecimal() else _DEFAULTS[key]


def _policy(text: str) -> frozenset[str]:
    named = frozenset(text.split(","))
    if "4xx" in named:
        named |= {"429"}
    return _ALL if "all" in named else named & _ALL - {"closed"}
