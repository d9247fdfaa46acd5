import json
from pathlib import Path

from bench import comparison, report
from bench.load import Load
from bench.report import Result, Row
from bench.rounds import Round


def round_of(candidate: str, rate: int) -> Round:
    load = Load(rate, rate, rate, 0, 0, first=0.0, last=1.0, p50_ms=1.0, p99_ms=2.0, cores=0.1)
    return Round(candidate, load, recorded=rate, recorded_in=2.0, burst=1.0)


def test_table_shows_which_results_reach_their_targets() -> None:
    rows = [
        Row("fast", 1500, target=1000),
        Row("slow", 0.5, "x", 1.5),
        Row("quick", 200, "ms", 250, at_most=True),
        Row("late", 300, "ms", 250, at_most=True),
        Row("plain", 7),
    ]
    assert report.table(rows).splitlines() == [
        "| measurement | target    | result  |        |",
        "| ---         | ---:      | ---:    | ---    |",
        "| fast        | ≥ 1,000/s | 1,500/s | pass   |",
        "| slow        | ≥ 1.50 x  | 0.50 x  | missed |",
        "| quick       | ≤ 250 ms  | 200 ms  | pass   |",
        "| late        | ≤ 250 ms  | 300 ms  | missed |",
        "| plain       |           | 7.00/s  |        |",
    ]


def test_figure_is_the_median_of_its_rounds() -> None:
    rounds = [round_of("waybill", rate) for rate in (10, 90, 50)]
    assert report.medians(rounds)["waybill"]["accepted"] == 50


def test_waybill_is_compared_with_each_peer() -> None:
    rounds = [round_of("waybill", 300), round_of("guide", 100)]
    compared = [row for row in comparison.sustained_rows(rounds) if row.target]
    assert [(row.name, row.value, row.verdict) for row in compared] == [
        ("sustained: backlog at the end, in seconds of work", 1.0, "pass"),
        ("sustained: recorded, Waybill / guide", 3.0, "pass"),
    ]
    [burst] = [row for row in comparison.burst_rows(rounds) if row.target]
    assert (burst.value, burst.verdict) == (3.0, "pass")


def test_largest_figure_has_the_longest_bar() -> None:
    waybill, guide = report.chart({"waybill": 200, "guide": 50}).splitlines()
    assert waybill.count("█") == 4 * guide.count("█") == 40


def test_save_writes_markdown_and_json(tmp_path: Path) -> None:
    result = Result(
        {"cores": "2"},
        [Row("plain", 7)],
        {"sustained": [], "burst": [round_of("waybill", 9)]},
        ["a note"],
    )
    report.save(result, tmp_path)
    assert json.loads((tmp_path / "latest.json").read_text())["machine"] == {"cores": "2"}
    assert "- a note" in (tmp_path / "latest.md").read_text()
