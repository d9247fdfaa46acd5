"""How a message may end: a status, and a reason when it ends badly."""

from collections.abc import Mapping
from itertools import accumulate
from typing import Final, NamedTuple

_ENDINGS: Final = {"delivered", "undelivered", "failed", "sent"}

# WhatsApp and RCS report the nearest 63xxx code: https://www.twilio.com/docs/api/errors
_CHANNEL_CODES: Final = {30003: 63024, 30005: 63003, 30006: 63024, 30007: 63013, 30008: 63010}


class Fate(NamedTuple):
    """The last status of a message before any reading, and its error code."""

    status: str
    error_code: int | None = None

    def on_channel(self) -> "Fate":
        """Return the same fate in the words of a WhatsApp or RCS channel."""
        if self.error_code is None:
            return self
        return Fate(self.status, _CHANNEL_CODES.get(self.error_code, self.error_code))


def read_fate(name: str) -> Fate:
    """Read `delivered`, `sent`, `undelivered-30003`, … Raises ValueError on anything else."""
    status, _, code = name.partition("-")
    needs_code = status in {"undelivered", "failed"}
    if status not in _ENDINGS or not (code.isdecimal() if needs_code else name == status):
        raise ValueError(f"no such fate: {name}")
    return Fate(status, int(code) if needs_code else None)


class Fates:
    """A weighted choice of fates."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._fates = [read_fate(name) for name in weights]
        self._marks = list(accumulate(weights.values()))
        if min(weights.values(), default=-1.0) < 0 or self._marks[-1] <= 0:
            raise ValueError("fates need weights of at least 0, and one above it")

    def at(self, position: float) -> Fate:
        """Return the fate that covers a position in [0, 1)."""
        mark = position * self._marks[-1]
        return next(fate for fate, end in zip(self._fates, self._marks, strict=True) if mark < end)
