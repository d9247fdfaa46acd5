"""Recipients who write back: the control calls of the simulated provider."""

from collections.abc import Sequence
from typing import Any, Final

import requests

from demo.stack import Stack

_TIMEOUT: Final = 30


def write(
    stack: Stack, provider: str, person: str, to: str, text: str, service: str | None = None
) -> str:
    """Write to a number as a person; return the SID. `service`: that of the number, if any.

    The provider sends it to Waybill in the background, with the faults at their rates.
    """
    message = {
        "provider": provider,
        "from": person,
        "to": to,
        "body": text,
        "messaging_service_sid": service,
    }
    return str(_call(stack, "POST", "inbound", json=message)["sid"])


def calm(stack: Stack) -> None:
    """Set the provider to accept and deliver each later message; repeats and reorders go on."""
    _call(stack, "POST", "faults", json={"429": 0, "cut": 0})
    _call(stack, "POST", "outcomes", json={"delivered": 1})


def written(stack: Stack) -> Sequence[dict[str, Any]]:
    """Return the provider's records of what persons wrote, oldest first."""
    messages: Sequence[dict[str, Any]] = _call(stack, "GET", "inbound")["messages"]
    return messages


def creates(stack: Stack, provider: str) -> int:
    """Return how many requests to send a message a provider has received, also refused ones."""
    accounts = _call(stack, "GET", "accounts")["accounts"]
    return sum(each["creates"] for each in accounts if each["provider"] == provider)


def _call(stack: Stack, method: str, path: str, **request: Any) -> dict[str, Any]:
    url = f"{stack.simulator_url}/_simulator/{path}"
    response = requests.request(method, url, timeout=_TIMEOUT, **request)
    response.raise_for_status()
    answer: dict[str, Any] = response.json() if response.content else {}
    return answer
