"""The documents say what is there: settings, routes, statuses, commands, bodies, tests, links."""

import ast
import importlib
import importlib.util
import json
import re
import shlex
from collections.abc import Iterator, Sequence
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
from service.task_queue.queue import ROUTES
from service.web.api.schemas import MessageQuery, NewBatch, NewMessage, check
from worker.schedule import SCHEDULE

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], key=lambda path: path.as_posix()
)
README = (ROOT / "README.md").read_text()
INTEGRATING = (ROOT / "docs/integrating.md").read_text()
# What the commands of the demonstration add only to fit the machine they run on.
PLACING = ("--workers", "--blocking-threads", "-n")

every_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix()
)


# The README's tables


def test_the_settings_are_those_of_the_code() -> None:
    rows = table(README, "Settings")
    fields = {f"`{name.upper()}`": field for name, field in Settings.model_fields.items()}
    assert sorted(name for name, _, _ in rows) == sorted(fields)
    for name, default, says in rows:
        field = fields[name]
        assert default == ("**required**" if field.is_required() else written(field.default)), name
        assert says.startswith(field.description or "-"), name


def test_the_routes_are_those_of_the_application(app: Flask) -> None:
    shown = [(method, path.strip("`")) for method, path, _ in table(README, "The API")]
    routes = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static" and not rule.endpoint.startswith("ops.")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert len(shown) == len(set(shown))
    assert set(shown) == routes


def test_the_pages_are_those_of_the_application(app: Flask) -> None:
    shown = table((ROOT / "docs/ops-page.md").read_text(), "Pages and buttons")
    routes = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("ops.") and rule.endpoint != "ops.static"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {(method, path.strip("`")) for method, path, _ in shown} == routes


def test_the_statuses_are_listed_in_rank_order() -> None:
    shown = [(status.strip("`"), final) for status, final, _ in table(README, "Statuses")]
    assert shown == [(status.value, "yes" if is_final(status) else "no") for status in Status]


def test_the_fields_of_a_message_are_those_that_are_taken() -> None:
    shown = [name.strip("`") for name, _ in table(INTEGRATING, "Post a message")]
    fields = NewMessage.model_fields
    assert sorted(shown) == sorted(field.alias or name for name, field in fields.items())


def test_the_parameters_of_a_list_are_those_that_are_taken() -> None:
    shown = [name.strip("`") for name, _ in table(INTEGRATING, "List messages")]
    assert shown == list(MessageQuery.model_fields)


def test_the_words_of_a_provider_are_those_of_its_table() -> None:
    rows = table((ROOT / "docs/sinch.md").read_text(), "Words")
    shown = {said.strip("`").lower(): shown.strip("`") for said, shown, *_ in rows}
    shown = {said: at for said, at in shown.items() if not said.startswith("(")}
    assert shown == {word: status.value for word, status in sinch_reports.STATUSES.items()}


# Commands


def test_the_processes_are_started_as_the_demonstration_does() -> None:
    lines = [line for line in block(README, "Running it") if "db upgrade" not in line]
    assert [shlex.split(line) for line in lines] == [unplaced(each) for each in COMMANDS.values()]


def test_the_commands_for_keys_exist(app: Flask) -> None:
    for line in re.findall(r"^flask --app service.app (.+)$", README, re.MULTILINE):
        group, command, *_ = line.split()
        commands: Any = app.cli.commands[group]
        assert command in commands.commands, line


def test_docker_compose_scales_services_that_are_there() -> None:
    scaled = re.findall(r"--scale ([\w-]+)=", README)
    found = [path for name in ("compose", "docker-compose") for path in ROOT.glob(f"{name}.y*ml")]
    assert found, "the README starts the service with docker compose: write compose.yaml"
    assert set(scaled) <= set(yaml.safe_load(found[0].read_text())["services"])


@every_document
def test_every_make_target_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text(), re.MULTILINE)
    assert set(named) <= targets


# Bodies


def test_the_requests_shown_are_accepted_as_they_stand() -> None:
    posts = dict(shown_posts())
    assert posts.keys() == {"/v1/messages", "/v1/messages/batch"}
    check(NewMessage, posts["/v1/messages"])
    check(NewBatch, posts["/v1/messages/batch"])


def test_the_answers_shown_are_those_of_the_application(web: FlaskClient) -> None:
    posts = dict(shown_posts())
    [accepted] = jsons("Post a message")
    [batch] = jsons("Post a batch")
    assert steady(web.post("/v1/messages", json=posts["/v1/messages"]).json) == steady(accepted)
    answer = web.post("/v1/messages/batch", json=posts["/v1/messages/batch"]).json
    assert steady(answer) == steady(batch)
    [ready] = jsons("Health")
    assert web.get("/readyz").json == ready
    for fragment in jsons("Read a message"):
        assert fragment.keys() <= accepted.keys()


def test_the_problem_shown_is_that_of_the_application(web: FlaskClient) -> None:
    wrong = {"to": "+14155552671", "body": "Hello", "sendat": 1}
    [problem] = jsons("Errors")
    assert web.post("/v1/messages", json=wrong).json == problem


def test_the_list_shown_is_one_that_can_be_asked_for(web: FlaskClient) -> None:
    asked = re.findall(r"^GET (/v1/messages\S*)$", INTEGRATING, re.MULTILINE)
    assert asked
    for path in asked:
        assert web.get(path).status_code == 200, path


# Data flow, dependencies


def test_the_sweeps_are_those_of_the_schedule() -> None:
    rows = table((ROOT / "docs/dataflow.md").read_text(), "Sweeps")
    shown = {task.strip("`"): (every, queue.strip("`")) for task, every, queue, *_ in rows}
    assert shown == {
        name: (f"{entry['schedule']} s", ROUTES[name]) for name, entry in SCHEDULE.items()
    }


@pytest.mark.parametrize(
    ("file", "heading"), [("requirements.in", "Running"), ("requirements-dev.in", "Tools")]
)
def test_every_dependency_has_its_line(file: str, heading: str) -> None:
    lines = (ROOT / file).read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    shown = table((ROOT / "docs/dependencies.md").read_text(), heading)
    assert [row[0].strip("`") for row in shown] == wanted


# References


@every_document
def test_every_link_inside_the_repository_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (document.parent / path).resolve() if path else document
        assert place.exists(), target
        if anchor:
            assert anchor in anchors(place), target


@every_document
def test_every_test_that_is_named_exists(document: Path) -> None:
    for file, name in re.findall(r"(tests/[\w/]+\.py)::(\w+)", document.read_text()):
        assert name in sentences_in(file), f"{file}::{name}"
    for name in re.findall(r"`(test_\w+)`", document.read_text()):
        assert any(name in sentences_in(file) for file in modules_of_tests()), name


@every_document
def test_every_file_that_is_named_exists(document: Path) -> None:
    named = re.findall(r"`([\w./-]+/[\w.-]*|[\w-]+\.(?:in|toml|txt))`", document.read_text())
    rooms = ("service/", "worker/", "simulator/", "demo/", "tests/", "docs/")
    for path in named:
        if path.startswith(rooms) or "/" not in path:
            assert (ROOT / path).exists(), path


@every_document
def test_every_function_that_is_named_exists(document: Path) -> None:
    for name in re.findall(
        r"`((?:service|worker|simulator|demo)(?:\.\w+)+)`", document.read_text()
    ):
        assert exists(name), name


def test_every_decision_is_told_in_the_same_form() -> None:
    decisions = sorted((ROOT / "docs/adr").glob("*.md"))
    for number, path in enumerate(decisions, start=1):
        text = path.read_text()
        assert path.name.startswith(f"{number:04d}-")
        assert text.startswith(f"# {number}. ")
        status = r"(Accepted|Superseded by \[\d+\]\(\d{4}-[a-z-]+\.md\))"
        assert re.search(rf"^Status: {status} · Date: 2", text, re.MULTILINE)
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Cost"]


# How documents are read


def section(text: str, heading: str) -> str:
    """Return what stands below a heading and above the next one."""
    found = re.search(
        rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.DOTALL | re.MULTILINE
    )
    assert found is not None, heading
    return found[1]


def table(text: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table of a section."""
    lines = section(text, heading).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def block(text: str, heading: str) -> list[str]:
    """Return the lines of the first code block of a section."""
    found = re.search(r"^```\w*\n(.*?)^```", section(text, heading), re.DOTALL | re.MULTILINE)
    assert found is not None, heading
    return found[1].splitlines()


def jsons(heading: str) -> list[dict[str, Any]]:
    """Return the JSON blocks of a section on the API."""
    whole = README if heading == "Health" else INTEGRATING
    found = re.findall(r"^```json\n(.*?)^```", section(whole, heading), re.DOTALL | re.MULTILINE)
    return [json.loads(one) for one in found]


def shown_posts() -> Iterator[tuple[str, Any]]:
    """Yield the path and the body of every POST that is shown on the wire."""
    for shown in re.findall(r"^```http\n(.*?)^```", INTEGRATING, re.DOTALL | re.MULTILINE):
        head, _, body = shown.partition("\n\n")
        method, path = head.splitlines()[0].split()
        if method == "POST":
            yield path, json.loads(body)


def steady(answer: Any) -> Any:
    """Return an answer without what differs from one time to the next."""
    if isinstance(answer, dict):
        changing = ("id", "created_at", "updated_at")
        return {key: steady(value) for key, value in answer.items() if key not in changing}
    return [steady(one) for one in answer] if isinstance(answer, list) else answer


def written(default: Any) -> str:
    """Return a default as the table writes it."""
    if default in (None, ()):
        return "none"
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def unplaced(command: Sequence[str]) -> list[str]:
    """Return a command without the options that only place it."""
    words = iter(command)
    return [word for word in words if not (word in PLACING and next(words))]


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@cache
def sentences_in(file: str) -> frozenset[str]:
    """Return the names of the tests in a file, without importing it."""
    tree = ast.parse((ROOT / file).read_text())
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return frozenset(one.name for one in functions if one.name.startswith("test_"))


def modules_of_tests() -> list[str]:
    """Return the paths of all tests."""
    return [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")]


def exists(name: str) -> bool:
    """Tell whether a dotted name is a module, or something in one."""
    place, rest = name, list[str]()
    while not is_module(place):
        place, _, last = place.rpartition(".")
        rest.insert(0, last)
    thing: Any = importlib.import_module(place) if rest else None
    for part in rest:
        thing = getattr(thing, part, None)
        if thing is None:
            return False
    return True


def is_module(name: str) -> bool:
    """Tell whether there is a module of this name."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False  # what stands before the last dot is a module, not a package
