"""Description of each operation: what the code of a route does not say."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from service.web.openapi import examples
from service.web.openapi.components import IDEMPOTENCY_KEY, REPLAYED, json_body, query_parameters

TAGS: Final = {
    "messages": "Post, read, list and cancel messages. A client sees its own messages only.",
    "callbacks": "For providers, which sign every callback.",
    "health": "For load balancers and process managers.",
    "document": "This document.",
}
# Blueprints and endpoints that are not part of the API.
OUTSIDE: Final = frozenset({"ops", "metrics", "docs.page"})

_COMMON_ERRORS: Final = (401, 500, 503)
_BODY_ERRORS: Final = (400, 413, 422)


class Operation(NamedTuple):
    """An operation of the API."""

    tag: str
    summary: str
    description: str
    answers: Mapping[int, Mapping[str, Any]]
    errors: Sequence[int] = ()
    body: Mapping[str, Any] | None = None
    parameters: Sequence[Mapping[str, Any]] = ()
    needs_key: bool = True


def _answer(
    description: str, schema: str, *, headers: Any = None, **examples: Any
) -> dict[str, Any]:
    content = json_body(schema, **examples)
    return {"description": description, "headers": headers or {}, "content": content}


_LOCATION: Final = {
    "Location": {
        "description": "URL of the message.",
        "required": True,
        "schema": {"type": "string"},
    }
}
_LINKS: Final = {
    name: {"operationId": name, "parameters": {"message_id": "$response.body#/id"}}
    for name in ("get", "events", "post_cancel")
}
_FORM: Final = {
    "application/x-www-form-urlencoded": {
        "schema": {
            "type": "object",
            "properties": {
                name: {"type": "string"}
                for name in ("MessageSid", "MessageStatus", "AccountSid", "ErrorCode")
            },
            "additionalProperties": True,
        }
    }
}
_CALLBACK: Final = Operation(
    tag="callbacks",
    summary="Receive a status callback",
    description="Answered when the callback is stored; a worker records it later. A callback "
    "without a valid signature gets 403 and changes nothing. The body may have any fields.",
    answers={
        204: {"description": "The callback is stored."},
        403: {"description": "The signature is invalid."},
        404: {"description": "The provider is not configured."},
        413: {"description": "The body is over 64 KB."},
        503: {
            "description": "The callback could not be stored: the provider must retry.",
            "headers": {"Retry-After": {"required": True, "schema": {"type": "integer"}}},
        },
    },
    body=_FORM,
    needs_key=False,
)

OPERATIONS: Final[Mapping[str, Operation]] = {
    "messages.post": Operation(
        tag="messages",
        summary="Post a message",
        description="202 means that the message is stored and will be sent; the provider does not "
        "have it yet. An equal request with the same key gets the same answer again; a different "
        "request with the same key gets 409.",
        answers={
            202: {
                **_answer(
                    "The message is accepted.",
                    "Message",
                    headers={**_LOCATION, **REPLAYED},
                    accepted=examples.ACCEPTED,
                ),
                "links": _LINKS,
            }
        },
        errors=(*_COMMON_ERRORS, *_BODY_ERRORS, 409, 429),
        body=json_body("NewMessage", text=examples.NEW_MESSAGE, template=examples.NEW_TEMPLATE),
        parameters=[IDEMPOTENCY_KEY],
    ),
    "messages.post_batch": Operation(
        tag="messages",
        summary="Post up to 1000 messages",
        description="An invalid message does not affect the others. The results have the order of "
        "the messages. The key applies to each position: post the batch again with one message "
        "corrected, and only that message is sent.",
        answers={
            202: _answer(
                "A result for each message.",
                "BatchAnswer",
                headers=REPLAYED,
                mixed=examples.BATCH_ANSWER,
            )
        },
        errors=(*_COMMON_ERRORS, *_BODY_ERRORS, 429),
        body=json_body("NewBatch", mixed=examples.NEW_BATCH),
        parameters=[IDEMPOTENCY_KEY],
    ),
    "messages.list_messages": Operation(
        tag="messages",
        summary="List messages",
        description="Newest first, in pages. Pass `next_cursor` as `cursor` to get the next page, "
        "until it is null. A page can be short or empty without being the last. New messages do "
        "not move the pages.",
        answers={200: _answer("A page of messages.", "Page", page=examples.PAGE)},
        errors=(*_COMMON_ERRORS, 422),
        parameters=query_parameters(),
    ),
    "messages.get": Operation(
        tag="messages",
        summary="Read a message",
        description="Poll until `final` is true, every few seconds.",
        answers={
            200: _answer(
                "The message with its current status.",
                "Message",
                delivered=examples.DELIVERED,
                failed=examples.FAILED,
                expired=examples.EXPIRED,
            )
        },
        errors=(*_COMMON_ERRORS, 404),
    ),
    "messages.events": Operation(
        tag="messages",
        summary="Read the ledger of a message",
        description="The reports about a message. Callbacks can arrive in any order; the status of "
        "the message does not depend on it.",
        answers={200: _answer("The events of the ledger.", "Ledger", ledger=examples.LEDGER)},
        errors=(*_COMMON_ERRORS, 404),
    ),
    "messages.post_cancel": Operation(
        tag="messages",
        summary="Cancel a message",
        description="Possible while the message is `pending`, or `scheduled` at the provider. To "
        "cancel twice is not an error.",
        answers={200: _answer("The message is canceled.", "Message", canceled=examples.CANCELED)},
        errors=(*_COMMON_ERRORS, 404, 409),
    ),
    "callbacks.callback": _CALLBACK,
    "health.alive": Operation(
        tag="health",
        summary="Is the process alive?",
        description="Answers 200 while the process can serve requests.",
        answers={200: _answer("The process is alive.", "Alive", alive={"status": "alive"})},
        needs_key=False,
    ),
    "health.ready": Operation(
        tag="health",
        summary="Can callbacks be stored?",
        description="`degraded` if either the database or Redis is unavailable: callbacks are then "
        "stored in the other.",
        answers={
            200: _answer(
                "Callbacks can be stored.",
                "Ready",
                ready={"status": "ready", "parts": {"database": "ok", "redis": "ok"}},
            ),
            503: _answer("Callbacks cannot be stored, or the database is not migrated.", "Ready"),
        },
        needs_key=False,
    ),
    "docs.document": Operation(
        tag="document",
        summary="Read this document",
        description="It changes only with a release: use `If-None-Match` to read it again.",
        answers={
            200: {
                "description": "OpenAPI 3.1.",
                "headers": {"ETag": {"required": True, "schema": {"type": "string"}}},
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            304: {"description": "The document has not changed."},
        },
        parameters=[{"name": "If-None-Match", "in": "header", "schema": {"type": "string"}}],
        needs_key=False,
    ),
}
