"""Clients that repeat each post with its idempotency key until it is accepted."""

import threading
import time
from collections import Counter
from typing import Final

import requests

from tests.chaos.plan import Plan

SERVICE: Final = "MG" + "0" * 32
_CLIENTS: Final = 4
_TIMEOUT: Final = 20.0


def body(number: int) -> str:
    """Return the text of a message, which identifies it on both sides."""
    return f"chaos {number}"


def provider(number: int) -> str:
    """Return the provider of a message: each gets half."""
    return "sinch" if number % 2 else "twilio"


def may_repeat(number: int) -> bool:
    """Report whether this message sets `resend_if_unknown`."""
    return number % 25 == 0


class Traffic:
    """Posts messages in the background at a constant rate."""

    def __init__(self, url: str, key: str, plan: Plan) -> None:
        self._url, self._key, self._plan = f"{url}/v1/messages", key, plan
        self.answers: Counter[str] = Counter()
        self._threads = [
            threading.Thread(target=self._post_all, args=(client,)) for client in range(_CLIENTS)
        ]

    def start(self) -> None:
        """Start posting."""
        for thread in self._threads:
            thread.start()

    def is_running(self) -> bool:
        """Report whether posting is unfinished."""
        return any(thread.is_alive() for thread in self._threads)

    def wait(self) -> None:
        """Wait until every message is accepted."""
        for thread in self._threads:
            thread.join()

    def _post_all(self, client: int) -> None:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self._key}"
        start = time.monotonic()
        for number in range(client, self._plan.messages, _CLIENTS):
            time.sleep(max(0.0, start + number / self._plan.rate - time.monotonic()))
            self._post(session, number)

    def _post(self, session: requests.Session, number: int) -> None:
        message = {
            "to": f"+1415{number:07d}",
            "body": body(number),
            "reference": str(number),
            "resend_if_unknown": may_repeat(number),
            "provider": provider(number),
        }
        if provider(number) == "twilio" and number % 10:
            message["messaging_service_sid"] = SERVICE
        while True:
            answer = self._try(session, message, key=f"chaos-{number}")
            self.answers[answer] += 1
            if answer == "202":
                return
            time.sleep(0.5)

    def _try(self, session: requests.Session, message: dict[str, object], key: str) -> str:
        try:
            headers = {"Idempotency-Key": key}
            answer = session.post(self._url, json=message, headers=headers, timeout=_TIMEOUT)
        except requests.RequestException as error:
            return type(error).__name__
        return str(answer.status_code)
