import json
from pathlib import Path

from bench import comparing, report
from bench.load import Load
from bench.report import Result, Row
from bench.rounds import Round


def round_of(candidate: str, rate: int) -> Round:
    load = Load(rate, rate, rate, 0, 0, first=0.0, last=1.0, p50_ms=1.0, p99_ms=2.0, cores=0.1)
    return Round(candidate, load, recorded=rate, applied_in=2.0, burst=1.0)


def test_the_table_says_which_figure_passes_and_which_falls_short() -> None:
    rows = [
        Row("fast", 1500, target=1000),
        Row("slow", 0.5, "x", 1.5),
        Row("quick", 200, "ms", 250, at_most=True),
        Row("late", 300, "ms", 250, at_most=True),
        Row("told", 7),
    ]
    assert report.table(rows).splitlines() == [
        "| what  | target    | figure  |       |",
        "| ---   | ---:      | ---:    | ---   |",
        "| fast  | ≥ 1,000/s | 1,500/s | pass  |",
        "| slow  | ≥ 1.50 x  | 0.50 x  | short |",
        "| quick | ≤ 250 ms  | 200 ms  | pass  |",
        "| late  | ≤ 250 ms  | 300 ms  | short |",
        "| told  |           | 7.00/s  |       |",
    ]


def test_a_figure_is_the_median_of_its_rounds() -> None:
    rounds = [round_of("waybill", rate) for rate in (10, 90, 50)]
    assert report.medians(rounds)["waybill"]["accepted"] == 50


def test_waybill_is_held_against_each_peer() -> None:
    rounds = [round_of("waybill", 300), round_of("guide", 100)]
    ahead = [row for row in comparing.sustained_rows(rounds) if row.target]
    assert [(row.what, row.figure, row.verdict) for row in ahead] == [
        ("sustained: backlog at the end", 1.0, "pass"),
        ("sustained: applied, times guide", 3.0, "pass"),
    ]
    [burst] = [row for row in comparing.burst_rows(rounds) if row.target]
    assert (burst.figure, burst.verdict) == (3.0, "pass")


def test_the_longest_bar_is_the_greatest_figure() -> None:
    ours, theirs = report.chart({"waybill": 200, "guide": 50}).splitlines()
    assert ours.count("█") == 4 * theirs.count("█") == 40


def test_both_files_are_written(tmp_path: Path) -> None:
    result = Result(
        {"cores": "2"},
        [Row("told", 7)],
        {"sustained": [], "burst": [round_of("waybill", 9)]},
        ["a note"],
    )
    report.save(result, tmp_path)
    assert json.loads((tmp_path / "latest.json").read_text())["machine"] == {"cores": "2"}
    assert "- a note" in (tmp_path / "latest.md").read_text()
