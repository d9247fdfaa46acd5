"""What runs in production is what the demo runs, placed elsewhere; and it can be scaled."""

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.stack import COMMANDS
from service.config.settings import Settings
from service.task_queue.queue import ROUTES

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
APP = {name: service for name, service in SERVICES.items() if "build" in service}
WORKERS = ("worker-send", "worker-status")
ONE_SHOTS = ("migrate",)
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", "")

# Arguments that say where a process is and what it is called, not what it does.
PLACES = ("--host", "--port", "-n")


def command(service: str) -> list[str]:
    return shlex.split(SERVICES[service]["command"])


def unplaced(arguments: Sequence[str]) -> list[str]:
    """The command without the arguments that place it."""
    rest = iter(arguments)
    kept = []
    for argument in rest:
        if argument in PLACES:
            next(rest)
        else:
            kept.append(argument)
    return kept


def after(option: str, arguments: Sequence[str]) -> str:
    return arguments[arguments.index(option) + 1]


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} (.+)$", DOCKERFILE, re.MULTILINE)


def copied() -> set[str]:
    """Everything of the repository that the Dockerfile copies."""
    local = [line.split() for line in instructions("COPY") if "--from" not in line]
    return {source for words in local for source in words[:-1]}


def seconds(duration: str) -> int:
    assert duration.endswith("s")
    return int(duration[:-1])


# docker-compose.yml


@pytest.mark.parametrize("file", ["docker-compose.yml", "deploy/compose.watch.yml"])
def test_a_compose_file_fits_the_schema_of_compose(file: str, tmp_path: Path) -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    wrong = tmp_path / "wrong.yml"
    wrong.write_text((ROOT / file).read_text().replace("image:", "imagine:"))

    done = subprocess.run([*check, str(ROOT / file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert subprocess.run([*check, str(wrong)], capture_output=True, check=False).returncode == 1


def test_what_watches_is_pinned_and_answers_this_machine_only() -> None:
    watching = yaml.safe_load((ROOT / "deploy/compose.watch.yml").read_text())["services"]
    for service in watching.values():
        assert re.fullmatch(r"[a-z/]+:v?\d[\d.]+", service["image"])
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        mounted = [volume.partition(":")[0] for volume in service["volumes"]]
        assert all((ROOT / path).exists() for path in mounted if path.startswith("."))


def test_every_process_is_a_service_and_so_are_the_stores_and_the_migration() -> None:
    assert set(SERVICES) == {*COMMANDS, *ONE_SHOTS, "redis", "postgres"}


@pytest.mark.parametrize("process", COMMANDS)
def test_a_service_runs_the_command_that_the_demo_runs(process: str) -> None:
    assert unplaced(command(process)) == unplaced(COMMANDS[process])


def test_the_migration_is_the_one_that_the_readme_names() -> None:
    assert command("migrate") == ["flask", "--app", "service.app", "db", "upgrade"]


def test_every_queue_is_read_by_a_worker() -> None:
    read = {queue for worker in WORKERS for queue in after("-Q", command(worker)).split(",")}
    assert read == set(ROUTES.values())


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_can_be_started_many_times_on_one_machine(worker: str) -> None:
    assert not {"container_name", "hostname", "ports", "volumes"} & set(SERVICES[worker])
    assert "%h" in after("-n", command(worker)), "two replicas must not share a node name"


@pytest.mark.parametrize("name", [*WORKERS, "beat"])
def test_a_process_is_asked_for_its_health_where_it_answers(name: str) -> None:
    *_, program = SERVICES[name]["healthcheck"]["test"]
    assert f":{SERVICES[name]['environment']['METRICS_PORT']}/healthz" in program


def test_the_web_gives_way_to_whoever_records_what_it_took_in() -> None:
    shares = {name: service["cpu_shares"] for name, service in SERVICES.items()}
    others = {share for name, share in shares.items() if name != "web"}
    assert others == {1024}
    assert shares["web"] == round(1024 / 3)


def test_only_the_web_publishes_a_port() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["web"]
    port = after("--port", command("web"))
    assert [published.rpartition(":")[2] for published in SERVICES["web"]["ports"]] == [port]


def test_no_service_has_a_fixed_container_name() -> None:
    assert not [name for name, service in SERVICES.items() if "container_name" in service]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(ONE_SHOTS)))
def test_a_service_that_ends_is_started_again(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", ONE_SHOTS)
def test_a_one_shot_is_not_started_again(name: str) -> None:
    assert SERVICES[name]["restart"] == "no"


def test_every_service_tells_its_health_but_the_migration() -> None:
    silent = {name for name, service in SERVICES.items() if "healthcheck" not in service}
    assert silent == set(ONE_SHOTS)


def test_every_process_waits_for_the_migration_and_healthy_stores() -> None:
    expected = {
        "migrate": {"condition": "service_completed_successfully"},
        "postgres": {"condition": "service_healthy"},
        "redis": {"condition": "service_healthy"},
    }
    for name in COMMANDS:
        assert APP[name]["depends_on"] == expected, name


def test_every_process_runs_the_same_image_with_the_same_settings() -> None:
    assert set(APP) == {*COMMANDS, *ONE_SHOTS}
    for shared in ("build", "env_file", "init"):
        assert len({json.dumps(service[shared]) for service in APP.values()}) == 1, shared
    for name, service in APP.items():
        metrics = {"PROMETHEUS_MULTIPROC_DIR": "/run/metrics"} if name == "web" else {}
        assert service["environment"] == {**APP["migrate"]["environment"], **metrics}


def test_web_processes_count_into_a_directory_that_each_start_empties() -> None:
    web = SERVICES["web"]
    assert web["tmpfs"] == web["environment"]["PROMETHEUS_MULTIPROC_DIR"]


def test_compose_sets_where_the_stores_are_and_leaves_the_rest_to_the_env_file() -> None:
    given = SERVICES["worker-send"]["environment"]
    assert set(given) == {"DATABASE_URL", "REDIS_URL", "METRICS_HOST", "METRICS_PORT"}
    assert {name.lower() for name in given} <= set(Settings.model_fields)
    assert "@postgres:5432/" in given["DATABASE_URL"]
    assert given["REDIS_URL"].startswith("redis://redis:6379/")


def test_a_worker_that_is_stopped_may_finish_the_longest_send() -> None:
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    longest = defaults["twilio_connect_timeout"] + defaults["twilio_read_timeout"]
    for name in COMMANDS:
        assert seconds(SERVICES[name]["stop_grace_period"]) >= 2 * longest


def test_redis_writes_everything_down_and_evicts_nothing() -> None:
    redis = command("redis")
    assert after("--appendonly", redis) == "yes"
    assert after("--maxmemory-policy", redis) == "noeviction"


@pytest.mark.parametrize(
    ("store", "volume", "directory"),
    [("redis", "valkey", "/data"), ("postgres", "postgres", "/var/lib/postgresql/data")],
)
def test_a_store_outlives_its_container(store: str, volume: str, directory: str) -> None:
    assert SERVICES[store]["volumes"] == [f"{volume}:{directory}"]
    assert volume in COMPOSE["volumes"]


def test_every_image_is_pinned_to_a_version() -> None:
    images = [service["image"] for service in SERVICES.values() if "image" in service]
    bases = [line.split()[0] for line in instructions("FROM")]
    assert images
    assert bases
    for image in (*images, *bases):
        assert re.fullmatch(r"[a-z/]+:\d[\d.]*-[a-z]+", image), image


# Dockerfile


def test_the_image_is_the_web_server_unless_told_otherwise() -> None:
    assert [json.loads(line) for line in instructions("CMD")] == [command("web")]


def test_the_image_runs_as_a_user_without_rights() -> None:
    assert instructions("USER") == ["waybill"]
    assert any("useradd --system" in line for line in instructions("RUN"))


def test_the_image_holds_the_service_and_nothing_for_developers() -> None:
    assert copied() == {
        *("requirements.txt", ".flaskenv", "wsgi.py", "migrations", "service", "worker")
    }


def test_the_builder_is_sent_what_the_dockerfile_copies_and_no_more() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied()


def test_what_is_copied_runs_with_the_packages_that_are_installed(tmp_path: Path) -> None:
    for name in copied() - {"requirements.txt"}:
        take = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        take(ROOT / name, tmp_path / name)
    pins = (ROOT / "requirements.txt").read_text()
    # Before Python 3.11.3, redis needs async-timeout; the image has a later one.
    installed = [*re.findall(r"^([\w.-]+)==", pins, re.MULTILINE), "async-timeout"]
    done = subprocess.run(
        [sys.executable, "-c", IN_THE_IMAGE, *installed],
        cwd=tmp_path,
        env={
            "DATABASE_URL": "postgresql://waybill@postgres/waybill",
            "REDIS_URL": "redis://redis:6379/0",
            "PUBLIC_BASE_URL": "https://sms.example.com",
            "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
            "TWILIO_AUTH_TOKEN": "unused",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# Hides every package that requirements.txt does not name, then loads what the processes load.
IN_THE_IMAGE = """
import re, sys
from importlib.metadata import packages_distributions

plain = lambda name: re.sub("[-_.]+", "-", name).lower()
installed = {plain(name) for name in sys.argv[1:]}
absent = {
    module
    for module, packages in packages_distributions().items()
    if not installed & {plain(package) for package in packages}
}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"not in requirements.txt: {name}", name=name)

sys.meta_path.insert(0, Absent())

import celery.bin.celery, flask_migrate.cli, granian.cli
import wsgi
import worker.tasks
from worker.app import app

app.connection().transport
assert len(app.tasks) > 1
"""


# The gate


def make_check() -> list[str]:
    """The commands of `make check`."""
    recipe = re.search(r"^check:.*\n((?:\t.+\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    return [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]


def test_the_hooks_before_a_commit_are_the_commands_of_make_check() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"
    assert [hook["entry"] for hook in local["hooks"]] == make_check()
    assert {hook["language"] for hook in local["hooks"]} == {"system"}, "nothing is downloaded"


def test_the_workflow_does_nothing_but_call_ci_run() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]


def test_ci_run_checks_and_tests_within_the_hour() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    runs = re.findall(r"^timeout --signal=INT --kill-after=60s (\d+)m make (\w+)$", script, re.M)
    assert [target for _, target in runs] == ["check", "test"]
    assert sum(int(minutes) + 1 for minutes, _ in runs) < 60
    assert "set -euo pipefail" in script


def test_ci_run_can_be_executed_and_has_no_syntax_error() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_editors_and_the_linter_agree_on_the_length_of_a_line() -> None:
    editor = configparser.ConfigParser()
    editor.read_string("[top]\n" + (ROOT / ".editorconfig").read_text())
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    assert int(editor["*"]["max_line_length"]) == ruff["line-length"]
    assert editor["Makefile"]["indent_style"] == "tab"


def test_the_license_is_the_one_that_the_project_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    title = (ROOT / "LICENSE").read_text().split()[:4]
    assert title == ["Apache", "License", "Version", "2.0,"]
