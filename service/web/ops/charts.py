"""The numbers behind the SVG charts: one column a minute, stacked by status family."""

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from service.domain.status import Status
from service.operations.activity import Minute

WIDTH: Final = 600
HEIGHT: Final = 120
_GAP: Final = 2.0
# A single failure stays visible beside a million deliveries.
_MIN_HEIGHT: Final = 2.0

# From the bottom upwards: failures stand on the base line, where they are easy to compare.
FAMILIES: Final = {
    "failed": (Status.FAILED, Status.UNDELIVERED, Status.EXPIRED),
    "doubt": (Status.IN_DOUBT,),
    "waiting": (Status.PENDING, Status.SUBMITTING),
    "moving": (Status.ACCEPTED, Status.SCHEDULED, Status.QUEUED, Status.SENDING, Status.SENT),
    "delivered": (Status.DELIVERED, Status.READ),
    "other": (Status.CANCELED,),
}
FAMILY_OF: Final = {status: family for family, statuses in FAMILIES.items() for status in statuses}


class Column(NamedTuple):
    """One minute: its position, and its tooltip."""

    x: float
    width: float
    tooltip: str
    counted: bool


class Chart(NamedTuple):
    """One SVG path for each family, one column for each minute, and the totals."""

    paths: dict[str, str]
    columns: list[Column]
    totals: dict[str, int]
    max_per_minute: int
    total: int
    uncounted: int  # minutes
    summary: str


def chart(minutes: Sequence[Minute], noun: str) -> Chart:
    """Return the chart of an hour; `noun` is what is counted, in the plural."""
    counts = [_by_family(minute) for minute in minutes]
    highest = max((minute.total() for minute in counts), default=0)
    totals = sum(counts, Counter[str]())
    width = WIDTH / len(minutes)
    return Chart(
        paths=_paths(counts, highest, width),
        columns=[
            Column(index * width, width, _tooltip(minute, count, noun), minute.counts is not None)
            for index, (minute, count) in enumerate(zip(minutes, counts, strict=True))
        ],
        totals={family: totals[family] for family in FAMILIES},
        max_per_minute=highest,
        total=totals.total(),
        uncounted=sum(minute.counts is None for minute in minutes),
        summary=f"{noun.capitalize()} per minute over the last hour: {_list(totals) or 'none'}.",
    )


def _by_family(minute: Minute) -> Counter[str]:
    counts = Counter[str]()
    for row in minute.counts or ():
        counts[FAMILY_OF[Status(row.status)] if row.status else "other"] += row.number
    return counts


def _paths(counts: Sequence[Counter[str]], highest: int, width: float) -> dict[str, str]:
    paths: dict[str, list[str]] = {family: [] for family in FAMILIES}
    for index, count in enumerate(counts):
        y = float(HEIGHT)
        for family in FAMILIES:
            if count[family]:
                height = max(_MIN_HEIGHT, count[family] / highest * (HEIGHT - 6 * _MIN_HEIGHT))
                y -= height
                x, bar = index * width + _GAP / 2, width - _GAP
                paths[family].append(f"M{x:g} {y:.1f}h{bar:g}v{height:.1f}h-{bar:g}z")
    return {family: "".join(parts) for family, parts in paths.items() if parts}


def _tooltip(minute: Minute, counts: Counter[str], noun: str) -> str:
    time = f"{minute.start:%H:%M}"
    if minute.counts is None:
        return f"{time}: not counted yet"
    return f"{time}: {_list(counts) or 'no ' + noun}"


def _list(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[family]} {family}" for family in FAMILIES if counts[family])
