"""docs/metrics.md lists every metric of the code with its labels and type."""

import re
from pathlib import Path

from prometheus_client import Histogram
from prometheus_client.metrics import MetricWrapperBase

from service.observability.metrics import instruments
from service.operations.gauges import GAUGES
from service.providers.callback_urls import NOT_CONFIGURED
from service.providers.sinch.signature import WRONG_PATH
from service.queries.backlog import COUNT_LIMIT
from service.recording.effects import Effect
from tests.test_documentation import table

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "metrics.md").read_text()
# Prometheus recommends a base unit as the suffix, and `_total` for counters.
# https://prometheus.io/docs/practices/naming/
UNITS = ("_seconds", "_total")
COUNTS = ("_up", "_alive", "_entries", "_tasks", "_in_doubt", "_overdue", "_waiting", "_due")
COUNTS += ("_holds", "_held_messages", "_webhook_endpoints", "_owed")

INSTRUMENTS = [
    value for value in vars(instruments).values() if isinstance(value, MetricWrapperBase)
]


def name(instrument: MetricWrapperBase) -> str:
    [family] = instrument.describe()
    return family.name + ("_total" if family.type == "counter" else "")


def listed(heading: str) -> dict[str, tuple[tuple[str, ...], str]]:
    """Return the documented labels and meaning of each metric."""
    return {
        metric.strip("`"): (tuple(re.findall(r"`(\w+)`", labels)), meaning)
        for metric, labels, _, meaning in table(DOCUMENT, heading)
    }


def test_every_counter_and_histogram_is_documented() -> None:
    labelnames = {name(metric): tuple(metric._labelnames) for metric in INSTRUMENTS}
    assert {
        metric: labels for metric, (labels, _) in listed("Counters and histograms").items()
    } == labelnames


def test_histograms_are_documented_as_histograms() -> None:
    rows = listed("Counters and histograms").items()
    histograms = {metric for metric, (_, meaning) in rows if "Histogram" in meaning}
    assert histograms == {name(metric) for metric in INSTRUMENTS if isinstance(metric, Histogram)}


def test_every_gauge_is_documented() -> None:
    labels_of = {gauge.name: gauge.labels for gauge in GAUGES}
    assert {
        metric: labels for metric, (labels, _) in listed("Gauges of the stores").items()
    } == labels_of


def test_documented_meaning_is_the_help_text() -> None:
    help_texts = {name(metric): metric._documentation for metric in INSTRUMENTS}
    help_texts |= {gauge.name: gauge.help for gauge in GAUGES}
    for metric, (_, meaning) in {
        **listed("Counters and histograms"),
        **listed("Gauges of the stores"),
    }.items():
        assert help_texts[metric].rstrip(".") in re.sub(r"\[(\w+)\]\([^)]*\)", r"\1", meaning), (
            metric
        )


def test_metric_names_follow_the_conventions() -> None:
    for metric in [*map(name, INSTRUMENTS), *(gauge.name for gauge in GAUGES)]:
        assert metric.startswith("waybill_")
        assert metric.endswith(UNITS + COUNTS), metric


def test_labels_have_few_values() -> None:
    labels = {label for metric in INSTRUMENTS for label in metric._labelnames}
    labels |= {label for gauge in GAUGES for label in gauge.labels}
    assert labels == {
        *(
            "change",
            "code",
            "keyword",
            "kind",
            "method",
            "outcome",
            "provider",
            "queue",
            "reason",
            "route",
        ),
        *("scope", "state", "status", "store", "stream", "task", "waits_for"),
    }, "document the values of the new label in docs/metrics.md, and add it here"


def test_reasons_of_invalid_signatures_are_documented() -> None:
    source = "".join(path.read_text() for path in (ROOT / "service/providers").rglob("*.py"))
    raised = set(re.findall(r'Forged\("(\w+)"\)', source))
    row = next(line for line in DOCUMENT.splitlines() if "waybill_callbacks_forged_total" in line)
    raised |= {NOT_CONFIGURED, WRONG_PATH}  # raised by name
    assert raised == set(re.findall(r"`(\w+)`", row.rpartition(" | ")[2]))


def test_effects_of_a_callback_are_documented() -> None:
    rows = table(DOCUMENT, "Effects of a callback")
    assert [outcome.strip("`") for outcome, _ in rows] == list(Effect)


def test_limit_of_counts_is_documented() -> None:
    assert f"end at {COUNT_LIMIT:,}" in DOCUMENT
