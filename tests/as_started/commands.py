"""The commands that README.md and docker-compose.yml give, read from those files."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).parents[2]
Commands = Mapping[str, Sequence[str]]

# What tells the role of a command.
_ROLES: Final = {
    "migrate": ("flask", "db", "upgrade"),
    "web": ("granian",),
    "worker-send": ("worker", "-Q", "send"),
    "worker-status": ("worker", "-Q", "status,maintenance"),
    "beat": ("celery", "beat"),
}


def readme_commands() -> Commands:
    """Return what README.md tells a reader to start by hand, by role."""
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```\w*\n((?:.*\n)*?)^```$", text, re.MULTILINE)
    [block] = [block for block in blocks if "granian" in block]
    return {_role(words): words for words in map(shlex.split, block.splitlines()) if words}


def compose_commands(port: int) -> Commands:
    """Return what docker-compose.yml runs, on loopback and at a port of the test, by role."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    commands = [shlex.split(one["command"]) for one in services.values() if "build" in one]
    places = {"--host": "127.0.0.1", "--port": str(port)}
    return {
        _role(words): [
            places.get(before, word) for before, word in zip(["", *words], words, strict=False)
        ]
        for words in commands
    }


def _role(words: Sequence[str]) -> str:
    [role] = [role for role, marks in _ROLES.items() if set(marks) <= set(words)]
    return role
