"""Parses the fields of an outage."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from simulator.error_codes import request_status
from simulator.outage import ERROR, FAULTS, Outage

_PROVIDERS: Final = ("twilio", "sinch")
_MAX_SECONDS: Final = 30 * 86_400.0


def parse_outage(outage_id: int, fields: Mapping[str, Any]) -> Outage:
    """Parse the fields of a control call. Raises ValueError."""
    unknown = fields.keys() - _FIELDS.keys()
    if unknown:
        raise ValueError(f"unknown fields {sorted(unknown)}; use {', '.join(_FIELDS)}")
    values = {name: value for name, value in fields.items() if value is not None}
    for name, value in values.items():
        if not _FIELDS[name](value):
            raise ValueError(f"{name} is not valid: {value!r}")
    starts_at, ends_at = _times(values)
    values |= _status(values)
    outage = Outage(outage_id, starts_at, ends_at, **values)
    _check(outage)
    return outage


def _times(values: dict[str, Any]) -> tuple[datetime, datetime | None]:
    """Take the times out of the fields; return start and end."""
    now, after = datetime.now(UTC), values.pop("after", 0)
    until, duration = values.pop("until", None), values.pop("duration", None)
    if until is not None and duration is not None:
        raise ValueError("give either until or duration")
    end = after + duration if duration is not None else until
    if end is not None and end <= after:
        raise ValueError("the end must be later than the start")
    ends_at = None if end is None else now + timedelta(seconds=end)
    return now + timedelta(seconds=after), ends_at


def _status(values: Mapping[str, Any]) -> dict[str, int]:
    """Return the status of the code, if the fields have a code and no status."""
    code, provider = values.get("code"), values.get("provider")
    if code is None:
        return {}
    if provider is None or isinstance(code, int) != (provider == "twilio"):
        raise ValueError("a code needs its provider: twilio has numbers, sinch has texts")
    if "status" in values:
        return {}
    if provider == "sinch":
        return {"status": 403}
    status = request_status(int(code))
    if status is None:
        raise ValueError(f"the status of {code} is not known; give it as status")
    return {"status": status}


def _check(outage: Outage) -> None:
    is_error = outage.fault == ERROR
    if is_error != (outage.status is not None):
        raise ValueError(f"give status or code, or as fault one of {', '.join(FAULTS)}")
    waits = (outage.retry_after, outage.retry_after_date)
    if not is_error and (outage.code is not None or any(wait is not None for wait in waits)):
        raise ValueError("only an error has code, retry_after or retry_after_date")
    if None not in waits:
        raise ValueError("give either retry_after or retry_after_date")
    if outage.calls == "all" and (not is_error or outage.sender or outage.prefix):
        raise ValueError("calls=all needs an error, and neither sender nor prefix")


def _is_seconds(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= float(str(value)) <= _MAX_SECONDS


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_code(value: object) -> bool:
    return _is_text(value) or (isinstance(value, int) and value > 0)


def _is_status(value: object) -> bool:
    return isinstance(value, int) and 400 <= value <= 599


_FIELDS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "provider": _PROVIDERS.__contains__,
    "account": _is_text,
    "sender": _is_text,
    "prefix": _is_text,
    "after": _is_seconds,
    "until": _is_seconds,
    "duration": _is_seconds,
    "calls": ("creates", "all").__contains__,
    "fault": (ERROR, *FAULTS).__contains__,
    "status": _is_status,
    "code": _is_code,
    "retry_after": _is_seconds,
    "retry_after_date": _is_seconds,
}
