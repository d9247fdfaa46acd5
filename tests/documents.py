"""How documents are run: their blocks in order, as a reader would, against a running stack.

A block of `sh`, `python` or `js` is run. Variables that a block of `sh` sets are there for the
blocks after it. A block of `text output` or `json output` says what the one before it printed: each
line, or each member, with `…` for whatever differs from one time to the next.
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
# The address that documents name; a stack of the tests listens on any port that is free.
SHOWN_ADDRESS: Final = "http://127.0.0.1:8000"
_FENCE: Final = re.compile(r"^```(.*)\n((?:.*\n)*?)^```$", re.MULTILINE)
_STATE: Final = "variables"
_LONGEST: Final = 90.0


class Block(NamedTuple):
    """A fenced block: what stands behind the fence, what is in it, and where it begins."""

    kind: str
    text: str
    line: int
    before: str  # the paragraph that leads to it


def blocks(document: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a document, in order."""
    whole = document.read_text()
    for found in _FENCE.finditer(whole):
        before = whole[: found.start()].rstrip().rpartition("\n\n")[2]
        yield Block(found[1], found[2], whole[: found.start()].count("\n") + 1, before)


class Reader:
    """Somebody who works through a document, in a directory that looks like the repository."""

    def __init__(self, directory: Path, environment: Mapping[str, str], address: str) -> None:
        self._directory = directory
        self._environment = {**environment, "PATH": f"{_bin()}:{environment['PATH']}"}
        self._address = address
        self.skipped: list[Block] = []
        directory.mkdir()
        for entry in ROOT.iterdir():
            if not entry.name.startswith(".") and entry.name != "instance":
                (directory / entry.name).symlink_to(entry)
        (directory / _STATE).touch()

    def work_through(self, document: Path) -> int:
        """Run every block that can be run; return how many were. Raises AssertionError."""
        done, printed = 0, ""
        for block in blocks(document):
            place = f"{document.relative_to(ROOT)}:{block.line}"
            if block.kind in COMMANDS and shutil.which(COMMANDS[block.kind][0]) is None:
                self.skipped.append(block)
            elif block.kind in COMMANDS:
                printed = self.run(block.kind, block.text, place)
                done += 1
            elif block.kind == "text output":
                assert_printed(block.text, printed, place)
            elif block.kind == "json output":
                assert matches(json.loads(block.text), json.loads(printed)), f"{place}: {printed}"
        return done

    def run(self, kind: str, text: str, place: str) -> str:
        """Run one block; return what it printed. Raises AssertionError when it fails."""
        text = text.replace(SHOWN_ADDRESS, self._address)
        if kind == "sh":
            text = f"set -a\n{text}\nset +a\nexport -p > '{self._directory / _STATE}'"
        command = ["bash", "-c", f'. ./{_STATE} && exec "$@"', "bash", *COMMANDS[kind], text]
        done = subprocess.run(
            command,
            cwd=self._directory,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_LONGEST,
            check=False,
        )
        assert done.returncode == 0, f"{place} ended with {done.returncode}:\n{done.stderr}"
        return done.stdout


def assert_printed(expected: str, printed: str, place: str) -> None:
    """Hold what was printed to the lines of an output block, in their order."""
    lines = [".*".join(map(re.escape, line.split("…"))) for line in expected.splitlines()]
    pattern = r"\n(?:.*\n)*?".join(rf"[^\n]*{line}[^\n]*" for line in lines)
    assert re.search(pattern, printed), f"{place}: printed\n{printed}"


def matches(expected: Any, printed: Any) -> bool:
    """Tell whether everything that is expected was printed; `…` stands for anything."""
    if expected == "…":
        return True
    if isinstance(expected, dict) and isinstance(printed, dict):
        known = all(name in printed for name in expected)
        return known and all(matches(value, printed[name]) for name, value in expected.items())
    if isinstance(expected, list) and isinstance(printed, list):
        same = len(expected) == len(printed)
        return same and all(map(matches, expected, printed))
    return bool(expected == printed)


def _bin() -> str:
    return str(Path(sys.executable).parent)
