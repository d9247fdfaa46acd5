"""Outcomes of messages: a final status, with an error code if it is a failure."""

from collections.abc import Mapping
from itertools import accumulate
from typing import Final, NamedTuple

_STATUSES: Final = {"delivered", "undelivered", "failed", "sent"}

# WhatsApp and RCS report the nearest 63xxx code: https://www.twilio.com/docs/api/errors
_CHANNEL_CODES: Final = {30003: 63024, 30005: 63003, 30006: 63024, 30007: 63013, 30008: 63010}


class Outcome(NamedTuple):
    """The last status of a message (`read` may follow), and its error code."""

    status: str
    error_code: int | None = None

    def on_channel(self) -> "Outcome":
        """Return the same outcome with the error code of WhatsApp and RCS."""
        if self.error_code is None:
            return self
        return Outcome(self.status, _CHANNEL_CODES.get(self.error_code, self.error_code))


def parse_outcome(name: str) -> Outcome:
    """Parse `delivered`, `sent`, `undelivered-30003`, … Raises ValueError on anything else."""
    status, _, code = name.partition("-")
    needs_code = status in {"undelivered", "failed"}
    if status not in _STATUSES or not (code.isdecimal() if needs_code else name == status):
        raise ValueError(f"unknown outcome: {name}")
    return Outcome(status, int(code) if needs_code else None)


class Outcomes:
    """A weighted choice of outcomes."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.set(weights)

    def set(self, weights: Mapping[str, float]) -> None:
        """Replace all weights. Raises ValueError, and changes nothing, if one is invalid."""
        outcomes = [parse_outcome(name) for name in weights]
        cumulative = list(accumulate(weights.values()))
        if min(weights.values(), default=-1.0) < 0 or cumulative[-1] <= 0:
            raise ValueError("weights of outcomes must be 0 or more, and at least one above 0")
        self._outcomes, self._cumulative = outcomes, cumulative

    def choose(self, random: float) -> Outcome:
        """Return the outcome for a random number in [0, 1)."""
        threshold = random * self._cumulative[-1]
        pairs = zip(self._outcomes, self._cumulative, strict=True)
        return next(outcome for outcome, end in pairs if threshold < end)
