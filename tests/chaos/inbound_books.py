"""Reads what recipients wrote from the records of the simulated provider."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from demo import persons
from demo.stack import Stack
from tests.chaos.inbound_verdict import Written

# Sinch tells when it received a message, in milliseconds; the lists of Twilio in seconds.
_RESOLUTION: Final = timedelta(seconds=1)
# A request to Twilio's URL counts from its arrival: at a frozen web server it is read later.
_LONGEST: Final = timedelta(seconds=20)


def read_written(stack: Stack) -> list[Written]:
    """Return what persons wrote, oldest first."""
    return [_written(entry) for entry in persons.written(stack)]


def _written(entry: Mapping[str, Any]) -> Written:
    received_at = datetime.fromisoformat(entry["received_at"])
    return Written(
        provider=entry["provider"],
        sid=entry["sid"],
        person=entry["from"],
        senders=tuple(filter(None, (entry["to"], entry["messaging_service_sid"]))),
        text=entry["body"],
        acknowledged=entry["acknowledged"],
        earliest=received_at - _RESOLUTION,
        latest=_latest(entry["provider"], received_at, entry["callbacks"]),
    )


def _latest(provider: str, received_at: datetime, tries: Sequence[Mapping[str, Any]]) -> datetime:
    if provider == "sinch":  # the time of the provider counts
        return received_at
    last_try = max((datetime.fromisoformat(each["at"]) for each in tries), default=received_at)
    return last_try + _LONGEST
