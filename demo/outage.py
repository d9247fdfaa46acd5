"""Suspends the Twilio account for a moment: its messages wait, then all are sent."""

import time
from typing import Any, Final

import requests

from demo.stack import Stack
from demo.traffic import Api

MESSAGES: Final = 20
_SECONDS: Final = 2.5
_TIMEOUT: Final = 30.0
_WAITING: Final = {"pending", "submitting"}


def suspend_account(stack: Stack, api: Api) -> int:
    """Post messages during a suspension, and print what becomes of them; return their number.

    Raises RuntimeError if some are not sent within 30 s.
    """
    outages = f"{stack.simulator_url}/_simulator/outages"
    suspension = {"provider": "twilio", "code": 20005, "duration": _SECONDS}
    print(f"Twilio suspends the account for {_SECONDS:g} s: it refuses each call with 20005.")
    requests.post(outages, json=suspension, timeout=10).raise_for_status()
    start = time.monotonic()
    ids = {entry["message"]["id"] for entry in api.post_batch([*map(_message, range(MESSAGES))])}
    time.sleep(1)
    print(f"  {_waiting(api, ids)} messages wait")
    while waiting := _waiting(api, ids):
        if time.monotonic() > start + _TIMEOUT:
            raise RuntimeError(f"{waiting} messages were not sent after the suspension")
        time.sleep(0.2)
    seconds = time.monotonic() - start
    [outage] = requests.get(outages, timeout=10).json()["outages"]
    print(f"  all are sent after {seconds:.0f} s; Twilio refused {outage['answered']} calls\n")
    return MESSAGES


def _message(number: int) -> dict[str, Any]:
    return {
        "to": f"+1415556{number:04d}",
        "body": f"Your code is {271828 + number}.",
        "provider": "twilio",
    }


def _waiting(api: Api, ids: set[str]) -> int:
    """Return how many of these messages no provider has accepted."""
    statuses = {message["id"]: message["status"] for message in api.newest(len(ids))}
    return sum(statuses[message_id] in _WAITING for message_id in ids)
