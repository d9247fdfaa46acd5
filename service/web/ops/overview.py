"""The overview: one look, rendered once for all replicas and everybody who looks at it."""

import hashlib
import logging
import threading
import time
from typing import Any, Final, NamedTuple

from flask import Response, copy_current_request_context, render_template, request

from service.extensions import PASSING, parts
from service.flows.overseeing import Overview, oversee
from service.web.ops import charts
from service.web.ops.blueprint import blueprint
from service.web.ops.concerns import concerns, delivered_rate

_NAME: Final = "overview"
_LOCK: Final = "overview:lock"
# Seconds for which a look is as good as new, and for which it is better than waiting for a new one:
# the page asks every 3 seconds, and is answered with what was seen when it last did.
_NEW: Final = 2.0
_USABLE: Final = 8.0
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
    """Return the moving part: the shared one, renewed afterwards where it aged; else a new one."""
    shelf = parts().shelf
    [kept] = shelf.read([_NAME])
    if kept is None:
        return _look()
    if time.time() - kept["made"] >= _NEW and shelf.claim(_LOCK, _LEASE):
        renew = copy_current_request_context(_renew)
        threading.Thread(target=renew, name=RENEWING, daemon=True).start()
    return str(kept["html"])


def _renew() -> None:
    """Make a new look for whoever asks next; who asked is answered already."""
    try:
        _look()
    except PASSING as error:
        _log.warning("the overview was not renewed (%s)", type(error).__name__)
    finally:
        parts().shelf.release(_LOCK)


def _look() -> str:
    html = render_template("ops/_overview.html", **_content(oversee()))
    parts().shelf.put({_NAME: {"made": time.time(), "html": html}}, _USABLE)
    return html


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
