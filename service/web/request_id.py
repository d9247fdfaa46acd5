"""Give each request an id, the caller's `X-Request-ID` or a new one, for its logs and answer."""

import re
from typing import Final
from uuid import uuid4

from flask import Flask, Response, request
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

HEADER: Final = "X-Request-ID"
# Callbacks are logged by attempt id.
_OF_PROVIDERS: Final = ("/callbacks", "/inbound")
# Other ids could make log lines too long, or contain line breaks that forge a log line.
_ACCEPTABLE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


def init_app(app: Flask) -> None:
    """Give an id to every request that Flask dispatches. Providers get none in their answers."""
    app.before_request(_begin)
    app.after_request(_answer)
    app.teardown_request(_end)


def _begin() -> None:
    request_id = request.headers.get(HEADER, "")
    bind_contextvars(request_id=request_id if _ACCEPTABLE.fullmatch(request_id) else uuid4().hex)


def _answer(response: Response) -> Response:
    request_id = get_contextvars().get("request_id")
    if request_id and not request.path.startswith(_OF_PROVIDERS):
        response.headers[HEADER] = request_id
    return response


def _end(_error: BaseException | None) -> None:
    clear_contextvars()  # the thread then serves other requests, and callbacks without an id
