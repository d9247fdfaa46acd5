"""What a client may ask: the request models, and how a bad request is explained."""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Self, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    field_validator,
    model_validator,
)

from service.domain.status import Status
from service.errors import FieldError, Invalid

_LATEST: Final = timedelta(days=35)
# A request with more errors than this has one: it is not meant for us.
_MOST: Final = 100
_Model = TypeVar("_Model", bound=BaseModel)


def _storable(value: str) -> str:
    """Refuse what is legal in JSON and cannot be stored as text."""
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("must not hold NUL or half of a surrogate pair")
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("is beyond the calendar in UTC") from None


Text = Annotated[str, AfterValidator(_storable)]
ShortText = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_storable)]
LongText = Annotated[str, Field(min_length=1, max_length=1600), AfterValidator(_storable)]
Url = Annotated[str, Field(max_length=2000, pattern=r"^https?://"), AfterValidator(_storable)]
ContentSid = Annotated[str, Field(pattern=r"^HX[0-9a-fA-F]{32}$")]
ServiceSid = Annotated[str, Field(pattern=r"^MG[0-9a-fA-F]{32}$")]
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Scalar = Text | int | float | bool | None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class NewMessage(_Strict):
    """One message to send."""

    to: ShortText
    body: LongText | None = None
    media_urls: Annotated[list[Url], Field(min_length=1, max_length=10)] | None = None
    content_sid: ContentSid | None = None
    content_variables: dict[Text, Text] | None = None
    provider: ShortText | None = None
    sender: ShortText | None = Field(default=None, alias="from")
    messaging_service_sid: ServiceSid | None = None
    send_at: Moment | None = None
    validity_period: StrictInt | None = Field(default=None, ge=1, le=36_000)
    reference: ShortText | None = None
    metadata: dict[Text, Scalar] = Field(default_factory=dict, max_length=50)
    resend_if_unknown: StrictBool = False

    @field_validator("send_at")
    @classmethod
    def _within_the_window(cls, value: datetime | None) -> datetime | None:
        ahead = value - datetime.now(UTC) if value else _LATEST
        if ahead <= timedelta(0):
            raise ValueError("must be in the future")
        if ahead > _LATEST:
            raise ValueError("must be at most 35 days ahead")
        return value

    @field_validator("metadata", "content_variables")
    @classmethod
    def _small(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if len(json.dumps(value)) > 4096:
            raise ValueError("must be at most 4096 characters as JSON")
        return value

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        if self.content_variables is not None and self.content_sid is None:
            raise ValueError("content_variables needs content_sid")
        if self.content_sid is not None and (self.body or self.media_urls):
            raise ValueError("give either content_sid, or body and media_urls")
        if not (self.body or self.media_urls or self.content_sid):
            raise ValueError("give one of body, media_urls or content_sid")
        return self


class NewBatch(_Strict):
    """Up to a thousand messages; each is checked by itself later."""

    messages: list[Any] = Field(min_length=1, max_length=1000)


class MessageQuery(_Strict):
    """Which messages to list."""

    status: Status | None = None
    provider: Text | None = None
    to: Text | None = None
    reference: Text | None = None
    provider_sid: Text | None = None
    created_after: Moment | None = None
    created_before: Moment | None = None
    cursor: UUID | None = None
    limit: int = Field(default=50, ge=1, le=200)


def check(model: type[_Model], given: Any) -> _Model:
    """Return `given` as a model. Raises Invalid, naming every field that is wrong, and why."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_input=False, include_context=False, include_url=False)
        problems = [_field_error(one["loc"], one["type"], one["msg"]) for one in found[:_MOST]]
        raise Invalid("the request has fields we cannot accept", problems) from None


def _field_error(location: tuple[int | str, ...], kind: str, message: str) -> FieldError:
    # Two steps: deeper ones are the branches of a union, which are no business of the client's.
    field = ".".join(str(step) for step in location[:2]) or "(request)"
    if kind == "extra_forbidden":
        return FieldError(field, "there is no such field")
    return FieldError(field, message.removeprefix("Value error, "))
