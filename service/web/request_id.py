"""A name for each request: the caller's `X-Request-ID` or one of ours, in every line and answer."""

import re
from typing import Final
from uuid import uuid4

from flask import Flask, Response, request
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

HEADER: Final = "X-Request-ID"
# Anything else could be longer than a line should be, or look like another line.
_ACCEPTABLE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


def init_app(app: Flask) -> None:
    """Name every request that Flask dispatches. A callback has a name already, its attempt's."""
    app.before_request(_begin)
    app.after_request(_answer)
    app.teardown_request(_end)


def _begin() -> None:
    given = request.headers.get(HEADER, "")
    bind_contextvars(request_id=given if _ACCEPTABLE.fullmatch(given) else uuid4().hex)


def _answer(response: Response) -> Response:
    request_id = get_contextvars().get("request_id")
    if request_id and not request.path.startswith("/callbacks"):
        response.headers[HEADER] = request_id
    return response


def _end(_error: BaseException | None) -> None:
    clear_contextvars()  # the thread goes on to other requests, and to callbacks without a name
