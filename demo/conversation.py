"""A recipient of each provider answers STOP, and later START: what becomes of the messages."""

import time
from collections.abc import Callable
from typing import Any, Final

from demo import persons
from demo.stack import SENDER, Stack
from demo.traffic import Api

RECIPIENTS: Final = {"twilio": "+14155570001", "sinch": "+46701750001"}
_TIMEOUT: Final = 30.0
_MESSAGES: Final = (
    "Your parcel is on its way.",
    "Was the driver friendly? Tell us!",
    "Your parcel is here.",
)


def converse(stack: Stack, api: Api) -> int:
    """Hold a conversation through each provider, and print it; return the number of messages.

    Raises RuntimeError if a message does not end as it must.
    """
    print("A recipient of each provider answers STOP, and later START.")
    persons.calm(stack)
    for provider, recipient in RECIPIENTS.items():
        _converse(Conversation(stack, api, provider, recipient))
    print()
    return len(RECIPIENTS) * len(_MESSAGES)


class Conversation:
    """A client and a recipient. Each line is printed when it is known what became of it."""

    def __init__(self, stack: Stack, api: Api, provider: str, recipient: str) -> None:
        self._stack, self._api = stack, api
        self._provider, self._recipient = provider, recipient
        self._calls = persons.creates(stack, provider)

    def post(self, body: str, status: str, calls: int) -> dict[str, Any]:
        """Post a message, wait until it is final, and print it with the calls to the provider."""
        accepted = self._api.post(
            {"to": self._recipient, "body": body, "provider": self._provider},
            key=f"{self._recipient} {body}",
        )
        message = _await(
            f"a final status of {body!r}",
            lambda: next(
                (each for each in self._api.newest(10) if each["id"] == accepted["id"]), accepted
            ),
            lambda message: bool(message["final"]),
        )
        made = self._count_calls()
        outcome = f"{message['status']}, {made} call{'' if made == 1 else 's'} to the provider"
        self._print("->", body, outcome)
        if (message["status"], made) != (status, calls):
            raise RuntimeError(f"{body!r} must be {status} with {calls} calls")
        return message

    def write(self, text: str) -> dict[str, Any]:
        """Write as the recipient, wait until the client can read it, and print it."""
        sid = persons.write(self._stack, self._provider, self._recipient, SENDER, text)
        message = _await(
            f"{text!r} of the recipient",
            lambda: next((each for each in self._api.inbound() if each["provider_sid"] == sid), {}),
            bool,
        )
        self._print("<-", text, f"received, keyword {message['keyword']}")
        return message

    def _count_calls(self) -> int:
        """Return how many requests the provider received since the last count, by its records."""
        before, self._calls = self._calls, persons.creates(self._stack, self._provider)
        return self._calls - before

    def _print(self, arrow: str, text: str, outcome: str) -> None:
        print(f"  {self._provider:<7} {self._recipient} {arrow} {text:<34} {outcome}", flush=True)


def _converse(conversation: Conversation) -> None:
    first, second, third = _MESSAGES
    delivered = conversation.post(first, "delivered", calls=1)
    if conversation.write("STOP")["in_reply_to"] != delivered["id"]:
        raise RuntimeError("STOP must answer the message that was delivered")
    conversation.post(second, "failed", calls=0)
    conversation.write("START")
    conversation.post(third, "delivered", calls=1)


def _await(
    name: str, read: Callable[[], dict[str, Any]], ready: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Read until the answer is ready. Raises RuntimeError after 30 s."""
    deadline = time.monotonic() + _TIMEOUT
    while not ready(answer := read()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{name} did not come within {_TIMEOUT:.0f} s")
        time.sleep(0.1)
    return answer
