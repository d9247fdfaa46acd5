"""Checks the fields of a request, and normalises them, as the real server does."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from waybill_client.fake.refusals import invalid
from waybill_client.fake.texts import length

Check = Callable[[Any], Any]

_MOST_TEXT: Final = 1600
_UNKNOWN: Final = "is not a known field; correct its name or leave it out"
_CHANNELS: Final = ("whatsapp:", "rcs:")
_DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")
CONTENTS: Final = "must have body, media_urls or content_sid"


class InvalidItem(ValueError):
    """An item of a list or of an object is invalid."""

    def __init__(self, step: int | str, error: ValueError) -> None:
        super().__init__(str(error))
        self.step = step


def check(request: Any, checks: Mapping[str, Check], required: tuple[str, ...] = ()) -> Any:
    """Return the checked fields that are not null. Raises Refusal with every wrong field."""
    if not isinstance(request, dict):
        raise invalid({"(request)": "must be an object"})
    errors = {name: _UNKNOWN for name in request if name not in checks}
    errors |= {name: "is required" for name in required if name not in request}
    values = {}
    for name, value in request.items():
        try:
            if name not in errors and (value is not None or name in required):
                values[name] = checks[name](value)
        except InvalidItem as error:
            errors[f"{name}.{error.step}"] = str(error)
        except ValueError as error:
            errors[name] = str(error)
    if errors:
        raise invalid(errors)
    return values


def text(least: int = 1, most: int = 255) -> Check:
    """Return a check of a text of some length."""

    def checked(value: Any) -> str:
        if not isinstance(value, str) or "\x00" in value:
            raise ValueError("must be a text without NUL")
        if not least <= length(value) <= most:
            raise ValueError(f"must have {least} to {most} characters, but has {length(value)}")
        return value

    return checked


def matching(pattern: str, advice: str) -> Check:
    """Return a check of a text that has a form."""

    def checked(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(advice)
        return value

    return checked


def one_of(*values: str) -> Check:
    """Return a check of a text that is one of some."""

    def checked(value: Any) -> str:
        if value not in values:
            raise ValueError(f"must be one of: {', '.join(values)}")
        return str(value)

    return checked


def whole_number(least: int, most: int) -> Check:
    """Return a check of a whole number."""

    def checked(value: Any) -> int:
        if isinstance(value, bool | str) or not isinstance(value, int | float) or value % 1:
            raise ValueError("must be a whole number")
        if not least <= value <= most:
            raise ValueError(f"must be {least} to {most}")
        return int(value)

    return checked


def boolean(value: Any) -> bool:
    """Return a boolean. Raises ValueError for anything else."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def body(value: Any) -> str:
    """Return the text of a message. Raises ValueError."""
    if not text(1, _MOST_TEXT)(value).strip():
        raise ValueError("must have at least one visible character; or leave out the field")
    return str(value)


def recipient(value: Any) -> str:
    """Return a recipient in E.164 form, with its channel. Raises ValueError."""
    address = text()(value)
    channel = next((each for each in _CHANNELS if address.lower().startswith(each)), "")
    number = re.sub(r"[\s().\-/]", "", address[len(channel) :])
    if not re.fullmatch(r"\+[1-9]\d{7,14}", number):
        raise ValueError("is not a phone number: write it in E.164 form, such as +14155552671")
    return channel + number


def time(value: Any) -> str:
    """Return a time in UTC, with milliseconds. Raises ValueError."""
    if not isinstance(value, str) or not _DATE_TIME.match(value):
        raise ValueError("must be a date and time with an offset, such as 2026-12-24T09:00:00Z")
    parsed = datetime.fromisoformat(value)
    if parsed.tzinfo is None:
        raise ValueError("must have an offset, such as Z")
    return time_text(parsed)


def near_future(value: Any) -> str:
    """Return a time within the next 35 days. Raises ValueError."""
    checked, now = time(value), datetime.now(UTC)
    if not time_text(now) < checked <= time_text(now + timedelta(days=35)):
        raise ValueError("must be in the future, at most 35 days")
    return checked


def list_of(item_check: Check, most: int) -> Check:
    """Return a check of a list with at least one item."""

    def checked(value: Any) -> list[Any]:
        if not isinstance(value, list) or not 0 < len(value) <= most:
            raise ValueError(f"must be a list of 1 to {most}")
        return [_item(step, item, item_check) for step, item in enumerate(value)]

    return checked


def _item(step: int | str, item: Any, item_check: Check) -> Any:
    try:
        return item_check(item)
    except ValueError as error:
        raise InvalidItem(step, error) from None


def _scalar(value: Any) -> Any:
    if isinstance(value, dict | list):
        raise ValueError("must be a text, a number, a boolean or null")
    return value


def scalars(value: Any) -> dict[str, Any]:
    """Return data of a client: up to 50 plain values. Raises ValueError."""
    if not isinstance(value, dict) or len(value) > 50:
        raise ValueError("must be an object with at most 50 values")
    return {name: _item(name, item, _scalar) for name, item in value.items()}


def variables(value: Any) -> dict[str, str]:
    """Return the texts of a template. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    return {name: _item(name, item, text(0, _MOST_TEXT)) for name, item in value.items()}


def time_text(moment: datetime) -> str:
    """Return a time as the API writes it."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
