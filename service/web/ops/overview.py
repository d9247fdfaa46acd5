"""The overview: one look, rendered once for all replicas and everybody who looks at it."""

import hashlib
import logging
import threading
import time
from typing import Any, Final, NamedTuple

from flask import Response, copy_current_request_context, render_template, request
from sqlalchemy.exc import SQLAlchemyError

from service.components import components
from service.database.errors import is_retryable
from service.operations.overview import Overview, oversee
from service.web.ops import charts
from service.web.ops.blueprint import blueprint
from service.web.ops.problems import concerns, delivered_rate

_NAME: Final = "overview"
_LOCK: Final = "overview:lock"
# Seconds for which a look is as good as new, and for which it is better than waiting for a new one.
_NEW: Final = 2.0
_USABLE: Final = 8.0
# For so many seconds a new one is waited for where an old one is there.
_WORTH_WAITING: Final = 0.1
# Whoever makes a new one has this long before another may.
_LEASE: Final = 10.0
_MOST_CODES: Final = 12
RENEWING: Final = "overview"  # the thread that does

_log = logging.getLogger(__name__)


class Failure(NamedTuple):
    """How many messages of the last hour failed for one reason."""

    provider: str
    code: str
    number: int


@blueprint.get("/")
def overview() -> str:
    """Show the whole page."""
    return render_template("ops/overview.html", fragment=_fragment())


@blueprint.get("/live")
def live() -> Response:
    """Answer with the page's moving part, or 304 when it did not move.

    Asked for every few seconds rather than pushed: a stream would hold one of the few threads of
    a web process for as long as somebody looks.
    """
    return fragment_response(_fragment())


def fragment_response(html: str) -> Response:
    """Return a fragment under its ETag, without a body for who has it already."""
    response = Response(html, mimetype="text/html")
    response.set_etag(hashlib.sha256(html.encode()).hexdigest()[:32])
    response.make_conditional(request)
    return response


def _fragment() -> str:
    """Return the moving part: the shared one, renewed when it aged; else a hurried one.

    A hurried look is old at once, unless it was whole.
    """
    [kept] = components().cache.read([_NAME])
    seen = kept or _look(hurried=True)
    if time.time() - seen["made"] >= _NEW:
        seen = _renewed(_WORTH_WAITING if kept else 0.0) or seen
    return str(seen["html"])


def _renewed(patience: float) -> dict[str, Any] | None:
    """Have a new look made by one of all who ask; return it if it is there within `patience`."""
    shelf = components().cache
    if not shelf.claim(_LOCK, _LEASE):
        return None
    renew = copy_current_request_context(_renew)
    thread = threading.Thread(target=renew, name=RENEWING, daemon=True)
    thread.start()
    thread.join(patience)
    return None if thread.is_alive() else shelf.read([_NAME])[0]


def _renew() -> None:
    """Make a new look, in a thread of its own."""
    try:
        _look(hurried=False)
    except SQLAlchemyError as error:
        if not is_retryable(error):
            raise
        _log.warning("the overview was not renewed (%s)", type(error).__name__)
    finally:
        components().cache.release(_LOCK)


def _look(*, hurried: bool) -> dict[str, Any]:
    seen = oversee(hurried=hurried)
    html = render_template("ops/_overview.html", **_content(seen))
    kept = {"made": time.time() if seen.is_whole else 0.0, "html": html}
    components().cache.put({_NAME: kept}, _USABLE)
    return kept


def _content(seen: Overview) -> dict[str, Any]:
    messages = charts.chart(seen.messages, "messages")
    return {
        "seen": seen,
        "concerns": concerns(seen),
        "messages": messages,
        "callbacks": charts.chart(seen.callbacks, "callbacks"),
        "rate": delivered_rate(messages.totals),
        "failures": _failures(seen),
        "height": charts.HEIGHT,
        "width": charts.WIDTH,
    }


def _failures(seen: Overview) -> list[Failure]:
    tally: dict[tuple[str, str], int] = {}
    for minute in seen.messages:
        for one in minute.counts or ():
            if one.error_code is not None:
                key = (one.provider, one.error_code)
                tally[key] = tally.get(key, 0) + one.number
    found = [Failure(*key, number) for key, number in tally.items()]
    return sorted(found, key=lambda one: (-one.number, one.code))[:_MOST_CODES]
