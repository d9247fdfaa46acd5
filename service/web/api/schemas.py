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
    ValidationInfo,
    field_validator,
    model_validator,
)

from service.domain.status import Status
from service.errors import FieldError, Invalid
from service.web.api.fields import (
    CONTENTS,
    BodyText,
    ContentSid,
    Moment,
    QueueSeconds,
    Recipient,
    Scalars,
    SenderText,
    ServiceSid,
    ShortText,
    Text,
    Url,
    Variables,
)

_LATEST: Final = timedelta(days=35)
# A request with more errors than this has one: it is not meant for us.
_MOST: Final = 100
_Model = TypeVar("_Model", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class NewMessage(_Strict):
    """One message to send."""

    model_config = ConfigDict(json_schema_extra={"anyOf": CONTENTS})

    to: Recipient = Field(
        description="A phone number in E.164 form, or one after `whatsapp:` or `rcs:`."
    )
    # Before `body`, which is read by it.
    smart_encoding: StrictBool = Field(
        default=False,
        description="Replace typographic characters of `body`, such as curly quotes, by plain "
        "ones, so that the text takes fewer segments.",
    )
    body: BodyText | None = Field(
        default=None,
        description="The text, up to 1600 characters, where one beyond the Basic Multilingual "
        "Plane, such as an emoji, counts as two.",
    )
    media_urls: Annotated[list[Url], Field(min_length=1, max_length=10)] | None = Field(
        default=None, description="1 to 10 addresses of media."
    )
    content_sid: ContentSid | None = Field(
        default=None, description="A content template, instead of `body` and `media_urls`."
    )
    content_variables: Variables | None = Field(
        default=None,
        description="Texts for the template, up to 1600 characters each; 4096 as JSON.",
    )
    provider: ShortText | None = Field(
        default=None, description="Who is to carry it. Default: as the settings say."
    )
    sender: SenderText | None = Field(
        default=None,
        alias="from",
        description="The sender, on the channel of `to`: a phone number in E.164 form, a short "
        "code, or a name of up to 11 characters. Default: that of the settings.",
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
    def _within_the_window(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        if (info.context or {}).get("at_any_time"):
            return value
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

    def as_asked(self) -> dict[str, Any]:
        """Return what was asked for as JSON has it, without the fields at their default."""
        fields = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return {name: value for name, value in fields.items() if value not in (None, {})}


class NewBatch(_Strict):
    """Up to a thousand messages; each is checked by itself later."""

    messages: list[Any] = Field(min_length=1, max_length=1000)


class MessageQuery(_Strict):
    """Which messages to list."""

    status: Status | None = Field(default=None, description="Those that stand there now.")
    provider: Text | None = Field(default=None, description="Those that it carries.")
    to: Recipient | None = Field(
        default=None,
        description="Those to this recipient. A plain number: on every channel.",
    )
    reference: Text | None = Field(default=None, description="Those with this name of yours.")
    provider_sid: Text | None = Field(default=None, description="That with this provider's id.")
    created_after: Moment | None = Field(default=None, description="Those accepted then or later.")
    created_before: Moment | None = Field(default=None, description="Those accepted before.")
    cursor: UUID | None = Field(default=None, description="`next_cursor` of the page before.")
    limit: int = Field(default=50, ge=1, le=200, description="The most messages on a page.")


def check(
    model: type[_Model], given: Any, region: str | None = None, *, at_any_time: bool = False
) -> _Model:
    """Return `given` as a model. Raises Invalid, naming every field that is wrong, and why.

    `region` completes numbers in national form; `at_any_time` takes a `send_at` that has passed.
    """
    try:
        return model.model_validate(given, context={"region": region, "at_any_time": at_any_time})
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
