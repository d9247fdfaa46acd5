"""What each route does, takes and answers, in words that its code does not have."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from service.web.openapi import examples
from service.web.openapi.components import IDEMPOTENCY_KEY, REPLAYED, json_body, query_of_a_list

TAGS: Final = {
    "messages": "Post, read, list and cancel. A client sees its own messages only.",
    "callbacks": "For the provider, which signs each.",
    "health": "For whatever runs the processes.",
    "document": "This document.",
}
# Blueprints that are no API: pages for operators, numbers for Prometheus; and a page for people.
OUTSIDE: Final = frozenset({"ops", "metrics", "docs.page"})

_ALWAYS: Final = (401, 500, 503)
_POSTED: Final = (400, 413, 422)


class Operation(NamedTuple):
    """One route, as a client sees it."""

    tag: str
    summary: str
    description: str
    answers: Mapping[int, Mapping[str, Any]]
    refusals: Sequence[int] = ()
    body: Mapping[str, Any] | None = None
    parameters: Sequence[Mapping[str, Any]] = ()
    needs_key: bool = True


def _answer(says: str, shape: str, *, headers: Any = None, **shown: Any) -> dict[str, Any]:
    return {"description": says, "headers": headers or {}, "content": json_body(shape, **shown)}


_LOCATION: Final = {
    "Location": {
        "description": "Where to read the message.",
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
    summary="Take a status callback",
    description="Answered as soon as it is stored; a worker records it. What the provider did not "
    "sign is refused with 403 and changes nothing. Anything may be in the body.",
    answers={
        204: {"description": "It is stored where it survives this process."},
        403: {"description": "The signature does not hold."},
        404: {"description": "There is no such provider."},
        413: {"description": "The body is over 64 KB."},
        503: {
            "description": "It could be stored nowhere: the provider has to try again.",
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
        description="202 means: it is in the database and will be sent. It does not mean that the "
        "provider has it. The same key with the same request, in any spelling, gets the same "
        "answer again; with another request it gets 409.",
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
        refusals=(*_ALWAYS, *_POSTED, 409, 429),
        body=json_body("NewMessage", text=examples.NEW_MESSAGE, template=examples.NEW_TEMPLATE),
        parameters=[IDEMPOTENCY_KEY],
    ),
    "messages.post_batch": Operation(
        tag="messages",
        summary="Post up to a thousand messages",
        description="A bad message fails alone; the results come in the order of the messages. "
        "The key counts for each place: the same batch with one message mended sends that one.",
        answers={
            202: _answer(
                "Each message is accepted or refused by itself.",
                "BatchAnswer",
                headers=REPLAYED,
                mixed=examples.BATCH_ANSWER,
            )
        },
        refusals=(*_ALWAYS, *_POSTED, 429),
        body=json_body("NewBatch", mixed=examples.NEW_BATCH),
        parameters=[IDEMPOTENCY_KEY],
    ),
    "messages.list_messages": Operation(
        tag="messages",
        summary="List messages",
        description="Newest first, a page at a time. Give `next_cursor` as `cursor` for the next "
        "page, until it is null: a page may be short, or empty, and not be the last. Messages that "
        "are posted meanwhile move no page.",
        answers={200: _answer("A page.", "Page", page=examples.PAGE)},
        refusals=(*_ALWAYS, 422),
        parameters=query_of_a_list(),
    ),
    "messages.get": Operation(
        tag="messages",
        summary="Read a message",
        description="Read it until `final` is true. Every few seconds is enough.",
        answers={
            200: _answer(
                "The message as it stands.",
                "Message",
                delivered=examples.DELIVERED,
                failed=examples.FAILED,
                expired=examples.EXPIRED,
            )
        },
        refusals=(*_ALWAYS, 404),
    ),
    "messages.events": Operation(
        tag="messages",
        summary="Read the ledger of a message",
        description="Who said what. Callbacks may come in any order; the message shows what they "
        "add up to.",
        answers={200: _answer("Every statement, once.", "Ledger", ledger=examples.LEDGER)},
        refusals=(*_ALWAYS, 404),
    ),
    "messages.post_cancel": Operation(
        tag="messages",
        summary="Cancel a message",
        description="As long as it is `pending`, or `scheduled` at the provider. Canceling twice "
        "is no error.",
        answers={200: _answer("It is canceled.", "Message", canceled=examples.CANCELED)},
        refusals=(*_ALWAYS, 404, 409),
    ),
    "callbacks.callback": _CALLBACK,
    "health.alive": Operation(
        tag="health",
        summary="Is the process alive?",
        description="As long as it can answer.",
        answers={200: _answer("It is.", "Alive", alive={"status": "alive"})},
        needs_key=False,
    ),
    "health.ready": Operation(
        tag="health",
        summary="Can callbacks be stored?",
        description="`degraded` when either the database or Redis is away: callbacks are stored in "
        "the other.",
        answers={
            200: _answer(
                "They can.",
                "Ready",
                ready={"status": "ready", "parts": {"database": "ok", "redis": "ok"}},
            ),
            503: _answer("They cannot, or the tables are not those of this version.", "Ready"),
        },
        needs_key=False,
    ),
    "docs.document": Operation(
        tag="document",
        summary="Read this document",
        description="It changes with a release only: ask again with `If-None-Match`.",
        answers={
            200: {
                "description": "OpenAPI 3.1.",
                "headers": {"ETag": {"required": True, "schema": {"type": "string"}}},
                "content": {"application/json": {"schema": {"type": "object"}}},
            },
            304: {"description": "It is the one you have."},
        },
        parameters=[{"name": "If-None-Match", "in": "header", "schema": {"type": "string"}}],
        needs_key=False,
    ),
}
