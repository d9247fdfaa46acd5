"""Internal services that post and do not give up: each message under a key, until it is a 202."""

import threading
import time
from collections import Counter
from typing import Final

import requests

from tests.chaos.plan import Plan

SERVICE: Final = "MG" + "0" * 32
_POSTERS: Final = 4
_PATIENCE: Final = 20.0


def body(number: int) -> str:
    """Return the text of a message: it names the message to both witnesses."""
    return f"chaos {number}"


def provider(number: int) -> str:
    """Return who carries a message: half of the traffic each."""
    return "sinch" if number % 2 else "twilio"


def may_repeat(number: int) -> bool:
    """Tell whether the client of this message prefers two of it to none."""
    return number % 25 == 0


class Traffic:
    """Posts in the background, at a steady rate."""

    def __init__(self, url: str, key: str, plan: Plan) -> None:
        self._url, self._key, self._plan = f"{url}/v1/messages", key, plan
        self.answers: Counter[str] = Counter()
        self._threads = [
            threading.Thread(target=self._post_all, args=(place,)) for place in range(_POSTERS)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def is_running(self) -> bool:
        """Tell whether there is something left to post."""
        return any(thread.is_alive() for thread in self._threads)

    def wait(self) -> None:
        """Wait until every message has got its 202."""
        for thread in self._threads:
            thread.join()

    def _post_all(self, place: int) -> None:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self._key}"
        begun = time.monotonic()
        for number in range(place, self._plan.messages, _POSTERS):
            time.sleep(max(0.0, begun + number / self._plan.rate - time.monotonic()))
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
            answer = session.post(self._url, json=message, headers=headers, timeout=_PATIENCE)
        except requests.RequestException as error:
            return type(error).__name__
        return str(answer.status_code)
