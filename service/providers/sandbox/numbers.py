"""Which number provokes what: docs/testing-your-integration.md is this table for people.

The numbers of Twilio's test credentials mean here what they mean there; the rest of that range,
+1 500 555 01xx, is ours. https://www.twilio.com/docs/iam/test-credentials
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class Answer(Enum):
    """How the provider answers a send."""

    TAKEN = auto()
    REFUSED = auto()
    NOT_ACCEPTED = auto()
    LOST = auto()  # it may have gone out


_ALWAYS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happens to a message: the first answers, the callbacks, and what is found later."""

    callbacks: tuple[str, ...] = ("sent", "delivered")
    code: str | None = None
    answer: Answer = Answer.TAKEN
    times: int = 0  # so many attempts get that answer, later ones are taken
    ends: str = "delivered"  # what the provider says when it is asked
    is_found: bool = False  # whether a look-up finds a send whose answer was lost

    def answer_to(self, attempt: int) -> Answer:
        """Return the answer to this attempt, counted from 1."""
        return self.answer if attempt <= self.times else Answer.TAKEN


def _refused(code: str) -> Outcome:
    return Outcome(code=code, answer=Answer.REFUSED, times=_ALWAYS)


def _not_accepted(code: str, times: int = _ALWAYS) -> Outcome:
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
}

SENDERS: Final[Mapping[str, Outcome]] = {
    "+15005550001": _refused("21212"),
    "+15005550007": _refused("21606"),
    "+15005550008": _not_accepted("21611"),
}


def outcome_of(to: str, sender: str | None = None) -> Outcome:
    """Return what these numbers provoke; any others deliver. Channels go by their number."""
    number = to.rpartition(":")[2]
    if number in RECIPIENTS and RECIPIENTS[number].answer is Answer.REFUSED:
        return RECIPIENTS[number]
    return SENDERS.get(sender or "") or RECIPIENTS.get(number, DELIVERED)
