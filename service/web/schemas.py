"""What a client may ask: the request models, and how a bad request is explained."""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, Self, TypeVar
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic.types import JsonValue

from service.domain.status import Status
from service.errors import FieldError, Invalid
from service.web.fields import (
    ContentSid,
    LongText,
    Moment,
    QueueSeconds,
    Scalars,
    ServiceSid,
    ShortText,
    Text,
    Texts,
    Url,
)

_LATEST: Final = timedelta(days=35)
# A request with more errors than this has one: it is not meant for us.
_MOST: Final = 100
_Model = TypeVar("_Model", bound=BaseModel)


_NULL: Final[JsonDict] = {"type": "null"}
# The rule of `_one_content`, as JSON Schema says it.
_CONTENTS: Final[JsonValue] = [
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


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class NewMessage(_Strict):
    """One message to send."""

    model_config = ConfigDict(json_schema_extra={"anyOf": _CONTENTS})

    to: ShortText = Field(
        description="A phone number in E.164 form, or `whatsapp:…` or `rcs:…`.",
        json_schema_extra={"format": "address"},
    )
    body: LongText | None = Field(default=None, description="The text, up to 1600 characters.")
    media_urls: Annotated[list[Url], Field(min_length=1, max_length=10)] | None = Field(
        default=None, description="1 to 10 addresses of media."
    )
    content_sid: ContentSid | None = Field(
        default=None, description="A content template, instead of `body` and `media_urls`."
    )
    content_variables: Texts | None = Field(
        default=None, description="Texts for the template; 4096 characters as JSON."
    )
    provider: ShortText | None = Field(
        default=None, description="Who is to carry it. Default: as the settings say."
    )
    sender: ShortText | None = Field(
        default=None, alias="from", description="The sender. Default: that of the settings."
    )
    messaging_service_sid: ServiceSid | None = Field(
        default=None, description="The Messaging Service that picks the sender."
    )
    send_at: Moment | None = Field(
        default=None, description="When to send, up to 35 days ahead. Default: now."
    )
    validity_period: QueueSeconds | None = Field(
        default=None,
        description="Seconds from acceptance (or `send_at`) after which it is not sent any more.",
    )
    reference: ShortText | None = Field(
        default=None, description="Your own name for it. Can be listed by; need not be unique."
    )
    metadata: Scalars = Field(
        default_factory=dict,
        max_length=50,
        description="Your own data, 4096 characters as JSON. Kept and shown, never sent.",
    )
    priority: Literal["high", "normal"] = Field(
        default="normal", description="`high` goes out before everything that is not."
    )
    resend_if_unknown: StrictBool = Field(
        default=False,
        description="Rather two messages than none, where nobody can tell whether it went out.",
    )

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

    status: Status | None = Field(default=None, description="Those that stand there now.")
    provider: Text | None = Field(default=None, description="Those that it carries.")
    to: ShortText | None = Field(
        default=None,
        description="Those to this recipient.",
        json_schema_extra={"format": "address"},
    )
    reference: Text | None = Field(default=None, description="Those with this name of yours.")
    provider_sid: Text | None = Field(default=None, description="That with this provider's id.")
    created_after: Moment | None = Field(default=None, description="Those accepted after.")
    created_before: Moment | None = Field(default=None, description="Those accepted before.")
    cursor: UUID | None = Field(default=None, description="`next_cursor` of the page before.")
    limit: int = Field(default=50, ge=1, le=200, description="The most messages on a page.")


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
