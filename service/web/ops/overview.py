"""The overview page, rendered at most once in 2 seconds by each web process."""

import threading
import time
from collections import Counter
from typing import Any, Final

from flask import Flask, Response, current_app, render_template, request

from service.errors import Unavailable
from service.operations.activity import Minute
from service.operations.overview import DatabaseFigures, read_overview
from service.web.ops import charts
from service.web.ops.blueprint import blueprint
from service.web.ops.problems import find_problems, headline

_EXTENSION: Final = "waybill-overview"
_FRESH: Final = 2.0  # seconds
# For the first overview of a process, while another thread reads it.
_FIRST_WAIT: Final = 5.0
_MAX_CODES: Final = 12


class OverviewCache:
    """Keeps the rendered overview of this process.

    One thread renders it anew; meanwhile others get the previous one. More open tabs cause no more
    queries, and a slow store holds one thread. Each process renders its own: one reading takes a
    tenth of a second, and counts of minutes are shared in Redis.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._html = ""
        self._rendered_at = float("-inf")

    def html(self) -> str:
        """Return the overview. Raises Unavailable while the first one takes too long."""
        if self._is_fresh():
            return self._html
        if self._lock.acquire(timeout=0 if self._html else _FIRST_WAIT):
            try:
                if not self._is_fresh():
                    self._html = _render()
                    self._rendered_at = time.monotonic()
            finally:
                self._lock.release()
        if not self._html:
            raise Unavailable("the overview is not read yet; retry after 5 s")
        return self._html

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._rendered_at < _FRESH


def init_app(app: Flask) -> None:
    """Give the application its cache."""
    app.extensions[_EXTENSION] = OverviewCache()


@blueprint.get("/")
def overview() -> str:
    """Show the whole page."""
    return render_template("ops/overview.html", fragment=current_app.extensions[_EXTENSION].html())


@blueprint.get("/live")
def live() -> Response:
    """Return the part of the page that changes, or 304.

    The page polls: server-sent events would hold one of a few threads for each open tab.
    """
    return fragment_response(current_app.extensions[_EXTENSION].html())


def fragment_response(html: str) -> Response:
    """Return a fragment with its ETag, or 304 if the client has it."""
    response = Response(html, mimetype="text/html")
    response.add_etag()
    response.make_conditional(request)
    return response


def _render() -> str:
    overview = read_overview()
    problems = find_problems(overview)
    return render_template(
        "ops/_overview.html",
        overview=overview,
        problems=problems,
        headline=headline(problems),
        **(_charts(overview.database) if overview.database else {}),
    )


def _charts(figures: DatabaseFigures) -> dict[str, Any]:
    messages = charts.chart(figures.messages, "messages")
    return {
        "messages": messages,
        "callbacks": charts.chart(figures.callbacks, "callbacks"),
        "delivered_rate": _delivered_rate(messages.totals),
        "failures": _failures(figures.messages),
        "height": charts.HEIGHT,
        "width": charts.WIDTH,
    }


def _delivered_rate(totals: dict[str, int]) -> float | None:
    """Return the delivered share of the finished messages; None while none is finished."""
    finished = totals["delivered"] + totals["failed"]
    return totals["delivered"] / finished if finished else None


def _failures(messages: list[Minute]) -> list[tuple[tuple[str, str], int]]:
    """Return the most frequent providers and error codes of the last hour, with their numbers."""
    counts = Counter[tuple[str, str]]()
    for minute in messages:
        for row in minute.counts or ():
            if row.error_code is not None:
                counts[row.provider, row.error_code] += row.number
    return counts.most_common(_MAX_CODES)
