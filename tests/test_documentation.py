"""The documents agree with the code: settings, routes, statuses, commands, bodies, tests, links."""

import ast
import importlib
import importlib.util
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient
from pydantic import SecretStr

from demo.stack import COMMANDS
from service.config.settings import Settings
from service.domain.status import Status, is_final
from service.providers.sinch import reports as sinch_reports
from service.representations.inbound_types import InboundMessage
from service.task_queue.queue import ROUTES
from service.web.api.inbound_schemas import InboundQuery
from service.web.api.schemas import MessageQuery, NewBatch, NewMessage, check
from service.web.api.webhook_schemas import NewWebhookEndpoint
from worker.schedule import SCHEDULE

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], key=lambda path: path.as_posix()
)
README = (ROOT / "README.md").read_text()
INTEGRATING = (ROOT / "docs/integrating.md").read_text()
INBOUND = (ROOT / "docs/inbound.md").read_text()
WEBHOOKS = (ROOT / "docs/webhooks.md").read_text()
ROUTES_PAGE = (ROOT / "docs/routes.md").read_text()
SETTINGS_PAGE = (ROOT / "docs/settings.md").read_text()
# Options that the demo adds to the commands of the README to fit one machine.
DEMO_OPTIONS = ("--workers", "--blocking-threads", "-n")

every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix()
)


# Tables


def test_settings_page_lists_every_setting_and_its_default() -> None:
    shown = {name.strip("`"): default for name, default, _ in tables(SETTINGS_PAGE)}
    assert shown == {
        name.upper(): "**required**" if field.is_required() else written(field.default)
        for name, field in Settings.model_fields.items()
    }


@every_document
def test_cited_settings_exist(document: Path) -> None:
    # Sentry's and OpenTelemetry's libraries read further variables.
    prefixes = {name.partition("_")[0].upper() for name in Settings.model_fields} - {
        "SENTRY",
        "OTEL",
    }
    cited = re.findall(r"`([A-Z]+_[A-Z_]*[A-Z])\b", document.read_text())
    settings = {name.lower() for name in cited if name.partition("_")[0] in prefixes}
    assert settings <= set(Settings.model_fields)


def test_routes_page_lists_every_route(app: Flask) -> None:
    shown = [(method, path.strip("`")) for method, path, _ in table(ROUTES_PAGE, "The API")]
    assert len(shown) == len(set(shown))
    assert set(shown) == {
        (method, path) for endpoint, method, path in routes(app) if not endpoint.startswith("ops.")
    }


def test_ops_page_lists_every_operator_route(app: Flask) -> None:
    shown = table((ROOT / "docs/ops-page.md").read_text(), "Pages and buttons")
    assert {(method, path.strip("`")) for method, path, _ in shown} == {
        (method, path) for endpoint, method, path in routes(app) if endpoint.startswith("ops.")
    }


def test_statuses_page_lists_statuses_in_rank_order() -> None:
    rows = table((ROOT / "docs/statuses.md").read_text(), "Statuses")
    shown = [(status.strip("`"), final) for status, final, _ in rows]
    assert shown == [(status.value, "yes" if is_final(status) else "no") for status in Status]


def test_integrating_lists_every_message_field() -> None:
    shown = [name.strip("`") for name, _ in table(INTEGRATING, "Post a message")]
    fields = NewMessage.model_fields
    assert sorted(shown) == sorted(field.alias or name for name, field in fields.items())


def test_integrating_lists_every_list_parameter() -> None:
    shown = [name.strip("`") for name, _ in table(INTEGRATING, "List messages")]
    assert shown == list(MessageQuery.model_fields)


def test_inbound_page_lists_every_filter() -> None:
    shown = [name.strip("`") for name, _ in table(INBOUND, "Filters")]
    fields = InboundQuery.model_fields
    assert shown == [field.alias or name for name, field in fields.items()]


def test_inbound_page_shows_a_whole_message() -> None:
    [shown] = re.findall(r"```json\n(.*?)```", section(INBOUND, "Read them"), re.DOTALL)
    assert set(json.loads(shown)) == InboundMessage.__required_keys__


def test_webhooks_page_lists_every_endpoint_field() -> None:
    shown = [name.strip("`") for name, _ in table(WEBHOOKS, "Create an endpoint")]
    assert shown == list(NewWebhookEndpoint.model_fields)


def test_sinch_page_maps_every_provider_word() -> None:
    rows = table((ROOT / "docs/sinch.md").read_text(), "Words")
    shown = {word.strip("`").lower(): status.strip("`") for word, status, *_ in rows}
    # A row in parentheses describes a case for which Sinch has no word.
    shown = {word: status for word, status in shown.items() if not word.startswith("(")}
    assert shown == {word: status.value for word, status in sinch_reports.STATUSES.items()}


def test_dataflow_lists_every_scheduled_task() -> None:
    rows = table((ROOT / "docs/dataflow.md").read_text(), "Sweeps")
    shown = {task.strip("`"): (every, queue.strip("`")) for task, every, queue, *_ in rows}
    assert shown == {
        name: (f"{entry['schedule']} s", ROUTES[name]) for name, entry in SCHEDULE.items()
    }


@pytest.mark.parametrize(
    ("file", "heading"), [("requirements.in", "Running"), ("requirements-dev.in", "Tools")]
)
def test_dependencies_page_lists_every_requirement(file: str, heading: str) -> None:
    lines = (ROOT / file).read_text().splitlines()
    required = [line for line in lines if line and not line.startswith("#")]
    shown = table((ROOT / "docs/dependencies.md").read_text(), heading)
    assert [row[0].strip("`") for row in shown] == required


# Commands


def test_readme_starts_the_processes_of_the_demo() -> None:
    commands = [text for text in block(README, "Running it") if "db upgrade" not in text]
    assert [shlex.split(text) for text in commands] == [
        unplaced(each) for each in COMMANDS.values()
    ]


@every_document
def test_cited_flask_commands_exist(document: Path, app: Flask) -> None:
    cited = re.findall(r"flask --app [\w.]+ ([a-z-]+)(?: ([a-z-]+)\b)?", document.read_text())
    for name, subcommand in cited:
        command: Any = app.cli.commands.get(name)
        assert command is not None, name
        if subcommand and hasattr(command, "commands"):
            assert subcommand in command.commands, f"{name} {subcommand}"


def test_readme_scales_services_of_docker_compose() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    scaled = set(re.findall(r"--scale ([\w-]+)=", README))
    assert scaled
    assert scaled <= set(services)


@every_document
def test_cited_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    cited = re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text(), re.MULTILINE)
    assert set(cited) <= targets


# Bodies


def test_requests_shown_are_valid() -> None:
    posts = dict(posts_shown())
    assert posts.keys() == {"/v1/messages", "/v1/messages/batch"}
    check(NewMessage, posts["/v1/messages"])
    check(NewBatch, posts["/v1/messages/batch"])


def test_answers_shown_are_those_of_the_application(web: FlaskClient) -> None:
    posts = dict(posts_shown())
    [message] = answers_shown(INTEGRATING, "Post a message")
    [batch] = answers_shown(INTEGRATING, "Post a batch")
    answer = web.post("/v1/messages", json=posts["/v1/messages"]).json
    assert stable(answer) == stable(message)
    answer = web.post("/v1/messages/batch", json=posts["/v1/messages/batch"]).json
    assert stable(answer) == stable(batch)
    for fragment in answers_shown(INTEGRATING, "Read a message"):
        assert fragment.keys() <= message.keys()


def test_readme_shows_the_answer_to_its_request(web: FlaskClient) -> None:
    request = re.search(r" -d '(.+)'$", section(README, "Send a message"), re.MULTILINE)
    assert request
    [answer] = answers_shown(README, "Send a message")
    posted = web.post("/v1/messages", json=json.loads(request[1]))
    assert posted.status_code == 202
    assert stable(posted.json) == stable(answer)


def test_webhooks_page_shows_the_answers_of_the_application(web: FlaskClient) -> None:
    posts = dict(posts_shown(WEBHOOKS))
    endpoint = {**posts["/v1/webhook-endpoints"], "url": "https://8.8.8.8/"}  # no name server
    [shown] = answers_shown(WEBHOOKS, "Create an endpoint")
    answer = web.post("/v1/webhook-endpoints", json=endpoint).json
    assert answer.keys() == shown.keys()
    differing = {name for name in shown if stable(answer).get(name) != stable(shown).get(name)}
    assert differing == {"url", "secret"}

    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    [recovered] = answers_shown(WEBHOOKS, "Recover")
    answer = web.post(f"/v1/webhook-endpoints/{answer['id']}/recover", json={"since": since}).json
    assert answer.keys() == recovered.keys()


def test_readiness_shown_is_that_of_the_application(web: FlaskClient) -> None:
    [ready] = answers_shown(ROUTES_PAGE, "Health")
    assert web.get("/readyz").json == ready


def test_problem_shown_is_that_of_the_application(web: FlaskClient) -> None:
    wrong = {"to": "+14155552671", "body": "Hello", "sendat": 1}
    [problem] = answers_shown(INTEGRATING, "Errors")
    assert web.post("/v1/messages", json=wrong).json == problem


def test_list_requests_shown_are_accepted(web: FlaskClient) -> None:
    paths = re.findall(r"^GET (/v1/messages\S*)$", INTEGRATING, re.MULTILINE)
    assert paths
    for path in paths:
        assert web.get(path).status_code == 200, path


# References


@every_document
def test_links_inside_the_repository_resolve(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (document.parent / path).resolve() if path else document
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


@every_document
def test_cited_tests_exist(document: Path) -> None:
    for file, name in re.findall(r"(tests/[\w/]+\.py)::(\w+)", document.read_text()):
        assert name in names_of_tests_in(file), f"{file}::{name}"
    for name in re.findall(r"`(test_\w+)`", document.read_text()):
        assert any(name in names_of_tests_in(file) for file in files_of_tests()), name


@every_document
def test_cited_files_exist(document: Path) -> None:
    cited = re.findall(r"`([\w./-]+/[\w.-]*|[\w-]+\.(?:in|toml|txt))`", document.read_text())
    roots = ("service/", "worker/", "simulator/", "demo/", "tests/", "docs/", "deploy/")
    for path in cited:
        if path.startswith(roots) or "/" not in path:
            assert (ROOT / path).exists(), path


@every_document
def test_cited_modules_and_functions_exist(document: Path) -> None:
    names = r"`((?:service|worker|simulator|demo|bench)(?:\.\w+)+)`"
    for name in re.findall(names, document.read_text()):
        assert exists(name), name


def test_decisions_are_numbered_without_gaps() -> None:
    names = sorted(path.name for path in (ROOT / "docs/adr").glob("*.md"))
    assert [name[:5] for name in names] == [f"{n:04d}-" for n in range(1, len(names) + 1)]


# Reading documents


def section(text: str, heading: str) -> str:
    """Return the text between a heading and the next one."""
    match = re.search(
        rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.DOTALL | re.MULTILINE
    )
    assert match is not None, heading
    return match[1]


def table(text: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table of a section."""
    rows = re.search(r"(?:^\|.*\n)+", section(text, heading), re.MULTILINE)
    assert rows is not None, heading
    return cells(rows[0])


def tables(text: str) -> list[list[str]]:
    """Return the rows of all tables of a document."""
    return [row for rows in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE) for row in cells(rows)]


def cells(rows: str) -> list[list[str]]:
    """Return the cells of a table, without its header."""
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in rows.splitlines()[2:]
    ]


def block(text: str, heading: str) -> list[str]:
    """Return the lines of the first code block of a section."""
    match = re.search(r"^```\w*\n(.*?)^```", section(text, heading), re.DOTALL | re.MULTILINE)
    assert match is not None, heading
    return match[1].splitlines()


def answers_shown(text: str, heading: str) -> list[dict[str, Any]]:
    """Return the JSON blocks of a section."""
    blocks = re.findall(r"^```json\n(.*?)^```", section(text, heading), re.DOTALL | re.MULTILINE)
    return [json.loads(body) for body in blocks]


def posts_shown(document: str = INTEGRATING) -> Iterator[tuple[str, Any]]:
    """Yield the path and the body of every POST with an API key in a document."""
    for request in re.findall(r"^```http\n(.*?)^```", document, re.DOTALL | re.MULTILINE):
        head, _, body = request.partition("\n\n")
        method, path = head.splitlines()[0].split()
        if method == "POST" and body:
            yield path, json.loads(body)


def stable(answer: Any) -> Any:
    """Return an answer without the fields that differ each time."""
    if isinstance(answer, dict):
        changing = ("id", "created_at", "updated_at", "expires_at")
        return {key: stable(value) for key, value in answer.items() if key not in changing}
    return [stable(item) for item in answer] if isinstance(answer, list) else answer


def written(default: Any) -> str:
    """Return a default in the form of the settings page."""
    if default in (None, ()):
        return "none"
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def unplaced(command: Sequence[str]) -> list[str]:
    """Return a command without the options that the demo adds."""
    words = iter(command)
    return [word for word in words if not (word in DEMO_OPTIONS and next(words))]


def routes(app: Flask) -> Iterator[tuple[str, str, str]]:
    """Yield endpoint, method and path of every route, with `{name}` for parameters."""
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.endswith("static"):
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                yield rule.endpoint, method, path


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@cache
def names_of_tests_in(file: str) -> frozenset[str]:
    """Return the names of the tests in a file, without importing it."""
    tree = ast.parse((ROOT / file).read_text())
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


def files_of_tests() -> list[str]:
    """Return the paths of all test files."""
    return [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")]


def exists(name: str) -> bool:
    """Return whether a dotted name is a module or an attribute of one."""
    module, attributes = name, list[str]()
    while not is_module(module):
        module, _, last = module.rpartition(".")
        attributes.insert(0, last)
    value: Any = importlib.import_module(module) if attributes else None
    for attribute in attributes:
        value = getattr(value, attribute, None)
        if value is None:
            return False
    return True


def is_module(name: str) -> bool:
    """Return whether a module of this name exists."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False  # the part before the last dot is a module, not a package
