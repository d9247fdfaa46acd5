"""The kinds of value that a field of a request may hold, and what is wrong with others."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field
from pydantic.config import JsonDict

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")


def _storable(value: str) -> str:
    """Refuse what is legal in JSON and cannot be stored as text."""
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("must not hold NUL or half of a surrogate pair")
    return value


def _as_text(value: Any) -> Any:
    """Refuse seconds since 1970, which pydantic takes for a time and a client writes by mistake."""
    if isinstance(value, str) and _MOMENT.match(value):
        return value
    raise ValueError("must be a date and time with an offset, such as 2026-12-24T09:00:00Z")


def _whole(value: Any) -> Any:
    """Refuse what pydantic would take for a number; 5.0 is one, to JSON the same as 5."""
    if isinstance(value, bool | str):
        raise ValueError("must be a whole number")
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is beyond the calendar in UTC") from None


# Says to readers of the document what `_storable` refuses; a surrogate is not text to begin with.
_NO_NUL: Final[JsonDict] = {"pattern": r"^[^\x00]*$"}
_OF_TEXT: Final[JsonDict] = {"additionalProperties": False}
Text = Annotated[str, Field(json_schema_extra=_NO_NUL), AfterValidator(_storable)]
ShortText = Annotated[
    str,
    Field(min_length=1, max_length=255, json_schema_extra=_NO_NUL),
    AfterValidator(_storable),
]
LongText = Annotated[
    str,
    Field(min_length=1, max_length=1600, json_schema_extra=_NO_NUL),
    AfterValidator(_storable),
]
Url = Annotated[
    str,
    # No blanks and no controls, spelt out: what `\s` is differs from one language to the next.
    Field(max_length=2000, pattern=r"^https?://[^\x00-\x20\x7f-\xa0]+$"),
    AfterValidator(_storable),
]
ContentSid = Annotated[str, Field(pattern=r"^HX[0-9a-fA-F]{32}$")]
ServiceSid = Annotated[str, Field(pattern=r"^MG[0-9a-fA-F]{32}$")]
QueueSeconds = Annotated[int, Field(ge=1, le=36_000), BeforeValidator(_whole)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc), BeforeValidator(_as_text)]
Texts = Annotated[dict[Text, Text], Field(json_schema_extra=_OF_TEXT)]
Scalars = Annotated[dict[Text, Text | int | float | bool | None], Field(json_schema_extra=_OF_TEXT)]
