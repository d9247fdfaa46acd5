"""The package: installed in an empty environment, its README run against real processes."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

import waybill_client
from demo.stack import Stack, running
from tests.documents import ROOT, assert_printed, blocks
from waybill_client.http import VERSION

CLIENT = ROOT / "clients/python"
README = CLIENT / "README.md"
MODULES = sorted((CLIENT / "waybill_client").rglob("*.py"))
ALLOWED = sys.stdlib_module_names | {"httpx", "waybill_client"}


def imports(path: Path) -> Iterator[str]:
    """Yield the packages that a module imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_client_imports_only_httpx(path: Path) -> None:
    assert set(imports(path)) <= ALLOWED


@pytest.mark.parametrize("package", ["service", "worker", "simulator", "demo", "bench"])
def test_no_other_package_imports_the_client(package: str) -> None:
    importing = [
        path for path in (ROOT / package).rglob("*.py") if "waybill_client" in imports(path)
    ]
    assert not importing


def test_version_is_that_of_the_package() -> None:
    project = tomllib.loads((CLIENT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
    assert [re.split(r"[<>=]", each)[0] for each in project["dependencies"]] == ["httpx"]
    assert (CLIENT / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_readme_names_every_error() -> None:
    shown = set(re.findall(r"^\| `(\w+)` \|", README.read_text(), re.MULTILINE))
    errors = [getattr(waybill_client, name) for name in shown]
    assert all(issubclass(error, waybill_client.WaybillError) for error in errors)
    public = {name for name in waybill_client.__all__ if name in vars(waybill_client.errors)}
    assert shown == public - {"WaybillError", "Problem"}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an empty environment in which only the client is installed."""
    directory = tmp_path_factory.mktemp("empty")
    venv.create(directory, with_pip=True)
    executable = directory / "bin/python"
    pip = [executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    source = shutil.copytree(CLIENT, directory / "source")  # a build leaves nothing in the checkout
    done = subprocess.run([*pip, source], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return executable


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The processes that `make run` starts, with a provider without faults."""
    directory = Path(tempfile.mkdtemp(prefix="waybill-"))
    with running(directory, simulator=("--pace", "0.2", "--outcome", "delivered=1")) as stack:
        yield stack
    shutil.rmtree(directory)


def run(python: Path, source: str, environment: dict[str, str], directory: Path) -> str:
    """Run a program in an empty directory; return what it printed."""
    done = subprocess.run(
        [python, "-c", source],
        env={**environment, "PATH": os.environ["PATH"]},
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_installed_package_is_complete_and_typed(python: Path, tmp_path: Path) -> None:
    source = """
import importlib.metadata, importlib.resources, waybill_client, waybill_client.fake
print(importlib.metadata.version("waybill-client"))
print(importlib.resources.files("waybill_client").joinpath("py.typed").is_file())
"""
    assert run(python, source, {}, tmp_path).split() == [VERSION, "True"]


@pytest.mark.slow
def test_readme_runs_against_real_processes(stack: Stack, python: Path, tmp_path: Path) -> None:
    environment = {"WAYBILL_URL": stack.url, "WAYBILL_KEY": stack.flask("clients", "create", "c")}
    count, printed = 0, ""
    for block in blocks(README):
        if block.kind == "python":
            printed = run(python, block.text, environment, tmp_path)
            count += 1
        elif block.kind == "text output":
            assert_printed(block.text, printed, f"README.md:{block.line}")
    assert count == 6


@pytest.mark.slow
def test_events_arrive_while_a_request_waits(stack: Stack, python: Path, tmp_path: Path) -> None:
    source = """
import os, threading, time
from waybill_client import Waybill
waybill = Waybill(os.environ["WAYBILL_URL"], os.environ["WAYBILL_KEY"])
events = waybill.events(wait=25)
ids = []
threading.Timer(1, lambda: ids.append(waybill.send(to="+14155552671", body="Hi")["id"])).start()
started = time.monotonic()
for event in events:
    if event["data"]["final"]:
        events.stop()
print([event["data"]["id"]] == ids, time.monotonic() - started < 20)
"""
    environment = {"WAYBILL_URL": stack.url, "WAYBILL_KEY": stack.flask("clients", "create", "e")}
    assert run(python, source, environment, tmp_path).split() == ["True", "True"]
