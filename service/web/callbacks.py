"""Receive callbacks: verify the signature, store the callback, then answer 204."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import quote

from flask import Blueprint, Response, request

from service.components import Components, components
from service.domain.account import DEFAULT_ACCOUNT
from service.errors import Forged, InboxUnavailable, OverflowUnavailable
from service.observability import events
from service.observability.metrics import counting
from service.providers.base import Callback, CallbackRequest, Provider
from service.providers.callback_urls import NOT_CONFIGURED, account_in
from service.task_queue.queue import CONSUME_INBOX

MAX_BODY: Final = 64 * 1024

_log = logging.getLogger(__name__)
blueprint = Blueprint("callbacks", __name__)


class Answer(NamedTuple):
    """The answer to a callback, without a body: providers do not read it."""

    status: int
    headers: Mapping[str, str] = {}


_EMPTY: Final = {"Content-Length": "0"}
STORED: Final = Answer(204)
FORBIDDEN: Final = Answer(403, _EMPTY)
UNKNOWN: Final = Answer(404, _EMPTY)
TOO_LARGE: Final = Answer(413, _EMPTY)
# The callback is not stored: the provider retries.
UNAVAILABLE: Final = Answer(503, {"Retry-After": "5", **_EMPTY})


def receive(bound: Components, provider: str, attempt: str, callback: CallbackRequest) -> Answer:
    """Verify and store a callback. The Flask route and the fast path both call this."""
    verifier = bound.providers.get(provider)
    if verifier is None:
        return UNKNOWN
    if len(callback.body) > MAX_BODY:
        return TOO_LARGE
    try:
        verifier.verify(callback)
    except Forged as forged:
        events.forged(provider, attempt, forged.reason)
        counting.forged(provider, forged.reason)
        explanation = verifier.refusal_advice().get(forged.reason)
        account = _account(provider, callback.path, verifier)
        if forged.reason == NOT_CONFIGURED:  # accepted callbacks of others must not hide it
            account = f"{provider}/(unknown)"
        bound.callback_checks.refused(account, forged.reason, explanation)
        return FORBIDDEN
    bound.callback_checks.accepted(_account(provider, callback.path, verifier))
    # Attempt ids are printable ASCII; other texts belong to no attempt.
    attempt_id = attempt[:64] if attempt.isascii() and attempt.isprintable() else ""
    return store(bound, Callback(provider, attempt_id, callback.body, datetime.now(UTC)))


def _account(provider: str, path: str, verifier: Provider) -> str:
    """Return the provider of a callback, and the account in its path if that is not the default."""
    name = account_in(path, verifier.accounts)
    return provider if name in (None, DEFAULT_ACCOUNT) else f"{provider}/{name}"


def store(bound: Components, callback: Callback) -> Answer:
    """Store a verified callback in the inbox, or else in the overflow table, and wake a worker."""
    try:
        bound.inbox.put(callback)
    except InboxUnavailable as error:
        _log.error("inbox unavailable (%s); callback goes to the overflow table", error)
        return _store_in_overflow(bound, callback)
    bound.queue.request(CONSUME_INBOX)
    counting.received(callback.provider, "stored")
    return STORED


def _store_in_overflow(bound: Components, callback: Callback) -> Answer:
    try:
        bound.overflow.put(callback)
    except OverflowUnavailable as error:
        _log.error("overflow table unavailable too (%s); callback refused with 503", error)
        counting.received(callback.provider, "refused")
        return UNAVAILABLE
    counting.received(callback.provider, "overflow")
    return STORED


@blueprint.post("/callbacks/<provider>", defaults={"attempt": ""})
@blueprint.post("/callbacks/<provider>/<attempt>")
@blueprint.post("/callbacks/<provider>/<secret>/<attempt>")
def callback(provider: str, attempt: str, secret: str = "") -> Response:  # noqa: ARG001
    """Answer 204 once the callback is stored, 403 if the signature is wrong.

    The provider's `verify` reads the secret from the path.
    """
    request.max_content_length = MAX_BODY + 1  # one byte more, so that `receive` sees the excess
    callback = CallbackRequest(
        path=raw_path(request.path),
        query=request.query_string.decode("latin-1"),
        headers={name.lower(): value for name, value in request.headers},
        body=request.get_data(cache=False),
    )
    status, headers = receive(components(), provider, attempt, callback)
    response = Response(status=status, headers=dict(headers))
    del response.headers["Content-Type"]  # Flask adds one even to an empty body
    return response


def raw_path(path: str) -> str:
    """Return a decoded path as it was sent. Our callback URLs contain nothing to escape."""
    return quote(path, safe="/-._~!$&'()*+,;=:@")
