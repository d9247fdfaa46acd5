"""The results as a table, a chart and a file for machines."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from bench.rounds import Round

RESULTS: Final = Path(__file__).with_name("results")
_WIDEST: Final = 40
_CHARTS: Final = (
    ("callbacks accepted a second, sustained", "sustained", "accepted"),
    ("callbacks applied a second, sustained", "sustained", "applied"),
    ("callbacks accepted a second, in a burst", "burst", "burst"),
)


class Row(NamedTuple):
    """One line of the table. Without a target it is neither passed nor short.

    The target is the least that will do, or the most where `at_most`.
    """

    what: str
    figure: float
    unit: str = "/s"
    target: float | None = None
    rounds: Sequence[float] = ()  # what `figure` is the median of
    at_most: bool = False

    @property
    def verdict(self) -> str:
        """Return what the figure means."""
        if self.target is None:
            return ""
        enough = self.figure <= self.target if self.at_most else self.figure >= self.target
        return "pass" if enough else "short"

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """Return the row as the table shows it."""
        sign = "" if self.target is None else "≤ " if self.at_most else "≥ "
        target = sign + _shown(self.target, self.unit)
        return self.what, target, _shown(self.figure, self.unit), self.verdict

    @property
    def said(self) -> str:
        """Return the row as a sentence."""
        what, target, figure, verdict = self.cells
        return f"{what}: {figure}" + (f" ({target}: {verdict})" if target else "")


class Result(NamedTuple):
    """Everything one run found."""

    machine: Mapping[str, str]
    rows: Sequence[Row]
    rounds: Mapping[str, Sequence[Round]]
    notes: Sequence[str] = ()


def medians(rounds: Iterable[Round]) -> dict[str, dict[str, float]]:
    """Return the median of each figure by candidate."""
    by_name: dict[str, list[Round]] = {}
    for one in rounds:
        by_name.setdefault(one.candidate, []).append(one)
    return {
        name: {
            "accepted": median(one.load.rate for one in own),
            "applied": median(one.applied_rate for one in own),
            "burst": median(one.burst_rate for one in own),
            "p50_ms": median(one.load.p50_ms for one in own),
            "p99_ms": median(one.load.p99_ms for one in own),
            "wrk_cores": median(one.load.cores for one in own),
            "seconds": median(one.load.seconds for one in own),
            "applied_in": median(one.applied_in for one in own),
        }
        for name, own in by_name.items()
    }


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a table in Markdown."""
    lines = [("what", "target", "figure", ""), ("---", "---:", "---:", "---")]
    lines += [row.cells for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def chart(figures: Mapping[str, float]) -> str:
    """Return bars, the longest as wide as the page allows."""
    longest, margin = max(figures.values(), default=1), max(map(len, figures), default=0)
    return "\n".join(
        f"{name:<{margin}}  {'█' * max(1, round(_WIDEST * figure / longest))} {figure:,.0f}"
        for name, figure in figures.items()
    )


def markdown(result: Result) -> str:
    """Return the whole result for a reader."""
    charts = {
        title: {name: one[done] for name, one in medians(result.rounds[kind]).items()}
        for title, kind, done in _CHARTS
    }
    machine = [f"- {name}: {said}" for name, said in result.machine.items()]
    drawn = [f"{title}\n\n```text\n{chart(bars)}\n```" for title, bars in charts.items() if bars]
    notes = [f"- {note}" for note in result.notes]
    blocks = ["# Measured", table(result.rows), *drawn, "\n".join(notes), "\n".join(machine)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def save(result: Result, directory: Path = RESULTS) -> None:
    """Write both files."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "latest.md").write_text(markdown(result))
    (directory / "latest.json").write_text(json.dumps(_plain(result), indent=1) + "\n")


def _plain(result: Result) -> dict[str, Any]:
    return {
        "machine": dict(result.machine),
        "rows": [{**row._asdict(), "verdict": row.verdict} for row in result.rows],
        "medians": {kind: medians(rounds) for kind, rounds in result.rounds.items()},
        "rounds": {
            kind: [{**one._asdict(), "load": one.load._asdict()} for one in rounds]
            for kind, rounds in result.rounds.items()
        },
        "notes": list(result.notes),
    }


def _shown(figure: float | None, unit: str) -> str:
    if figure is None:
        return ""
    digits = 0 if figure >= 100 else 2
    return f"{figure:,.{digits}f} {unit}".replace(" /s", "/s")
