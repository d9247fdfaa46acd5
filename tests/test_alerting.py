"""Alerts and dashboard query existing metrics; every alert has an entry in the runbook."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from service.observability.metrics import instruments
from service.operations.gauges import GAUGES
from service.task_queue.queue import ROUTES
from tests.test_deployment import SERVICES, after, command
from tests.test_documentation import DOCUMENTS, anchors

ROOT = Path(__file__).parents[1]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
TESTS = ROOT / "deploy" / "prometheus" / "alerts_test.yml"
CONFIG = ROOT / "deploy" / "prometheus" / "prometheus.yml"
RUNBOOK = ROOT / "docs" / "runbook.md"
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/waybill.json").read_text())
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
]
QUERIES = {
    **{rule["alert"]: rule["expr"] for rule in RULES},
    **{
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", [])
    },
}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
# Labels that Prometheus adds.
OWN_LABELS = {"le"}

promtool = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="promtool (Debian's package prometheus) is not installed",
)


def series() -> Iterator[tuple[str, set[str]]]:
    """Yield the name and labels of every series."""
    for metric in vars(instruments).values():
        if isinstance(metric, MetricWrapperBase):
            [family] = metric.describe()
            for suffix in SUFFIXES[family.type]:
                yield family.name + suffix, {*metric._labelnames}
    for gauge in GAUGES:
        yield gauge.name, {*gauge.labels}


SERIES = dict(series())


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_queries_use_existing_metrics_and_labels(query: str) -> None:
    metrics = set(re.findall(r"waybill_\w+", re.sub(r'"[^"]*"', '""', query)))
    assert metrics
    assert metrics <= SERIES.keys()
    labels = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)\s*\"", query))
    for grouped in re.findall(r"\bby \(([^)]+)\)", query):
        labels |= {label.strip() for label in grouped.split(",")}
    assert labels <= OWN_LABELS.union(*(SERIES[name] for name in metrics))


def test_gauges_of_the_stores_are_not_summed() -> None:
    gauges = "|".join(gauge.name for gauge in GAUGES)
    for name, query in QUERIES.items():
        for before in re.findall(rf"(\w+)(?: by \(\w+\))? ?\((?:{gauges})\b", query):
            assert before in ("max", "min", "absent"), name


def test_queries_use_existing_tasks_and_queues() -> None:
    text = " ".join(QUERIES.values())
    assert set(re.findall(r'task="([^"]+)"', text)) <= set(ROUTES)
    assert set(re.findall(r'queue="([^"]+)"', text)) <= set(ROUTES.values())


# The runbook


def test_every_alert_has_a_runbook_entry() -> None:
    headings = re.findall(r"^### (.+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert headings == [rule["alert"] for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_alert_links_to_its_runbook_entry(rule: dict[str, Any]) -> None:
    document, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert document.endswith("/docs/runbook.md")
    assert anchor in anchors(RUNBOOK)
    assert anchor == rule["alert"].lower()
    assert rule["labels"].keys() == {"severity"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_metrics_in_documents_exist(document: Path) -> None:
    metrics = set(re.findall(r"`(waybill_\w+)", document.read_text()))
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in SERIES}
    errors = {
        "waybill_gave_up",
        "waybill_expired",
        "waybill_opted_out",
        "waybill_outcome_unknown",
    }  # error codes
    assert metrics <= SERIES.keys() | families | errors


# promtool


@pytest.mark.slow
@promtool
@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", ALERTS), ("check", "config", CONFIG), ("test", "rules", TESTS)],
    ids=lambda arguments: " ".join(map(str, arguments[:2])),
)
def test_promtool_accepts_rules_and_configuration(arguments: tuple[object, ...]) -> None:
    done = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
def test_promtool_parses_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "1m")}
        for number, query in enumerate(QUERIES.values())
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_before_and_when_it_fires() -> None:
    tests = yaml.safe_load(TESTS.read_text())["tests"]
    fires, waits = set(), set()
    for expression in (case for test in tests for case in test["promql_expr_test"]):
        alerts = re.findall(r'alertname="(\w+)"', expression["expr"])
        (fires if expression["exp_samples"] else waits).update(alerts)
    assert fires == waits == {rule["alert"] for rule in RULES}


# The dashboard and the configuration of Prometheus


def test_dashboard_panels_do_not_overlap() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert x < 24
                assert (x, y) not in taken, f"{panel['title']} overlaps {taken[x, y]}"
                taken[x, y] = panel["title"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_dashboard_panels_have_a_description_and_a_unit() -> None:
    for panel in (panel for panel in DASHBOARD["panels"] if panel["type"] != "row"):
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"] in {"s", "short", "reqps"}
        assert panel["datasource"]["uid"] == "${datasource}"


def test_prometheus_scrapes_every_process_of_compose() -> None:
    jobs = yaml.safe_load(CONFIG.read_text())["scrape_configs"]
    places = {
        name: place["port"]
        for job in jobs
        for place in job["dns_sd_configs"]
        for name in place["names"]
    }
    environment = SERVICES["beat"]["environment"]
    port = int(environment["METRICS_PORT"])
    assert places == {
        "web": int(after("--port", command("web"))),
        **dict.fromkeys(("worker-send", "worker-status", "worker-webhooks", "beat"), port),
    }
    assert environment["METRICS_HOST"] == "0.0.0.0"
