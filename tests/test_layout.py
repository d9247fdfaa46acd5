"""The floor plan. Where a rule is broken, the message says what to do instead."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("service", "worker", "simulator", "demo", "bench")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
PACKAGES = sorted({path.parent for path in MODULES})
EXPECTED = (
    *("service", "worker", "simulator", "migrations", "tests", "docs", "wsgi.py"),
    *("docker-compose.yml", "requirements.txt", ".env.example", "README.md"),
)
SAYS_NOTHING = {"utils", "helpers", "common", "manager", "core"}
LONGEST_MODULE, LONGEST_FUNCTION, LONGEST_TASK = 250, 40, 3
# Put together here, so that this file does not find itself.
PRIVATE = ("../" + "shared", "/" + "work" + "/")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = (ROOT / one for one in listed.stdout.decode().split("\0") if one)
    return [path for path in paths if path.is_file()]


@pytest.mark.parametrize("entry", EXPECTED)
def test_the_top_level_holds_what_a_newcomer_looks_for(entry: str) -> None:
    assert (ROOT / entry).exists(), f"{entry} is missing: the README and the tools point to it"


@pytest.mark.parametrize("path", [*MODULES, *PACKAGES], ids=name)
def test_a_name_says_what_is_inside(path: Path) -> None:
    assert path.stem not in SAYS_NOTHING, (
        f"{name(path)} could hold anything. Name it for the one thing it does."
    )


@pytest.mark.parametrize("path", PACKAGES, ids=name)
def test_a_package_introduces_itself(path: Path) -> None:
    door = path / "__init__.py"

    assert door.exists(), f"{name(path)} has no __init__.py: add one that says what the room is for"
    assert ast.get_docstring(ast.parse(door.read_text())), (
        f"{name(door)} has no docstring: say in a sentence what the room is for"
    )


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_fits_a_few_screens(path: Path) -> None:
    length = len(path.read_text().splitlines())

    assert length <= LONGEST_MODULE, (
        f"{name(path)} has {length} lines, more than {LONGEST_MODULE}. It does two things: "
        "find where one ends, and make that a module of its own."
    )


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_function_fits_one_screen(path: Path) -> None:
    long = {node.name: lines(node) for node in functions(path) if lines(node) > LONGEST_FUNCTION}

    assert not long, (
        f"{name(path)}: more than {LONGEST_FUNCTION} lines in {long}. Name the steps, and make "
        "each a function."
    )


def test_a_task_is_a_line_in_a_table_of_contents() -> None:
    path = ROOT / "worker" / "tasks.py"
    fat = [node.name for node in functions(path) if len(node.body) > LONGEST_TASK]

    assert not fat, f"worker/tasks.py: {fat} do work of their own. Move it into service/flows."


def test_a_provider_is_named_in_its_own_room_and_in_the_settings_only() -> None:
    providers = {path.name for path in (ROOT / "service/providers").iterdir() if path.is_dir()}
    # Whoever has a test key is treated otherwise on purpose; documents need an example.
    providers -= {"__pycache__", "sandbox"}
    examples = ("service/web/api/responses.py", "service/web/openapi/examples.py")
    welcome = ("service/providers/", "service/config", *examples)
    found = [
        f"{name(path)}: {provider}"
        for path in MODULES
        if name(path).startswith(("service/", "worker/")) and not name(path).startswith(welcome)
        for provider in providers
        if provider in path.read_text().lower()
    ]

    assert providers >= {"twilio", "sinch"}
    assert not found, (
        f"{found}: whatever differs between providers belongs into service/providers/base.py."
    )


def test_no_file_points_to_a_place_that_only_its_author_has() -> None:
    found = [
        f"{name(path)}: {private}"
        for path in tracked()
        for private in PRIVATE
        if private.encode() in path.read_bytes()
    ]

    assert not found, (
        f"these mention a directory outside the repository: {found}. Say it here, or link to it."
    )
