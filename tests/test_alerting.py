"""Alerts and dashboard ask for what the code counts; every alert has its page in the runbook."""

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
from service.operations.metric_readings import GAUGES
from service.task_queue.queue import ROUTES
from tests.test_deployment import SERVICES, after, command
from tests.test_documentation import DOCUMENTS, anchors, section

ROOT = Path(__file__).parents[1]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
TESTS = ROOT / "deploy" / "prometheus" / "alerts_test.yml"
CONFIG = ROOT / "deploy" / "prometheus" / "prometheus.yml"
RUNBOOK = ROOT / "docs" / "runbook.md"
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/waybill.json").read_text())
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
]
ASKED = {
    **{rule["alert"]: rule["expr"] for rule in RULES},
    **{
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", [])
    },
}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}
# What a query may name besides metrics: each is a label, or one of Prometheus's own words.
OWN_LABELS = {"le"}

promtool = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="no promtool here (Debian's package prometheus): queries and rules are not parsed",
)


def series() -> Iterator[tuple[str, set[str]]]:
    """Every series that the code makes, with its labels."""
    for one in vars(instruments).values():
        if isinstance(one, MetricWrapperBase):
            [family] = one.describe()
            for suffix in SUFFIXES[family.type]:
                yield family.name + suffix, {*one._labelnames}
    for gauge in GAUGES:
        yield gauge.name, {gauge.label} if gauge.label else set()


SERIES = dict(series())


@pytest.mark.parametrize("query", ASKED.values(), ids=ASKED)
def test_a_query_asks_for_what_the_code_counts_by_labels_that_it_has(query: str) -> None:
    named = set(re.findall(r"waybill_\w+", re.sub(r'"[^"]*"', '""', query)))
    assert named
    assert named <= SERIES.keys()
    labels = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)\s*\"", query))
    for grouped in re.findall(r"\bby \(([^)]+)\)", query):
        labels |= {label.strip() for label in grouped.split(",")}
    assert labels <= OWN_LABELS.union(*(SERIES[name] for name in named))


def test_gauges_of_the_stores_are_never_added_up_over_web_servers() -> None:
    gauges = "|".join(gauge.name for gauge in GAUGES)
    for name, query in ASKED.items():
        for before in re.findall(rf"(\w+)(?: by \(\w+\))? ?\((?:{gauges})\b", query):
            assert before in ("max", "min", "absent"), name


def test_every_task_and_queue_that_is_asked_for_exists() -> None:
    text = " ".join(ASKED.values())
    assert set(re.findall(r'task="([^"]+)"', text)) <= set(ROUTES)
    assert set(re.findall(r'queue="([^"]+)"', text)) <= set(ROUTES.values())


# The runbook


def test_every_alert_has_its_page_and_every_page_its_alert() -> None:
    headings = re.findall(r"^### (.+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert headings == [rule["alert"] for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_a_page_of_the_runbook_says_what_it_means_what_to_look_at_and_what_to_do(
    rule: dict[str, Any],
) -> None:
    page = section(RUNBOOK.read_text(), rule["alert"])
    assert f"*{rule['labels']['severity'].capitalize()}: " in page
    places = [page.index(words) for words in ("**It means**", "**Look at**", "**Do**")]
    assert places == sorted(places)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_leads_to_its_page(rule: dict[str, Any]) -> None:
    document, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert document.endswith("/docs/runbook.md")
    assert anchor in anchors(RUNBOOK)
    assert anchor == rule["alert"].lower()
    assert rule["labels"].keys() == {"severity"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_metric_that_a_document_names_exists(document: Path) -> None:
    named = set(re.findall(r"`(waybill_\w+)", document.read_text()))
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in SERIES}
    words = {
        "waybill_gave_up",
        "waybill_expired",
        "waybill_outcome_unknown",
    }  # error codes of our own
    assert named <= SERIES.keys() | families | words


# What promtool says


@promtool
@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", ALERTS), ("check", "config", CONFIG), ("test", "rules", TESTS)],
    ids=lambda given: " ".join(map(str, given[:2])),
)
def test_promtool_finds_nothing(arguments: tuple[object, ...]) -> None:
    done = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@promtool
def test_every_query_of_the_dashboard_can_be_parsed(tmp_path: Path) -> None:
    rules = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "1m")}
        for number, query in enumerate(ASKED.values())
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_seen_to_fire_and_not_too_early() -> None:
    tests = yaml.safe_load(TESTS.read_text())["tests"]
    fires, waits = set(), set()
    for one in (one for test in tests for one in test["promql_expr_test"]):
        found = re.findall(r'alertname="(\w+)"', one["expr"])
        (fires if one["exp_samples"] else waits).update(found)
    assert fires == waits == {rule["alert"] for rule in RULES}


# The dashboard, and where it is


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert x < 24
                assert (x, y) not in taken, f"{panel['title']} lies on {taken[x, y]}"
                taken[x, y] = panel["title"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_every_panel_says_what_it_shows_in_a_unit() -> None:
    for panel in (one for one in DASHBOARD["panels"] if one["type"] != "row"):
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"] in {"s", "short", "reqps"}
        assert panel["datasource"]["uid"] == "${datasource}"


def test_prometheus_looks_for_every_process_where_compose_puts_it() -> None:
    jobs = yaml.safe_load(CONFIG.read_text())["scrape_configs"]
    places = {
        name: place["port"]
        for job in jobs
        for place in job["dns_sd_configs"]
        for name in place["names"]
    }
    given = SERVICES["beat"]["environment"]
    port = int(given["METRICS_PORT"])
    assert places == {
        "web": int(after("--port", command("web"))),
        **dict.fromkeys(("worker-send", "worker-status", "beat"), port),
    }
    assert given["METRICS_HOST"] == "0.0.0.0"
