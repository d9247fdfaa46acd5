"""docker-compose.yml, Dockerfile and CI run what the demo runs, and can be scaled."""

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
from urllib.parse import urlsplit

import pytest
import yaml

from demo.stack import COMMANDS
from service.config.settings import Settings
from service.task_queue.queue import ROUTES

ROOT = Path(__file__).parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
APP = {name: service for name, service in SERVICES.items() if "build" in service}
[REDIS] = [
    name for name, service in SERVICES.items() if "--appendonly" in service.get("command", "")
]
WORKERS = ("worker-send", "worker-status", "worker-webhooks")
ONE_SHOTS = ("migrate",)
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", "")

# Options that say where a process listens and what it is called, not what it does.
PLACES = ("--host", "--port", "-n")


def command(service: str) -> list[str]:
    return shlex.split(SERVICES[service]["command"])


def unplaced(arguments: Sequence[str]) -> list[str]:
    """Return the command without the options that place it."""
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
    """Return everything of the repository that the Dockerfile copies."""
    local = [line.split() for line in instructions("COPY") if "--from" not in line]
    return {source for words in local for source in words[:-1]}


def seconds(duration: str) -> int:
    assert duration.endswith("s")
    return int(duration[:-1])


# docker-compose.yml


@pytest.mark.parametrize("file", ["docker-compose.yml", "deploy/compose.watch.yml"])
def test_compose_file_matches_the_compose_schema(file: str, tmp_path: Path) -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    wrong = tmp_path / "wrong.yml"
    wrong.write_text((ROOT / file).read_text().replace("image:", "imagine:"))

    valid = subprocess.run([*check, str(ROOT / file)], capture_output=True, text=True, check=False)
    assert valid.returncode == 0, valid.stdout
    assert subprocess.run([*check, str(wrong)], capture_output=True, check=False).returncode == 1


def test_monitoring_is_pinned_and_listens_on_loopback() -> None:
    monitoring = yaml.safe_load((ROOT / "deploy/compose.watch.yml").read_text())["services"]
    for service in monitoring.values():
        assert re.fullmatch(r"[a-z/]+:v?\d[\d.]+", service["image"])
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        mounted = [volume.partition(":")[0] for volume in service["volumes"]]
        assert all((ROOT / path).exists() for path in mounted if path.startswith("."))


def test_compose_has_every_process_store_and_migration() -> None:
    assert set(SERVICES) == {*COMMANDS, *ONE_SHOTS, REDIS, "postgres"}


@pytest.mark.parametrize("process", COMMANDS)
def test_compose_runs_the_command_of_the_demo(process: str) -> None:
    assert unplaced(command(process)) == unplaced(COMMANDS[process])


def test_compose_migrates_with_the_command_of_the_readme() -> None:
    assert shlex.join(command("migrate")) in (ROOT / "README.md").read_text().splitlines()


def test_workers_read_every_queue() -> None:
    read = {queue for worker in WORKERS for queue in after("-Q", command(worker)).split(",")}
    assert read == set(ROUTES.values())


@pytest.mark.parametrize("worker", WORKERS)
def test_worker_can_have_many_replicas(worker: str) -> None:
    assert not {"container_name", "hostname", "ports", "volumes"} & set(SERVICES[worker])
    assert "%h" in after("-n", command(worker)), "two replicas must not share a node name"


@pytest.mark.parametrize("name", [*WORKERS, "beat"])
def test_health_check_uses_the_metrics_port(name: str) -> None:
    *_, program = SERVICES[name]["healthcheck"]["test"]
    assert f":{SERVICES[name]['environment']['METRICS_PORT']}/healthz" in program


def test_web_has_a_smaller_cpu_share_than_the_others() -> None:
    shares = {name: service["cpu_shares"] for name, service in SERVICES.items()}
    assert all(shares["web"] < share for name, share in shares.items() if name != "web")


def test_only_the_web_publishes_a_port() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["web"]
    port = after("--port", command("web"))
    assert [published.rpartition(":")[2] for published in SERVICES["web"]["ports"]] == [port]


def test_no_service_has_a_fixed_container_name() -> None:
    assert not [name for name, service in SERVICES.items() if "container_name" in service]


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(ONE_SHOTS)))
def test_service_is_restarted_and_has_a_health_check(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert "healthcheck" in SERVICES[name]


@pytest.mark.parametrize("name", ONE_SHOTS)
def test_one_shot_is_not_restarted(name: str) -> None:
    assert SERVICES[name]["restart"] == "no"


@pytest.mark.parametrize("name", COMMANDS)
def test_process_waits_for_migration_and_stores(name: str) -> None:
    conditions = {key: value["condition"] for key, value in APP[name]["depends_on"].items()}
    assert conditions == {
        "migrate": "service_completed_successfully",
        "postgres": "service_healthy",
        REDIS: "service_healthy",
    }


def test_processes_share_image_and_settings() -> None:
    assert set(APP) == {*COMMANDS, *ONE_SHOTS}
    for key in ("build", "env_file", "init"):
        assert len({json.dumps(service[key]) for service in APP.values()}) == 1, key
    for service in APP.values():
        assert APP["migrate"]["environment"].items() <= service["environment"].items()


def test_compose_settings_exist_and_name_its_stores() -> None:
    environment = SERVICES["worker-send"]["environment"]
    assert {name.lower() for name in environment} <= set(Settings.model_fields)
    assert urlsplit(environment["DATABASE_URL"]).hostname == "postgres"
    assert urlsplit(environment["REDIS_URL"]).hostname == REDIS


@pytest.mark.parametrize("name", COMMANDS)
def test_stopped_process_can_finish_the_longest_send(name: str) -> None:
    fields = Settings.model_fields
    longest = fields["twilio_connect_timeout"].default + fields["twilio_read_timeout"].default
    assert seconds(SERVICES[name]["stop_grace_period"]) >= 2 * longest


def test_redis_persists_and_does_not_evict() -> None:
    assert after("--appendonly", command(REDIS)) == "yes"
    assert after("--maxmemory-policy", command(REDIS)) == "noeviction"


@pytest.mark.parametrize(
    ("store", "directory"), [(REDIS, "/data"), ("postgres", "/var/lib/postgresql/data")]
)
def test_store_data_is_on_a_named_volume(store: str, directory: str) -> None:
    [volume] = SERVICES[store]["volumes"]
    name, _, target = volume.partition(":")
    assert target == directory
    assert name in COMPOSE["volumes"]


def test_images_are_pinned_to_a_version() -> None:
    images = [service["image"] for service in SERVICES.values() if "image" in service]
    bases = [line.split()[0] for line in instructions("FROM")]
    assert images
    assert bases
    for image in (*images, *bases):
        assert re.fullmatch(r"[a-z/]+:\d[\d.]*-[a-z]+", image), image


# Dockerfile


def test_image_starts_the_web_server_by_default() -> None:
    assert [json.loads(line) for line in instructions("CMD")] == [command("web")]


def test_image_runs_as_an_unprivileged_user() -> None:
    [user] = instructions("USER")
    assert any("useradd --system" in run and user in run for run in instructions("RUN"))


def test_image_has_no_development_code() -> None:
    assert not copied() & {
        ".",
        "tests",
        "bench",
        "demo",
        "simulator",
        "docs",
        "requirements-dev.txt",
    }


def test_docker_context_is_what_the_dockerfile_copies() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied()


@pytest.mark.slow
def test_copied_code_runs_with_the_installed_packages(tmp_path: Path) -> None:
    for name in copied() - {"requirements.txt"}:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    pins = (ROOT / "requirements.txt").read_text()
    # Before Python 3.11.3, redis needs async-timeout; the image has a later Python.
    installed = [*re.findall(r"^([\w.-]+)==", pins, re.MULTILINE), "async-timeout"]
    process = subprocess.run(
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
    assert process.returncode == 0, process.stderr


# Hides every package that requirements.txt does not name, then imports what the processes import.
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


# Checks and CI


def make_check() -> list[str]:
    """Return the commands of `make check`."""
    recipe = re.search(r"^check:.*\n((?:\t.+\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    return [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]


def test_pre_commit_hooks_are_those_of_make_check() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"
    assert [hook["entry"] for hook in local["hooks"]] == make_check()
    assert {hook["language"] for hook in local["hooks"]} == {"system"}, "nothing is downloaded"


def test_workflow_only_calls_ci_run() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    (job,) = workflow["jobs"].values()
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]


def test_ci_run_checks_and_tests_within_the_hour(tmp_path: Path) -> None:
    """Run .ci/run with a `timeout` that only notes what it was to run, and for how long."""
    log = tmp_path / "log"
    (tmp_path / "timeout").write_text(f'#!/bin/sh\necho "$@" >>{log}\n')
    (tmp_path / "timeout").chmod(0o755)
    path = f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run([ROOT / ".ci" / "run"], env={**os.environ, "PATH": path}, check=True)
    runs = [re.search(r" (\d+)m make ([\w-]+)$", line) for line in log.read_text().splitlines()]
    assert [run and run[2] for run in runs] == ["check", "test", "test-slow", "cluster-test"]
    assert sum(int(run[1]) + 1 for run in runs if run) < 60  # a minute for each to be killed


def test_ci_run_stops_at_the_first_failure(tmp_path: Path) -> None:
    (tmp_path / "timeout").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "timeout").chmod(0o755)
    path = f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = subprocess.run([ROOT / ".ci" / "run"], env={**os.environ, "PATH": path}, check=False)
    assert process.returncode == 3


def test_editor_and_linter_use_the_same_line_length() -> None:
    editor = configparser.ConfigParser()
    editor.read_string("[top]\n" + (ROOT / ".editorconfig").read_text())
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    assert int(editor["*"]["max_line_length"]) == ruff["line-length"]
    assert editor["Makefile"]["indent_style"] == "tab"
