"""Charts, as the numbers that their SVG is made of: a column for each minute, stacked by family."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from service.domain.status import Status
from service.operations.activity import Minute

WIDTH: Final = 600
HEIGHT: Final = 120
_GAP: Final = 2.0
# What is there at all can be seen, beside however much of something else.
_LEAST: Final = 2.0

# From the base upwards: what went wrong stands on the line, where it can be compared.
FAMILIES: Final = {
    "failed": (Status.FAILED, Status.UNDELIVERED, Status.EXPIRED),
    "doubt": (Status.IN_DOUBT,),
    "waiting": (Status.PENDING, Status.SUBMITTING),
    "moving": (Status.ACCEPTED, Status.SCHEDULED, Status.QUEUED, Status.SENDING, Status.SENT),
    "delivered": (Status.DELIVERED, Status.READ),
    "other": (Status.CANCELED,),
}
_FAMILY: Final = {status: family for family, of in FAMILIES.items() for status in of}


class Column(NamedTuple):
    """One minute: where it stands, and what it says when pointed at."""

    x: float
    width: float
    says: str
    counted: bool


class Chart(NamedTuple):
    """A chart: one path for each family, a column for each minute, and what to write beside it."""

    paths: dict[str, str]
    columns: list[Column]
    totals: dict[str, int]
    top: int
    total: int
    missing: int
    summary: str


def chart(minutes: Sequence[Minute], what: str) -> Chart:
    """Return the chart of an hour; `what` is counted, in the plural."""
    tallies = [_tally(minute) for minute in minutes]
    top = max((sum(one.values()) for one in tallies), default=0)
    totals = sum(tallies, Counter[str]())
    step = WIDTH / len(minutes)
    total, missing = totals.total(), sum(minute.counts is None for minute in minutes)
    spoken = ", ".join(f"{totals[family]} {family}" for family in FAMILIES if totals[family])
    return Chart(
        paths=_paths(tallies, top, step),
        columns=[
            Column(at * step, step, _says(minute, tally, what), minute.counts is not None)
            for at, (minute, tally) in enumerate(zip(minutes, tallies, strict=True))
        ],
        totals={family: totals[family] for family in FAMILIES},
        top=top,
        total=total,
        missing=missing,
        summary=f"{what.capitalize()} per minute over the last hour: {spoken or 'none'}.",
    )


def _tally(minute: Minute) -> Counter[str]:
    tally = Counter[str]()
    for one in minute.counts or ():
        family = _FAMILY[Status(one.status)] if one.status else "other"
        tally[family] += one.number
    return tally


def _paths(tallies: Sequence[Counter[str]], top: int, step: float) -> dict[str, str]:
    paths: dict[str, list[str]] = {family: [] for family in FAMILIES}
    for at, tally in enumerate(tallies):
        y = float(HEIGHT)
        for family in FAMILIES:
            if tally[family]:
                tall = max(_LEAST, tally[family] / top * (HEIGHT - 6 * _LEAST))
                y -= tall
                left, wide = at * step + _GAP / 2, step - _GAP
                paths[family].append(f"M{left:g} {y:.1f}h{wide:g}v{tall:.1f}h-{wide:g}z")
    return {family: "".join(parts) for family, parts in paths.items() if parts}


def _says(minute: Minute, tally: Counter[str], what: str) -> str:
    clock = f"{minute.start:%H:%M}"
    if minute.counts is None:
        return f"{clock}: not counted yet"
    parts = [f"{tally[family]} {family}" for family in FAMILIES if tally[family]]
    return f"{clock}: {', '.join(parts) if parts else 'no ' + what}"
