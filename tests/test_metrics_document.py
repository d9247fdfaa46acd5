"""docs/metrics.md lists what the code counts: every metric, its labels, its kind, no other."""

import re
from pathlib import Path

from prometheus_client import Histogram
from prometheus_client.metrics import MetricWrapperBase

from service.observability.metrics import instruments
from service.operations.metric_readings import GAUGES
from service.queries.backlog import COUNT_LIMIT
from service.recording.statistics import Brought
from tests.test_documentation import table

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "metrics.md").read_text()
# What Prometheus recommends: a base unit last, `total` for what only grows.
# https://prometheus.io/docs/practices/naming/
UNITS = ("_seconds", "_total")
COUNTS = ("_up", "_alive", "_entries", "_tasks", "_in_doubt", "_overdue", "_waiting", "_due")

INSTRUMENTS = [one for one in vars(instruments).values() if isinstance(one, MetricWrapperBase)]


def name(instrument: MetricWrapperBase) -> str:
    [family] = instrument.describe()
    return family.name + ("_total" if family.type == "counter" else "")


def listed(heading: str) -> dict[str, tuple[tuple[str, ...], str]]:
    """Labels and meaning by name, as the document lists them."""
    return {
        metric.strip("`"): (tuple(re.findall(r"`(\w+)`", labels)), meaning)
        for metric, labels, _, meaning in table(DOCUMENT, heading)
    }


def test_every_counter_and_histogram_is_listed_and_no_other() -> None:
    made = {name(one): tuple(one._labelnames) for one in INSTRUMENTS}
    assert {metric: labels for metric, (labels, _) in listed("What is counted").items()} == made


def test_a_histogram_is_called_one() -> None:
    rows = listed("What is counted").items()
    said = {metric for metric, (_, says) in rows if "Histogram" in says}
    assert said == {name(one) for one in INSTRUMENTS if isinstance(one, Histogram)}


def test_every_gauge_is_listed_and_no_other() -> None:
    made = {gauge.name: ((gauge.label,) if gauge.label else ()) for gauge in GAUGES}
    assert {metric: labels for metric, (labels, _) in listed("What waits").items()} == made


def test_what_is_said_of_a_metric_is_what_it_says_itself() -> None:
    told = {name(one): one._documentation for one in INSTRUMENTS}
    told |= {gauge.name: gauge.says for gauge in GAUGES}
    for metric, (_, meaning) in {**listed("What is counted"), **listed("What waits")}.items():
        said = re.sub(r"[`:(,].*", "", told[metric].rstrip("."))
        assert said[:25] in meaning, metric


def test_names_follow_the_conventions() -> None:
    for metric in [*map(name, INSTRUMENTS), *(gauge.name for gauge in GAUGES)]:
        assert metric.startswith("waybill_")
        assert metric.endswith(UNITS + COUNTS), metric


def test_no_label_can_hold_what_a_stranger_chooses() -> None:
    labels = {label for one in INSTRUMENTS for label in one._labelnames}
    labels |= {gauge.label for gauge in GAUGES if gauge.label}
    assert labels == {
        *("code", "kind", "method", "outcome", "provider", "queue", "reason", "route"),
        *("status", "store", "task", "waits_for"),
    }, "say in docs/metrics.md which few values a new label has, and add it here"


def test_the_reasons_for_a_forgery_are_those_of_the_code() -> None:
    source = "".join(path.read_text() for path in (ROOT / "service/providers").rglob("*.py"))
    raised = set(re.findall(r'Forged\("(\w+)"\)', source))
    row = next(line for line in DOCUMENT.splitlines() if "waybill_callbacks_forged_total" in line)
    assert raised == set(re.findall(r"`(\w+)`", row.rpartition(" | ")[2]))


def test_the_outcomes_of_a_callback_are_those_of_the_code() -> None:
    rows = table(DOCUMENT, "What a callback brought")
    assert [outcome.strip("`") for outcome, _ in rows] == list(Brought)


def test_the_limit_of_a_count_is_the_one_of_the_code() -> None:
    assert f"end at {COUNT_LIMIT:,}" in DOCUMENT
