"""Receive a callback: prove that the provider sent it, store it, and only then say so."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import quote

from flask import Blueprint, Response, request

from service.components import Components, components
from service.errors import Forged, InboxUnavailable, OverflowUnavailable
from service.observability import events
from service.observability.metrics import counting
from service.providers.base import Callback, CallbackRequest
from service.task_queue.queue import CONSUME_INBOX

MAX_BODY: Final = 64 * 1024

_log = logging.getLogger(__name__)
blueprint = Blueprint("callbacks", __name__)


class Answer(NamedTuple):
    """The whole answer to a callback: nobody reads a body."""

    status: int
    headers: Mapping[str, str] = {}


_EMPTY: Final = {"Content-Length": "0"}
STORED: Final = Answer(204)
FORBIDDEN: Final = Answer(403, _EMPTY)
UNKNOWN: Final = Answer(404, _EMPTY)
TOO_LARGE: Final = Answer(413, _EMPTY)
# Stored nowhere: the provider must try again.
UNAVAILABLE: Final = Answer(503, {"Retry-After": "5", **_EMPTY})


def receive(bound: Components, provider: str, attempt: str, callback: CallbackRequest) -> Answer:
    """Verify and store one callback. Both doors call this, and it decides everything."""
    known = bound.providers.get(provider)
    if known is None:
        return UNKNOWN
    if len(callback.body) > MAX_BODY:
        return TOO_LARGE
    try:
        known.verify(callback)
    except Forged as forged:
        events.forged(provider, attempt, forged.reason)
        counting.forged(provider, forged.reason)
        bound.callback_checks.refused(
            provider, forged.reason, known.refusal_advice().get(forged.reason)
        )
        return FORBIDDEN
    bound.callback_checks.accepted(provider)
    # An attempt's id is plain text; anything else is nobody's, and need not be kept.
    named = attempt[:64] if attempt.isascii() and attempt.isprintable() else ""
    return store(bound, Callback(provider, named, callback.body, datetime.now(UTC)))


def store(bound: Components, callback: Callback) -> Answer:
    """Store one accepted callback where it survives this process, and wake a worker."""
    try:
        bound.inbox.put(callback)
    except InboxUnavailable as error:
        _log.error("the inbox is away (%s): a callback goes to the overflow", error)
        return _store_aside(bound, callback)
    bound.queue.request(CONSUME_INBOX)
    counting.received(callback.provider, "stored")
    return STORED


def _store_aside(bound: Components, callback: Callback) -> Answer:
    try:
        bound.overflow.put(callback)
    except OverflowUnavailable as error:
        _log.error("the overflow is unavailable, too (%s): a callback is refused", error)
        counting.received(callback.provider, "refused")
        return UNAVAILABLE
    counting.received(callback.provider, "overflow")
    return STORED


@blueprint.post("/callbacks/<provider>", defaults={"attempt": ""})
@blueprint.post("/callbacks/<provider>/<attempt>")
@blueprint.post("/callbacks/<provider>/<secret>/<attempt>")
def callback(provider: str, attempt: str, secret: str = "") -> Response:  # noqa: ARG001
    """Answer 204 once the report is durable, 403 to whatever the provider did not sign.

    A secret in the path is the provider's to judge: it reads the path itself.
    """
    request.max_content_length = MAX_BODY + 1  # a longer one is cut there, and seen to be longer
    received = CallbackRequest(
        path=raw_path(request.path),
        query=request.query_string.decode("latin-1"),
        headers={name.lower(): value for name, value in request.headers},
        body=request.get_data(cache=False),
    )
    status, headers = receive(components(), provider, attempt, received)
    response = Response(status=status, headers=dict(headers))
    del response.headers["Content-Type"]  # Flask gives one even to no content
    return response


def raw_path(path: str) -> str:
    """Return a decoded path as it was on the wire; our callback paths hold nothing to escape."""
    return quote(path, safe="/-._~!$&'()*+,;=:@")
