"""How times, numbers and errors are written on the pages."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from flask import Flask, g

from service.components import components
from service.domain.status import Status
from service.errors import ErrorFact
from service.queries.overview import MOST, Heap
from service.web.api.representations import explained
from service.web.ops.charts import FAMILIES

_MOST_RAW: Final = 20_000
_FAMILY: Final = {status: family for family, of in FAMILIES.items() for status in of}


def init_app(app: Flask) -> None:
    """Teach the templates these words."""
    for word in (clock, day_and_clock, duration, family, grouped, heap, raw, error_fact):
        app.add_template_filter(word)
    app.context_processor(lambda: {"operator": g.get("operator")})


def duration(seconds: float) -> str:
    """Write how long something took, in the unit that fits."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"


def clock(moment: datetime) -> str:
    """Write a time of day, in UTC, to the millisecond."""
    return f"{moment.astimezone(UTC):%H:%M:%S.%f}"[:-3]


def day_and_clock(moment: datetime) -> str:
    """Write a time in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def grouped(number: int) -> str:
    """Write a number so that its size can be seen."""
    return f"{number:,}"


def heap(of: Heap) -> str:
    """Write how many; beyond what is counted, that there are more."""
    return f"more than {MOST:,}" if of.number > MOST else f"{of.number:,}"


def family(status: Status | None) -> str:
    """Return the colour of a status."""
    return _FAMILY[status] if status else "other"


def raw(payload: Any) -> str:
    """Write a payload as it came, up to a size."""
    if isinstance(payload, bytes):
        return payload[:_MOST_RAW].decode(errors="replace")
    return json.dumps(payload, indent=2, ensure_ascii=False)[:_MOST_RAW]


def error_fact(code: str, provider: str) -> ErrorFact:
    """Return what an error code means, also one of a provider that we had once."""
    if provider not in components().providers:
        return ErrorFact("A code of a provider that is no longer in the settings.", False)
    return explained(provider, code)
