"""Request models of the API, and the errors of an invalid request."""

import json
from datetime import datetime
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
from service.errors import FieldError, Invalid, as_requirement
from service.web.api.fields import (
    CONTENTS,
    AccountText,
    BodyText,
    ContentSid,
    EndpointId,
    Recipient,
    Scalars,
    SenderOrPool,
    ServiceSid,
    ShortText,
    Text,
    Timestamp,
    Url,
    ValiditySeconds,
    Variables,
    within_35_days,
)

INVALID_FIELDS: Final = "the request has invalid fields; see errors"
_MAX_ERRORS: Final = 100
_PATTERN_ERRORS: Final = {
    "media_urls": "must start with https:// or http://, and have no spaces",
    "url": "must be a URL that starts with https:// and has no spaces",
    "content_sid": "must be HX and 32 hexadecimal digits",
    "messaging_service_sid": "must be MG and 32 hexadecimal digits",
}


_Model = TypeVar("_Model", bound=BaseModel)


class Strict(BaseModel):
    """A request whose unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class NewMessage(Strict):
    """A message to send."""

    model_config = ConfigDict(json_schema_extra={"anyOf": CONTENTS})

    to: Recipient = Field(
        description="A phone number in E.164 form, also with the prefix `whatsapp:` or `rcs:`."
    )
    # Declared before `body`: the validation of `body` reads it.
    smart_encoding: StrictBool = Field(
        default=False,
        description="Replace typographic characters in `body`, such as curly quotes, with plain "
        "ones, so that the text takes fewer segments.",
    )
    body: BodyText | None = Field(
        default=None,
        description="The text, up to 1600 characters. A character outside the Basic Multilingual "
        "Plane, such as an emoji, counts as two.",
    )
    media_urls: Annotated[list[Url], Field(min_length=1, max_length=10)] | None = Field(
        default=None, description="1 to 10 URLs of media."
    )
    content_sid: ContentSid | None = Field(
        default=None, description="A content template, instead of `body` and `media_urls`."
    )
    content_variables: Variables | None = Field(
        default=None,
        description="Texts for the template, up to 1600 characters each; 4096 as JSON.",
    )
    provider: ShortText | None = Field(
        default=None, description="The provider to use. Default: as configured on the server."
    )
    account: AccountText | None = Field(
        default=None,
        description="The account of the provider, by its name in the settings of the server. "
        "Default: the account of your client, else as configured on the server.",
    )
    sender: SenderOrPool | None = Field(
        default=None,
        alias="from",
        description="The sender, on the channel of `to`: a phone number in E.164 form, a short "
        "code, a name (up to 11 characters), or `pool:NAME`. Default: as configured on the server.",
    )
    messaging_service_sid: ServiceSid | None = Field(
        default=None, description="The Messaging Service that picks the sender."
    )
    send_at: Timestamp | None = Field(
        default=None, description="When to send, up to 35 days ahead. Default: now."
    )
    validity_period: ValiditySeconds | None = Field(
        default=None,
        description="Seconds after acceptance (or `send_at`) in which the message may be sent. "
        "After that it is `expired` and never sent. Default: as configured on the server.",
    )
    # Declared after `send_at` and `validity_period`: the validation reads them.
    expires_at: Timestamp | None = Field(
        default=None,
        description="Time after which the message is `expired` and never sent, up to 35 days "
        "ahead, in place of `validity_period`.",
    )
    reference: ShortText | None = Field(
        default=None,
        description="Your reference. You can list messages by it; it need not be unique.",
    )
    metadata: Scalars = Field(
        default_factory=dict,
        max_length=50,
        description="Your data, up to 4096 characters as JSON. Stored and returned, never sent.",
    )
    priority: Literal["high", "normal"] = Field(
        default="normal", description="Messages with `high` are sent before all others."
    )
    resend_if_unknown: StrictBool = Field(
        default=False,
        description="Send again if it stays unknown whether the message was sent. The recipient "
        "may then get it twice.",
    )
    webhook_endpoint: EndpointId | None = Field(
        default=None,
        description="The webhook endpoint that gets its events. Default: all of yours.",
    )

    @field_validator("send_at")
    @classmethod
    def _within_35_days(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        if (info.context or {}).get("allow_past"):
            return value
        return value and within_35_days(value, "; leave it out to send now")

    @field_validator("expires_at")
    @classmethod
    def _after_send_at(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        if value is None or (info.context or {}).get("allow_past"):
            return value
        if info.data.get("validity_period") is not None:
            raise ValueError("must be left out with validity_period; send one of them")
        within_35_days(value)
        if (send_at := info.data.get("send_at")) is not None and value <= send_at:
            raise ValueError("must be later than send_at")
        return value

    @field_validator("metadata", "content_variables")
    @classmethod
    def _at_most_4096(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if len(json.dumps(value)) > 4096:
            raise ValueError("must have at most 4096 characters as JSON")
        return value

    @model_validator(mode="after")
    def _one_content(self) -> Self:
        if self.content_variables is not None and self.content_sid is None:
            raise ValueError("content_variables must be given together with content_sid")
        if self.content_sid is not None and (self.body or self.media_urls):
            raise ValueError("must have either content_sid, or body and media_urls")
        if not (self.body or self.media_urls or self.content_sid):
            raise ValueError("must have body, media_urls or content_sid")
        return self

    def as_json(self) -> dict[str, Any]:
        """Return the request as JSON, without fields that have their default."""
        fields = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return {name: value for name, value in fields.items() if value not in (None, {})}


class NewBatch(Strict):
    """Up to 1000 messages; each is validated on its own later."""

    messages: list[Any] = Field(min_length=1, max_length=1000)


class MessageQuery(Strict):
    """Filters and page of a list of messages."""

    status: Status | None = Field(default=None, description="Messages with this status.")
    provider: Text | None = Field(default=None, description="Messages of this provider.")
    to: Recipient | None = Field(
        default=None,
        description="Messages to this recipient. A number without a channel matches every channel.",
    )
    reference: Text | None = Field(default=None, description="Messages with this reference.")
    provider_sid: Text | None = Field(default=None, description="The message with this SID.")
    created_after: Timestamp | None = Field(
        default=None, description="Messages accepted at this time or later."
    )
    created_before: Timestamp | None = Field(
        default=None, description="Messages accepted before this time."
    )
    cursor: UUID | None = Field(default=None, description="`next_cursor` of the previous page.")
    limit: int = Field(default=50, ge=1, le=200, description="Maximum number of messages.")


def check(
    model: type[_Model], request: Any, region: str | None = None, *, allow_past: bool = False
) -> _Model:
    """Validate a request. Raises Invalid with every wrong field.

    `region` completes numbers in national form; `allow_past` accepts a `send_at` in the past.
    """
    try:
        return model.model_validate(request, context={"region": region, "allow_past": allow_past})
    except ValidationError as invalid:
        details = invalid.errors(include_input=False, include_context=False, include_url=False)
        errors = [_field_error(d["loc"], d["type"], d["msg"]) for d in details[:_MAX_ERRORS]]
        raise Invalid(INVALID_FIELDS, errors) from None


def _field_error(location: tuple[int | str, ...], kind: str, message: str) -> FieldError:
    # Two steps: deeper steps are branches of a union in the model, not of the request.
    field = ".".join(str(step) for step in location[:2]) or "(request)"
    if kind == "extra_forbidden":
        return FieldError(field, "is not a known field; correct its name or leave it out")
    if kind == "string_pattern_mismatch":
        return FieldError(field, _PATTERN_ERRORS[str(location[0])])
    return FieldError(field, as_requirement(message))
