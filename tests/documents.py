"""Runs the blocks of a document in order, against running processes.

A block of `sh`, `python` or `js` is run. Variables that a block of `sh` sets exist in the blocks
after it. A block of `text output` or `json output` holds what the block before it printed: each
line, or each member, with `…` for parts that differ each time.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "sh": ("bash", "-euo", "pipefail", "-c"),
    "python": (sys.executable, "-c"),
    "js": ("node", "--input-type=module", "-e"),
}
# The address in the documents; tests replace it by the address of their web server.
SHOWN_ADDRESS: Final = "http://127.0.0.1:8000"
_FENCE: Final = re.compile(r"^```(.*)\n((?:.*\n)*?)^```$", re.MULTILINE)
_VARIABLES_FILE: Final = "variables"
_TIMEOUT: Final = 90.0


class Block(NamedTuple):
    """A fenced block of a document."""

    kind: str
    text: str
    line: int
    before: str  # the paragraph before the block


def blocks(document: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a document, in order."""
    text = document.read_text()
    for match in _FENCE.finditer(text):
        before = text[: match.start()].rstrip().rpartition("\n\n")[2]
        yield Block(match[1], match[2], text[: match.start()].count("\n") + 1, before)


class Reader:
    """Runs blocks in a directory that looks like the repository."""

    def __init__(self, directory: Path, environment: Mapping[str, str], address: str) -> None:
        self._directory = directory
        self._environment = {**environment, "PATH": f"{_bin()}:{environment['PATH']}"}
        self._address = address
        self.skipped: list[Block] = []
        directory.mkdir()
        for entry in ROOT.iterdir():
            if not entry.name.startswith(".") and entry.name != "instance":
                (directory / entry.name).symlink_to(entry)
        (directory / _VARIABLES_FILE).touch()

    def run_document(self, document: Path) -> int:
        """Run every block that can be run; return how many. Raises AssertionError."""
        count, printed = 0, ""
        for block in blocks(document):
            place = f"{document.relative_to(ROOT)}:{block.line}"
            if block.kind in COMMANDS and shutil.which(COMMANDS[block.kind][0]) is None:
                self.skipped.append(block)
            elif block.kind in COMMANDS:
                printed = self.run(block.kind, block.text, place)
                count += 1
            elif block.kind == "text output":
                assert_printed(block.text, printed, place)
            elif block.kind == "json output":
                assert matches(json.loads(block.text), json.loads(printed)), f"{place}: {printed}"
        return count

    def run(self, kind: str, text: str, place: str) -> str:
        """Run one block; return what it printed. Raises AssertionError if it fails."""
        text = text.replace(SHOWN_ADDRESS, self._address)
        if kind == "sh":
            text = f"set -a\n{text}\nset +a\nexport -p > '{self._directory / _VARIABLES_FILE}'"
        command = ["bash", "-c", f'. ./{_VARIABLES_FILE} && exec "$@"', "bash"]
        process = subprocess.run(
            [*command, *COMMANDS[kind], text],
            cwd=self._directory,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
        assert process.returncode == 0, f"{place}: status {process.returncode}:\n{process.stderr}"
        return process.stdout


def assert_printed(expected: str, printed: str, place: str) -> None:
    """Check that the lines of an output block were printed, in their order."""
    lines = [".*".join(map(re.escape, line.split("…"))) for line in expected.splitlines()]
    pattern = r"\n(?:.*\n)*?".join(rf"[^\n]*{line}[^\n]*" for line in lines)
    assert re.search(pattern, printed), f"{place}: printed\n{printed}"


def matches(expected: Any, printed: Any) -> bool:
    """Return whether all expected values were printed; `…` stands for any value."""
    if expected == "…":
        return True
    if isinstance(expected, dict) and isinstance(printed, dict):
        complete = all(name in printed for name in expected)
        return complete and all(matches(value, printed[name]) for name, value in expected.items())
    if isinstance(expected, list) and isinstance(printed, list):
        return len(expected) == len(printed) and all(map(matches, expected, printed))
    return bool(expected == printed)


def _bin() -> str:
    return str(Path(sys.executable).parent)
