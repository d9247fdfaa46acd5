"""Combines copies of a message that arrived in any order."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

_Copy = TypeVar("_Copy", bound=Mapping[str, Any])


def merge(a: _Copy | None, b: _Copy | None) -> _Copy | None:
    """Return the newer of two copies of a message: that with the higher `version`.

    The order and the repetition of calls do not matter. Of two copies of the same version the
    one with more fields wins: webhooks leave out the text unless `include_body` is set.
    Raises ValueError for copies of two messages.
    """
    if a is None or b is None:
        return b if a is None else a
    if a["id"] != b["id"]:
        raise ValueError(f"{a['id']} and {b['id']} are two messages")
    return max(a, b, key=_rank)


def _rank(copy: Mapping[str, Any]) -> tuple[int, int, str]:
    # The text decides between copies that differ otherwise, so that all readers keep the same.
    # An inbound message has no version: it does not change.
    return copy.get("version", 0), len(copy), json.dumps(copy, sort_keys=True)
