"""The magic numbers and their outcomes, documented in docs/testing-your-integration.md.

Numbers of Twilio's test credentials keep their meaning; +1 500 555 01xx are ours.
https://www.twilio.com/docs/iam/test-credentials
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class Answer(Enum):
    """How the provider answers a send."""

    ACCEPTED = auto()
    REFUSED = auto()
    NOT_ACCEPTED = auto()
    LOST = auto()  # the message may have been sent


_EVERY_ATTEMPT: Final = 1_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happens to a message: answers, callbacks, a reply, and the result of later requests."""

    callbacks: tuple[str, ...] = ("sent", "delivered")
    code: str | None = None
    answer: Answer = Answer.ACCEPTED
    times: int = 0  # number of attempts with this answer; later ones are accepted
    ends: str = "delivered"  # the status that `fetch` returns
    is_found: bool = False  # whether a look-up finds the message
    reply: str | None = None  # what the person writes back

    def answer_to(self, attempt: int) -> Answer:
        """Return the answer to an attempt; the first is 1."""
        return self.answer if attempt <= self.times else Answer.ACCEPTED


def _refused(code: str) -> Outcome:
    return Outcome(code=code, answer=Answer.REFUSED, times=_EVERY_ATTEMPT)


def _not_accepted(code: str, times: int = _EVERY_ATTEMPT) -> Outcome:
    return Outcome(code=code, answer=Answer.NOT_ACCEPTED, times=times)


DELIVERED: Final = Outcome()

RECIPIENTS: Final[Mapping[str, Outcome]] = {
    "+15005550001": _refused("21211"),
    "+15005550002": _refused("21612"),
    "+15005550003": _refused("21408"),
    "+15005550004": _refused("21610"),
    "+15005550009": _refused("21614"),
    "+15005550100": DELIVERED,
    "+15005550101": Outcome(callbacks=("sent",), ends="sent"),
    "+15005550103": Outcome(("sent", "undelivered"), "30003", ends="undelivered"),
    "+15005550105": Outcome(("sent", "undelivered"), "30005", ends="undelivered"),
    "+15005550107": Outcome(("sent", "undelivered"), "30007", ends="undelivered"),
    "+15005550111": Outcome(("failed",), "30001", ends="failed"),
    "+15005550120": _not_accepted("20429", times=1),
    "+15005550121": _not_accepted("20429"),
    "+15005550130": Outcome(answer=Answer.LOST, times=1, is_found=True),
    "+15005550131": Outcome(answer=Answer.LOST, times=1),
    "+15005550140": Outcome(callbacks=()),
    "+15005550150": Outcome(callbacks=("delivered", "sent", "delivered", "sent")),
    "+15005550160": Outcome(("sent", "undelivered", "delivered"), "30008"),
    "+15005550170": Outcome(reply="STOP"),
    "+15005550171": Outcome(reply="START"),
    "+15005550172": Outcome(reply="Thank you!"),
}

SENDERS: Final[Mapping[str, Outcome]] = {
    "+15005550001": _refused("21212"),
    "+15005550007": _refused("21606"),
    "+15005550008": _not_accepted("21611"),
}


def outcome_of(to: str, sender: str | None = None) -> Outcome:
    """Return the outcome of these numbers, on any channel; other numbers are delivered."""
    number = to.rpartition(":")[2]
    if number in RECIPIENTS and RECIPIENTS[number].answer is Answer.REFUSED:
        return RECIPIENTS[number]
    return SENDERS.get(sender or "") or RECIPIENTS.get(number, DELIVERED)
