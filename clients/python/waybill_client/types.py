"""Requests and answers of the API. Made by `generate_types.py`; do not edit."""

from typing import Any, Literal, NotRequired, TypedDict

Status = Literal[
    "pending",
    "submitting",
    "in_doubt",
    "accepted",
    "scheduled",
    "queued",
    "expired",
    "canceled",
    "sending",
    "sent",
    "failed",
    "undelivered",
    "delivered",
    "read",
]


class Waiting(TypedDict):
    """Why a pending message waits, although it is due."""

    reason: str
    since: str


class Error(TypedDict):
    """Why a message failed, or why its outcome is unknown."""

    code: str
    message: str | None
    explanation: str
    retryable: bool


class Price(TypedDict):
    """The provider's charge, as a negative amount."""

    amount: str
    currency: str | None


_Message = TypedDict("_Message", {"from": str | None})


class Message(_Message):
    """A message with its current status."""

    id: str
    test: bool
    redacted: bool
    provider: str
    account: str
    to: str
    messaging_service_sid: str | None
    body: str | None
    media_urls: list[str] | None
    content_sid: str | None
    content_variables: dict[str, str] | None
    send_at: str | None
    validity_period: int | None
    expires_at: str | None
    reference: str | None
    metadata: dict[str, Any]
    priority: Literal["high", "normal"]
    resend_if_unknown: bool
    smart_encoding: bool
    encoding: Literal["gsm-7", "ucs-2", None]
    webhook_endpoint: str | None
    created_at: str
    version: int
    status: Status
    final: bool
    provider_sid: str | None
    waiting: Waiting | None
    error: Error | None
    conflict: bool
    segments: int | None
    price: Price | None
    submitted_at: str | None
    final_at: str | None
    updated_at: str


class AcceptedItem(TypedDict):
    """An accepted message of a batch."""

    status: Literal[202]
    message: Message


class FieldProblem(TypedDict):
    """An error in one field."""

    field: str
    message: str


class Problem(TypedDict):
    """An error in the format of RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: NotRequired[list[FieldProblem]]


class RefusedItem(TypedDict):
    """A refused message of a batch."""

    status: int
    problem: Problem


class BatchAnswer(TypedDict):
    """A result for each message, in the order of the request."""

    results: list[AcceptedItem | RefusedItem]


DeliveryStatus = Literal["pending", "delivered", "failed"]


Source = Literal["api", "callback", "reconciliation", "client"]


class Event(TypedDict):
    """A report about a message."""

    status: Status | None
    provider_status: str
    source: Source
    provider: str
    provider_sid: str | None
    attempt_id: str | None
    error_code: str | None
    error_message: str | None
    received_at: str
    provider_time: str | None
    repeats: int
    raw: dict[str, Any]


class FeedItem(TypedDict):
    """An event of the feed: the message as it is now."""

    id: str
    type: Literal["message.updated"]
    timestamp: str
    data: Message


Keyword = Literal["stop", "start", "help"]


_InboundMessage = TypedDict("_InboundMessage", {"from": str})


class InboundMessage(_InboundMessage):
    """A message from a person to one of your senders."""

    to: str
    id: str
    test: bool
    redacted: bool
    provider: str
    account: str
    provider_sid: str
    messaging_service_sid: str | None
    body: str | None
    media: list[dict[str, str | None]]
    keyword: Keyword | None
    in_reply_to: str | None
    received_at: str
    provider_time: str | None
    raw: dict[str, Any]


class ReceivedFeedItem(TypedDict):
    """An event of the feed: a message from a person, as it is now."""

    id: str
    type: Literal["message.received"]
    timestamp: str
    data: InboundMessage


class FeedPage(TypedDict):
    """Events of the feed, the oldest first."""

    events: list[FeedItem | ReceivedFeedItem]
    next_cursor: str
    has_more: bool


class InboundPage(TypedDict):
    """A page of inbound messages, newest first."""

    messages: list[InboundMessage]
    next_cursor: str | None


class Ledger(TypedDict):
    """The reports about a message, in the order in which they were recorded."""

    events: list[Event]


_WebhookInboundMessage = TypedDict("_WebhookInboundMessage", {"from": str})


class WebhookInboundMessage(_WebhookInboundMessage):
    """A message from a person to one of your senders."""

    to: str
    id: str
    test: bool
    redacted: bool
    provider: str
    account: str
    provider_sid: str
    messaging_service_sid: str | None
    body: NotRequired[str | None]
    media: NotRequired[list[dict[str, str | None]]]
    keyword: Keyword | None
    in_reply_to: str | None
    received_at: str
    provider_time: str | None
    raw: NotRequired[dict[str, Any]]


class MessageReceived(TypedDict):
    """The body of a webhook."""

    type: Literal["message.received"]
    timestamp: str
    data: WebhookInboundMessage


_WebhookMessage = TypedDict("_WebhookMessage", {"from": str | None})


class WebhookMessage(_WebhookMessage):
    """A message with its current status."""

    id: str
    test: bool
    redacted: bool
    provider: str
    account: str
    to: str
    messaging_service_sid: str | None
    body: NotRequired[str | None]
    media_urls: NotRequired[list[str] | None]
    content_sid: str | None
    content_variables: NotRequired[dict[str, str] | None]
    send_at: str | None
    validity_period: int | None
    expires_at: str | None
    reference: str | None
    metadata: dict[str, Any]
    priority: Literal["high", "normal"]
    resend_if_unknown: bool
    smart_encoding: bool
    encoding: Literal["gsm-7", "ucs-2", None]
    webhook_endpoint: str | None
    created_at: str
    version: int
    status: Status
    final: bool
    provider_sid: str | None
    waiting: Waiting | None
    error: Error | None
    conflict: bool
    segments: int | None
    price: Price | None
    submitted_at: str | None
    final_at: str | None
    updated_at: str


class MessageUpdated(TypedDict):
    """The body of a webhook."""

    type: Literal["message.updated"]
    timestamp: str
    data: WebhookMessage


_NewMessage = TypedDict("_NewMessage", {"from": NotRequired[str | None]})


class NewMessage(_NewMessage):
    """A message to send."""

    to: str
    smart_encoding: NotRequired[bool]
    body: NotRequired[str | None]
    media_urls: NotRequired[list[str] | None]
    content_sid: NotRequired[str | None]
    content_variables: NotRequired[dict[str, str] | None]
    provider: NotRequired[str | None]
    account: NotRequired[str | None]
    messaging_service_sid: NotRequired[str | None]
    send_at: NotRequired[str | None]
    validity_period: NotRequired[int | None]
    expires_at: NotRequired[str | None]
    reference: NotRequired[str | None]
    metadata: NotRequired[dict[str, str | int | float | bool | None]]
    priority: NotRequired[Literal["high", "normal"]]
    resend_if_unknown: NotRequired[bool]
    webhook_endpoint: NotRequired[str | None]


class NewBatch(TypedDict):
    """Up to 1000 messages; each is validated on its own later."""

    messages: list[NewMessage | Any]


class NewWebhookEndpoint(TypedDict):
    """A webhook endpoint to create."""

    url: str
    description: NotRequired[str | None]
    types: NotRequired[list[Literal["message.updated", "message.received"]]]
    statuses: NotRequired[list[Status]]
    include_body: NotRequired[bool]


class OptOut(TypedDict):
    """A person who opted out of messages from a sender."""

    number: str
    sender: str
    provider: str
    since: str
    reason: Literal["keyword", "provider", "client", "operator", "import"]
    changed_by: str
    error_code: str | None


class OptOutChange(TypedDict):
    """From which sender a person opts out."""

    sender: NotRequired[str | None]


class OptOutPage(TypedDict):
    """A page of opt-outs, by number and sender."""

    opt_outs: list[OptOut]
    next_cursor: str | None


class OptOuts(TypedDict):
    """The opt-outs of a person."""

    opt_outs: list[OptOut]


class Page(TypedDict):
    """A page of messages, newest first."""

    messages: list[Message]
    next_cursor: str | None


class Recover(TypedDict):
    """From when on to deliver again what an endpoint did not receive."""

    since: str
    cursor: NotRequired[str | None]


class Recovered(TypedDict):
    """How many deliveries were made due."""

    recovered: int
    next_cursor: str | None


class Resend(TypedDict):
    """How to send a message again."""

    confirm_duplicate: NotRequired[bool]


class SecretRotation(TypedDict):
    """How long the earlier secrets of an endpoint sign beside a new one."""

    overlap_seconds: NotRequired[int]


class WebhookDelivery(TypedDict):
    """The delivery of an event to an endpoint."""

    id: str
    event_id: str
    message_id: str | None
    status: DeliveryStatus
    attempts: int
    answer_status: int | None
    error: str | None
    created_at: str
    attempted_at: str | None
    delivered_at: str | None
    next_attempt_at: str | None


class WebhookDeliveries(TypedDict):
    """A page of deliveries, newest first."""

    deliveries: list[WebhookDelivery]
    next_cursor: str | None


class WebhookEndpoint(TypedDict):
    """A URL to which events are posted, and its health."""

    id: str
    url: str
    description: str | None
    types: list[str]
    statuses: list[Status]
    include_body: bool
    enabled: bool
    disabled_at: str | None
    disabled_reason: str | None
    failing_since: str | None
    last_success_at: str | None
    next_attempt_at: str | None
    created_at: str
    updated_at: str


class WebhookEndpointChanges(TypedDict):
    """Fields to change."""

    url: NotRequired[str]
    description: NotRequired[str | None]
    types: NotRequired[list[Literal["message.updated", "message.received"]]]
    statuses: NotRequired[list[Status]]
    include_body: NotRequired[bool]


class WebhookEndpointWithSecret(TypedDict):
    """A webhook endpoint with a new secret."""

    id: str
    url: str
    description: str | None
    types: list[str]
    statuses: list[Status]
    include_body: bool
    enabled: bool
    disabled_at: str | None
    disabled_reason: str | None
    failing_since: str | None
    last_success_at: str | None
    next_attempt_at: str | None
    created_at: str
    updated_at: str
    secret: str


class WebhookEndpoints(TypedDict):
    """All webhook endpoints of a client, the oldest first."""

    webhook_endpoints: list[WebhookEndpoint]


class MessageFilters(TypedDict):
    """Filters of a list."""

    status: NotRequired[Status]
    provider: NotRequired[str]
    to: NotRequired[str]
    reference: NotRequired[str]
    provider_sid: NotRequired[str]
    created_after: NotRequired[str]
    created_before: NotRequired[str]
    limit: NotRequired[int]


_InboundFilters = TypedDict("_InboundFilters", {"from": NotRequired[str]})


class InboundFilters(_InboundFilters):
    """Filters of a list."""

    to: NotRequired[str]
    keyword: NotRequired[Keyword]
    in_reply_to: NotRequired[str]
    received_after: NotRequired[str]
    received_before: NotRequired[str]
    limit: NotRequired[int]


class OptOutFilters(TypedDict):
    """Filters of a list."""

    number: NotRequired[str]
    sender: NotRequired[str]
    limit: NotRequired[int]


class DeliveryFilters(TypedDict):
    """Filters of a list."""

    status: NotRequired[DeliveryStatus]
    message_id: NotRequired[str]
    limit: NotRequired[int]
