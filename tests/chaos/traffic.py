"""Clients that repeat each post with its idempotency key until it is accepted."""

import threading
import time
from collections import Counter
from typing import Final

import requests

from demo.stack import SENDER
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


def recipient(number: int) -> str:
    """Return the recipient of a message: each has its own."""
    return f"+1415{number:07d}"


def sender(number: int) -> str:
    """Return the number or Messaging Service from which a message is sent."""
    return service(number) or SENDER


def service(number: int) -> str | None:
    """Return the Messaging Service of a message: nine of ten through Twilio have it."""
    return SERVICE if provider(number) == "twilio" and number % 10 else None


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

    def post_again(self) -> None:
        """Post another message to each person who wrote, as the number of all and its own."""
        session = self._session()
        for person in range(self._plan.persons):
            self._post(session, self._plan.messages + person, recipient(person))

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self._key}"
        return session

    def _post_all(self, client: int) -> None:
        session, start = self._session(), time.monotonic()
        for number in range(client, self._plan.messages, _CLIENTS):
            time.sleep(max(0.0, start + number / self._plan.rate - time.monotonic()))
            self._post(session, number, recipient(number))

    def _post(self, session: requests.Session, number: int, to: str) -> None:
        message = {
            "to": to,
            "body": body(number),
            "reference": str(number),
            "resend_if_unknown": may_repeat(number),
            "provider": provider(number),
            "messaging_service_sid": service(number),
        }
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
