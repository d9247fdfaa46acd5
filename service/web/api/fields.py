"""Validated types for the fields of a request."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, ValidationInfo
from pydantic.config import JsonDict
from pydantic.types import JsonValue

from service import addresses
from service.sending.pools import PREFIX, is_pool, pool_name
from service.texts.blanks import is_blank
from service.texts.segments import length
from service.texts.smart_encoding import smart_encoded

# Characters of a text, or of a variable of a template, as providers count (docs/adr/0029).
_MAX_TEXT: Final = 1600
_MAX_DELAY: Final = timedelta(days=35)
_DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]")


def _storable(value: str) -> str:
    """Refuse text that is valid in JSON, but that no database can store."""
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("must not contain NUL or an unpaired surrogate")
    return value


def _not_blank(value: str) -> str:
    if is_blank(value):
        raise ValueError("must have at least one visible character; or leave out the field")
    return value


def _not_too_long(value: str) -> str:
    if (count := length(value)) > _MAX_TEXT:
        raise ValueError(
            f"must have at most {_MAX_TEXT} characters, but has {count} "
            "(an emoji counts as two or more)"
        )
    return value


def _smart_encoded(value: str, info: ValidationInfo) -> str:
    return smart_encoded(value) if info.data.get("smart_encoding") else value


def _recipient(value: str, info: ValidationInfo) -> str:
    return addresses.recipient(value, region_of(info))


def _sender(value: str, info: ValidationInfo) -> str:
    return addresses.sender(value, region_of(info))


def _sender_or_pool(value: str, info: ValidationInfo) -> str:
    if is_pool(value):
        return PREFIX + pool_name(value.strip()[len(PREFIX) :])
    return _sender(value, info)


def region_of(info: ValidationInfo) -> str | None:
    """Return the region for numbers in national form, if one is configured."""
    return (info.context or {}).get("region")


def within_35_days(value: datetime, advice: str = "") -> datetime:
    """Return a time within the next 35 days. Raises ValueError for others."""
    delay = value - datetime.now(UTC)
    if delay <= timedelta(0):
        raise ValueError(f"must be in the future{advice}")
    if delay > _MAX_DELAY:
        raise ValueError("must be at most 35 days in the future")
    return value


def _date_time_text(value: Any) -> Any:
    """Refuse seconds since 1970: pydantic accepts them as a time."""
    if isinstance(value, str) and _DATE_TIME.match(value):
        return value
    raise ValueError("must be a date and time with an offset, such as 2026-12-24T09:00:00Z")


def _endpoint_id(value: Any) -> Any:
    """Refuse what pydantic explains in words of Python."""
    try:
        return UUID(value)
    except (AttributeError, TypeError, ValueError):
        raise ValueError("must be the id of a webhook endpoint, which is a UUID") from None


def _whole_number(value: Any) -> Any:
    """Refuse texts and booleans, which pydantic accepts as integers. 5.0 is 5 in JSON."""
    if isinstance(value, bool | str):
        raise ValueError("must be a whole number")
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a date between the years 1 and 9999 in UTC") from None


# The part of `_storable` that JSON Schema can express.
_NO_NUL: Final[JsonDict] = {"pattern": r"^[^\x00]*$"}
_TEXT_KEYS: Final[JsonDict] = {"additionalProperties": False}
Text = Annotated[str, Field(json_schema_extra=_NO_NUL), AfterValidator(_storable)]
ShortText = Annotated[
    str,
    Field(min_length=1, max_length=255, json_schema_extra=_NO_NUL),
    AfterValidator(_storable),
]
BodyText = Annotated[
    str,
    Field(min_length=1, json_schema_extra={**_NO_NUL, "maxLength": _MAX_TEXT}),
    AfterValidator(_storable),
    AfterValidator(_smart_encoded),
    AfterValidator(_not_blank),
    AfterValidator(_not_too_long),
]
# These formats are not standard; tools that generate requests from the document can use them.
Recipient = Annotated[
    str,
    Field(min_length=1, max_length=255, json_schema_extra={**_NO_NUL, "format": "address"}),
    AfterValidator(_storable),
    AfterValidator(_recipient),
]
_Sender = Annotated[
    str,
    Field(min_length=1, max_length=255, json_schema_extra={**_NO_NUL, "format": "sender"}),
    AfterValidator(_storable),
]
SenderText = Annotated[_Sender, AfterValidator(_sender)]
SenderOrPool = Annotated[_Sender, AfterValidator(_sender_or_pool)]
AccountText = Annotated[
    str,
    Field(min_length=1, max_length=32, json_schema_extra={**_NO_NUL, "format": "account"}),
    AfterValidator(_storable),
]
Url = Annotated[
    str,
    # No spaces and no control characters. `\s` means different characters in each language.
    Field(max_length=2000, pattern=r"^https?://[^\x00-\x20\x7f-\xa0]+$"),
    AfterValidator(_storable),
]
ContentSid = Annotated[
    str, Field(pattern=r"^HX[0-9a-fA-F]{32}$"), AfterValidator(addresses.lower_id)
]
ServiceSid = Annotated[
    str, Field(pattern=r"^MG[0-9a-fA-F]{32}$"), AfterValidator(addresses.lower_id)
]
OverlapSeconds = Annotated[int, Field(ge=0, le=604_800), BeforeValidator(_whole_number)]
EndpointId = Annotated[UUID, BeforeValidator(_endpoint_id)]
ValiditySeconds = Annotated[int, Field(ge=1, le=36_000), BeforeValidator(_whole_number)]
Timestamp = Annotated[AwareDatetime, AfterValidator(_in_utc), BeforeValidator(_date_time_text)]
Variables = Annotated[
    dict[Text, Annotated[Text, AfterValidator(_not_too_long)]], Field(json_schema_extra=_TEXT_KEYS)
]
Scalars = Annotated[
    dict[Text, Text | int | float | bool | None], Field(json_schema_extra=_TEXT_KEYS)
]

_NULL: Final[JsonDict] = {"type": "null"}
# The JSON Schema of the rule that `NewMessage` validates.
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
