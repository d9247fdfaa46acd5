"""Template filters that format times, counts, statuses and errors; texts of forms."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from flask import Flask, g

from service.components import components
from service.domain.status import Status
from service.errors import ClientError, ErrorFact
from service.operations.webhooks import address
from service.queries.backlog import COUNT_LIMIT, Backlog
from service.web.ops.charts import FAMILY_OF

_MAX_PAYLOAD: Final = 20_000


def init_app(app: Flask) -> None:
    """Register the filters, and the operator's name for every template."""
    for filter_ in (address, clock, date_and_time, duration, family, grouped, capped, payload):
        app.add_template_filter(filter_)
    app.add_template_global(_error_fact, "error_fact")
    app.context_processor(lambda: {"operator": g.get("operator")})


def duration(seconds: float) -> str:
    """Format a duration in the unit that fits."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"


def clock(time: datetime) -> str:
    """Format a time of day in UTC, to the millisecond."""
    return f"{time.astimezone(UTC):%H:%M:%S.%f}"[:-3]


def date_and_time(time: datetime) -> str:
    """Format a time in UTC, to the second."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def grouped(number: int) -> str:
    """Format a number with thousands separators."""
    return f"{number:,}"


def capped(backlog: Backlog, limit: int = COUNT_LIMIT) -> str:
    """Format the count of a backlog; `+` where counting stopped."""
    return f"{backlog.size:,}" + ("+" if backlog.size >= limit else "")


def family(status: Status | None) -> str:
    """Return the colour family of a status."""
    return FAMILY_OF[status] if status else "other"


def payload(raw: Any) -> str:
    """Format a payload as received, cut to a maximum size."""
    if isinstance(raw, bytes):
        return raw[:_MAX_PAYLOAD].decode(errors="replace")
    return json.dumps(raw, indent=2, ensure_ascii=False)[:_MAX_PAYLOAD]


def entered(text: str, most: int = 255) -> str:
    """Return a text that an operator entered, of limited length. PostgreSQL stores no NUL."""
    return text.replace("\0", "").strip()[:most]


def explained(error: ClientError) -> str:
    """Format why an action failed, with the fields that are wrong, as a sentence."""
    wrong = "; ".join(f"{each.field} {each.message}" for each in error.errors)
    reason = f"{error.detail}: {wrong}" if wrong else error.detail
    return f"{reason[:1].upper()}{reason[1:]}."


def _error_fact(provider: str, code: str) -> ErrorFact:
    return components().explain(provider, code)
