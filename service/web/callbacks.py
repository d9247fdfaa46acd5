"""Receive callbacks and inbound messages: verify the signature, store, then answer."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import quote

from flask import Blueprint, Response, request

from service.components import Components, components
from service.domain.account import DEFAULT_ACCOUNT
from service.errors import Forged, InboxUnavailable, NotReplicated, OverflowUnavailable
from service.observability import events
from service.observability.metrics import counting
from service.providers.base import Callback, CallbackRequest, Inbound, Provider
from service.providers.callback_urls import NOT_CONFIGURED, account_in
from service.task_queue.queue import CONSUME_INBOX

MAX_BODY: Final = 64 * 1024

_log = logging.getLogger(__name__)
blueprint = Blueprint("callbacks", __name__)


class Answer(NamedTuple):
    """The answer to a callback. Only that to an inbound message has a body."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""


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
    verified = Callback(provider, attempt_id, callback.body, datetime.now(UTC))
    stored = store(bound, verified)
    # Inbound messages come to the address in the provider's console, which names no attempt.
    return stored if attempt or stored is not STORED else _stored(verifier, verified)


def _stored(provider: Provider, verified: Callback) -> Answer:
    """Return the answer to what is stored: 204, or to an inbound message the provider's own."""
    if not isinstance(provider.parse(verified), Inbound):
        return STORED
    status, content_type, body = provider.inbound_answer()
    headers = {"Content-Type": content_type} if content_type else {}
    return Answer(status, {**headers, "Content-Length": str(len(body))}, body)


def _account(provider: str, path: str, verifier: Provider) -> str:
    """Return the provider, the account in the path if not the default, and `(inbound)`.

    Inbound messages have another address, in the provider's console: either may be wrong alone.
    """
    name = account_in(path, verifier.accounts)
    parts = provider, None if name == DEFAULT_ACCOUNT else name
    return "/".join(filter(None, (*parts, "(inbound)" if path.startswith("/inbound/") else None)))


def store(bound: Components, callback: Callback) -> Answer:
    """Store a verified callback in the inbox, or else in the overflow table, and wake a worker."""
    try:
        bound.inbox.put(callback)
    except NotReplicated as error:
        _log.warning("inbox not replicated (%s); callback goes to the overflow table, too", error)
        bound.queue.request(CONSUME_INBOX)
        return _store_in_overflow(bound, callback, "doubled")
    except InboxUnavailable as error:
        _log.error("inbox unavailable (%s); callback goes to the overflow table", error)
        return _store_in_overflow(bound, callback, "overflow")
    bound.queue.request(CONSUME_INBOX)
    counting.received(callback.provider, "stored")
    return STORED


def _store_in_overflow(bound: Components, callback: Callback, outcome: str) -> Answer:
    try:
        bound.overflow.put(callback)
    except OverflowUnavailable as error:
        _log.error("overflow table unavailable too (%s); callback refused with 503", error)
        counting.received(callback.provider, "refused")
        return UNAVAILABLE
    counting.received(callback.provider, outcome)
    return STORED


@blueprint.post("/callbacks/<provider>", defaults={"attempt": ""})
@blueprint.post("/callbacks/<provider>/<attempt>")
@blueprint.post("/callbacks/<provider>/<secret>/<attempt>")
def callback(provider: str, attempt: str, secret: str = "") -> Response:  # noqa: ARG001
    """Answer 204 once the callback is stored, 403 if the signature is wrong.

    The provider's `verify` reads the secret from the path.
    """
    return _received(provider, attempt)


@blueprint.post("/inbound/<provider>")
@blueprint.post("/inbound/<provider>/<account>")
def inbound(provider: str, account: str = "") -> Response:  # noqa: ARG001
    """Answer as the provider expects once the message is stored, 403 if the signature is wrong."""
    return _received(provider, "")


def _received(provider: str, attempt: str) -> Response:
    request.max_content_length = MAX_BODY + 1  # one byte more, so that `receive` sees the excess
    callback = CallbackRequest(
        path=raw_path(request.path),
        query=request.query_string.decode("latin-1"),
        headers={name.lower(): value for name, value in request.headers},
        body=request.get_data(cache=False),
    )
    status, headers, body = receive(components(), provider, attempt, callback)
    response = Response(body, status)
    del response.headers["Content-Type"]  # Flask adds one even to an empty body
    response.headers.update(headers)
    return response


def raw_path(path: str) -> str:
    """Return a decoded path as it was sent. Our callback URLs contain nothing to escape."""
    return quote(path, safe="/-._~!$&'()*+,;=:@")
