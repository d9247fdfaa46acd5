"""Reports the results: Markdown tables and charts, and JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from bench.rounds import Round

RESULTS: Final = Path(__file__).with_name("results")
_MAX_BAR: Final = 40
_SPREAD: Final = 3  # rounds whose minimum and maximum are printed
_CHARTS: Final = (
    ("callbacks accepted per second, sustained", "sustained", "accepted"),
    ("callbacks recorded per second, sustained", "sustained", "recorded"),
    ("callbacks accepted per second, burst", "burst", "burst"),
)


class Row(NamedTuple):
    """One result. The target is a minimum, with `at_most` a maximum."""

    name: str
    value: float
    unit: str = "/s"
    target: float | None = None
    rounds: Sequence[float] = ()  # `value` is their median
    at_most: bool = False

    @property
    def verdict(self) -> str:
        """Return `pass` or `missed`; nothing without a target."""
        if self.target is None:
            return ""
        reached = self.value <= self.target if self.at_most else self.value >= self.target
        return "pass" if reached else "missed"

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """Return the cells of the table."""
        sign = "" if self.target is None else "≤ " if self.at_most else "≥ "
        target = sign + _formatted(self.target, self.unit)
        return self.name, target, _formatted(self.value, self.unit), self.verdict

    @property
    def text(self) -> str:
        """Return the row as one line of text."""
        name, target, value, verdict = self.cells
        line = f"{name}: {value}" + (f" (target {target}: {verdict})" if target else "")
        if len(self.rounds) < _SPREAD:
            return line
        return f"{line}, {min(self.rounds):.2f} to {max(self.rounds):.2f}"


class Result(NamedTuple):
    """All results of one run."""

    machine: Mapping[str, str]
    rows: Sequence[Row]
    rounds: Mapping[str, Sequence[Round]]
    notes: Sequence[str] = ()


def medians(rounds: Iterable[Round]) -> dict[str, dict[str, float]]:
    """Return the median of each figure by candidate."""
    by_name: dict[str, list[Round]] = {}
    for result in rounds:
        by_name.setdefault(result.candidate, []).append(result)
    return {
        name: {
            "accepted": median(result.load.rate for result in results),
            "recorded": median(result.recorded_rate for result in results),
            "burst": median(result.burst_rate for result in results),
            "p50_ms": median(result.load.p50_ms for result in results),
            "p99_ms": median(result.load.p99_ms for result in results),
            "wrk_cores": median(result.load.cores for result in results),
            "seconds": median(result.load.seconds for result in results),
            "recorded_in": median(result.recorded_in for result in results),
        }
        for name, results in by_name.items()
    }


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a table in Markdown."""
    lines = [("measurement", "target", "result", ""), ("---", "---:", "---:", "---")]
    lines += [row.cells for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def chart(figures: Mapping[str, float]) -> str:
    """Return a bar chart of figures by name."""
    longest, margin = max(figures.values(), default=1), max(map(len, figures), default=0)
    return "\n".join(
        f"{name:<{margin}}  {'█' * max(1, round(_MAX_BAR * figure / longest))} {figure:,.0f}"
        for name, figure in figures.items()
    )


def markdown(result: Result) -> str:
    """Return the whole result as Markdown."""
    charts = {
        title: {name: figures[key] for name, figures in medians(result.rounds[kind]).items()}
        for title, kind, key in _CHARTS
    }
    machine = [f"- {name}: {value}" for name, value in result.machine.items()]
    drawn = [f"{title}\n\n```text\n{chart(bars)}\n```" for title, bars in charts.items() if bars]
    notes = [f"- {note}" for note in result.notes]
    blocks = [
        "# Benchmark results",
        table(result.rows),
        *drawn,
        "\n".join(notes),
        "\n".join(machine),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def save(result: Result, directory: Path = RESULTS) -> None:
    """Write latest.md and latest.json."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "latest.md").write_text(markdown(result))
    (directory / "latest.json").write_text(json.dumps(_as_json(result), indent=1) + "\n")


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "machine": dict(result.machine),
        "rows": [{**row._asdict(), "verdict": row.verdict} for row in result.rows],
        "medians": {kind: medians(rounds) for kind, rounds in result.rounds.items()},
        "rounds": {
            kind: [{**item._asdict(), "load": item.load._asdict()} for item in rounds]
            for kind, rounds in result.rounds.items()
        },
        "notes": list(result.notes),
    }


def _formatted(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    digits = 0 if value >= 100 else 2
    return f"{value:,.{digits}f} {unit}".replace(" /s", "/s")
