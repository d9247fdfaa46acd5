"""The size and layout of the code: budgets, and names of packages and modules."""

import ast
import io
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOP = ("service", "worker", "simulator", "demo", "bench", "clients/python/waybill_client")
GENERATED = ROOT / "clients/python/waybill_client/types.py"
MODULES = sorted(path for name in TOP for path in (ROOT / name).rglob("*.py") if path != GENERATED)
PACKAGES = sorted({path.parent for path in MODULES})
VAGUE_NAMES = {"utils", "helpers", "common", "manager", "core"}
MAX_LOOSE_MODULES, MAX_MODULE_LINES, MAX_FUNCTION_LINES, MAX_TASK_LINES = 6, 200, 40, 3
# Assembled here, so that this file does not contain them.
PRIVATE_PATHS = ("../" + "shared", "/" + "work" + "/")
NO_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def code_lines(text: str) -> int:
    """Count the lines that are neither blank nor a comment; docstrings count."""
    lines = text.splitlines()
    numbers = {
        number
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in NO_CODE
        for number in range(token.start[0], token.end[0] + 1)
    }
    return sum(1 for number in numbers if lines[number - 1].strip())


def tracked_files() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = (ROOT / name for name in listing.stdout.decode().split("\0") if name)
    return [path for path in paths if path.is_file()]


def test_code_lines_skips_blank_lines_and_comments() -> None:
    assert code_lines('"""Doc.\n\nMore.\n"""\n\n# comment\nx = 1  # why\n') == 4


def test_service_has_few_loose_modules() -> None:
    loose = {path.name for path in (ROOT / "service").glob("*.py")} - {"__init__.py"}
    assert len(loose) <= MAX_LOOSE_MODULES, f"move one into a package: {sorted(loose)}"


@pytest.mark.parametrize("path", [*MODULES, *PACKAGES], ids=relative)
def test_module_name_is_not_vague(path: Path) -> None:
    assert path.stem not in VAGUE_NAMES, f"name {relative(path)} after the one thing it does"


@pytest.mark.parametrize("path", PACKAGES, ids=relative)
def test_package_has_a_docstring(path: Path) -> None:
    init = path / "__init__.py"
    assert init.exists(), f"{relative(path)} has no __init__.py"
    assert ast.get_docstring(ast.parse(init.read_text())), f"{relative(init)} has no docstring"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_module_is_short(path: Path) -> None:
    length = code_lines(path.read_text())
    assert length <= MAX_MODULE_LINES, (
        f"{relative(path)} has {length} lines, more than {MAX_MODULE_LINES}: split it"
    )


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_functions_are_short(path: Path) -> None:
    lengths = {node.name: function_lines(node) for node in functions(path)}
    too_long = {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES}
    assert not too_long, f"{relative(path)}: over {MAX_FUNCTION_LINES} lines, split: {too_long}"


def test_tasks_are_short() -> None:
    path = ROOT / "worker" / "tasks.py"
    too_long = [node.name for node in functions(path) if len(node.body) > MAX_TASK_LINES]
    assert not too_long, f"worker/tasks.py: move the work of {too_long} into a use case"


def test_only_providers_and_settings_name_a_provider() -> None:
    packages = {path.name for path in (ROOT / "service/providers").iterdir() if path.is_dir()}
    # Test keys are treated differently on purpose; documents need an example.
    providers = packages - {"__pycache__", "sandbox"}
    example = "service/representations/types.py"
    allowed = ("service/providers/", "service/config/", example)
    mentions = [
        f"{relative(path)}: {provider}"
        for path in MODULES
        if relative(path).startswith(("service/", "worker/"))
        and not relative(path).startswith(allowed)
        for provider in providers
        if provider in path.read_text().lower()
    ]
    assert providers == {"twilio", "sinch"}
    assert not mentions, f"differences belong into service/providers/base.py: {mentions}"


def test_no_file_cites_a_private_path() -> None:
    mentions = [
        f"{relative(path)}: {private}"
        for path in tracked_files()
        for private in PRIVATE_PATHS
        if private.encode() in path.read_bytes()
    ]
    assert not mentions, f"these files cite a directory outside the repository: {mentions}"
