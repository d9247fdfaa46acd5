"""Describes the machine, the versions and the commit of a run."""

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
    """Return the facts needed to repeat the run."""
    facts = {
        "commit": commit(_ROOT / ".git"),
        # Well above 0: other processes use the machine, and every rate is too low.
        "load average at the start": f"{os.getloadavg()[0]:.1f}",
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": _processor(),
        "system": platform.platform(terse=True),
        # With the build: Python without profile-guided optimisation is a fifth slower.
        "python": " ".join(sys.version.split()),
        **{name: version(name) for name in _PACKAGES},
    }
    if "wrk" not in missing:
        facts["wrk"] = _output("wrk", "-v").split()[1]
    if "node" not in missing:
        facts["node"] = _output("node", "--version")
        pinned = json.loads((GUIDE / "package.json").read_text())["dependencies"]
        facts |= {f"{name} (node)": number for name, number in pinned.items()}
    return facts


def commit(git: Path) -> str:
    """Return the commit that is checked out, read from the files of `.git`."""
    head = git / "HEAD"
    if not head.is_file():
        return "unknown"
    content = head.read_text().strip()
    if not content.startswith("ref: "):
        return content
    name = content.removeprefix("ref: ")
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


def _output(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return (result.stdout or result.stderr).strip().splitlines()[0]
