"""On what was measured: the machine, the versions, the commit."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench.peers.running import GUIDE

_PACKAGES: Final = ("flask", "celery", "granian", "sqlalchemy", "psycopg", "redis", "twilio")
_ROOT: Final = Path(__file__).parents[1]


def described(missing: Mapping[str, str]) -> dict[str, str]:
    """Return what a reader needs to repeat the run."""
    facts = {
        "commit": commit(_ROOT / ".git"),
        # Well above 0: somebody else is at work here, and every figure is too low.
        "load average at the start": f"{os.getloadavg()[0]:.1f}",
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": _processor(),
        "system": platform.platform(terse=True),
        # And when it was built: one that was not optimised by profile takes a fifth longer.
        "python": " ".join(sys.version.split()),
        **{name: version(name) for name in _PACKAGES},
    }
    if "wrk" not in missing:
        facts["wrk"] = _said("wrk", "-v").split()[1]
    if "node" not in missing:
        facts["node"] = _said("node", "--version")
        pinned = json.loads((GUIDE / "package.json").read_text())["dependencies"]
        facts |= {f"{name} (node)": number for name, number in pinned.items()}
    return facts


def commit(git: Path) -> str:
    """Return what is checked out, as far as the files of `.git` say."""
    head = git / "HEAD"
    if not head.is_file():
        return "unknown"
    said = head.read_text().strip()
    if not said.startswith("ref: "):
        return said
    name = said.removeprefix("ref: ")
    if (git / name).is_file():
        return (git / name).read_text().strip()
    packed = git / "packed-refs"
    lines = packed.read_text().splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), "unknown")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).strip().splitlines()[0]
