"""The kinds of value that a field of a request may hold, and what is wrong with others."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, ValidationInfo
from pydantic.config import JsonDict
from pydantic.types import JsonValue

from service import addresses
from service.texts.blanks import is_blank
from service.texts.segments import length
from service.texts.smart_encoding import smart_encoded

# Of a text, or of a variable of a template, as providers count (docs/adr/0029).
_LONGEST_TEXT: Final = 1600
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")


def _storable(value: str) -> str:
    """Refuse what is legal in JSON and cannot be stored as text."""
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("must not hold NUL or half of a surrogate pair")
    return value


def _readable(value: str) -> str:
    if is_blank(value):
        raise ValueError("must have a character that can be seen: leave it out, or write a text")
    return value


def _not_too_long(value: str) -> str:
    if (count := length(value)) > _LONGEST_TEXT:
        raise ValueError(
            f"has {count} characters: at most {_LONGEST_TEXT}, where an emoji counts as two or more"
        )
    return value


def _smart_encoded(value: str, info: ValidationInfo) -> str:
    return smart_encoded(value) if info.data.get("smart_encoding") else value


def _recipient(value: str, info: ValidationInfo) -> str:
    return addresses.recipient(value, region_of(info))


def _sender(value: str, info: ValidationInfo) -> str:
    return addresses.sender(value, region_of(info))


def region_of(info: ValidationInfo) -> str | None:
    """Return the region that completes numbers in national form, if the settings name one."""
    return (info.context or {}).get("region")


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
BodyText = Annotated[
    str,
    Field(min_length=1, json_schema_extra={**_NO_NUL, "maxLength": _LONGEST_TEXT}),
    AfterValidator(_storable),
    AfterValidator(_smart_encoded),
    AfterValidator(_readable),
    AfterValidator(_not_too_long),
]
# The formats are our own; tools that generate requests from the document can use them.
Recipient = Annotated[
    str,
    Field(min_length=1, max_length=255, json_schema_extra={**_NO_NUL, "format": "address"}),
    AfterValidator(_storable),
    AfterValidator(_recipient),
]
SenderText = Annotated[
    str,
    Field(min_length=1, max_length=255, json_schema_extra={**_NO_NUL, "format": "sender"}),
    AfterValidator(_storable),
    AfterValidator(_sender),
]
Url = Annotated[
    str,
    # No blanks and no controls, spelt out: what `\s` is differs from one language to the next.
    Field(max_length=2000, pattern=r"^https?://[^\x00-\x20\x7f-\xa0]+$"),
    AfterValidator(_storable),
]
ContentSid = Annotated[
    str, Field(pattern=r"^HX[0-9a-fA-F]{32}$"), AfterValidator(addresses.lower_id)
]
ServiceSid = Annotated[
    str, Field(pattern=r"^MG[0-9a-fA-F]{32}$"), AfterValidator(addresses.lower_id)
]
QueueSeconds = Annotated[int, Field(ge=1, le=36_000), BeforeValidator(_whole)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc), BeforeValidator(_as_text)]
Variables = Annotated[
    dict[Text, Annotated[Text, AfterValidator(_not_too_long)]], Field(json_schema_extra=_OF_TEXT)
]
Scalars = Annotated[dict[Text, Text | int | float | bool | None], Field(json_schema_extra=_OF_TEXT)]

_NULL: Final[JsonDict] = {"type": "null"}
# Which contents go together, as JSON Schema says it; `NewMessage` checks the same.
CONTENTS: Final[JsonValue] = [
    {
        "title": "a text",
        "required": ["body"],
        "properties": {
            "body": {"type": "string"},
            "content_sid": _NULL,
            "content_variables": _NULL,
        },
    },
    {
        "title": "media, with or without a text",
        "required": ["media_urls"],
        "properties": {
            "media_urls": {"type": "array"},
            "content_sid": _NULL,
            "content_variables": _NULL,
        },
    },
    {
        "title": "a content template",
        "required": ["content_sid"],
        "properties": {"content_sid": {"type": "string"}, "body": _NULL, "media_urls": _NULL},
    },
]
