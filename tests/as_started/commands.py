"""Reads the commands of README.md and docker-compose.yml from those files."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).parents[2]
Commands = Mapping[str, Sequence[str]]

# Words that identify the role of a command.
_ROLES: Final = {
    "migrate": ("flask", "db", "upgrade"),
    "web": ("granian",),
    "worker-send": ("worker", "-Q", "send"),
    "worker-status": ("worker", "-Q", "status,maintenance"),
    "worker-webhooks": ("worker", "-Q", "webhooks"),
    "beat": ("celery", "beat"),
}


def readme_commands(checkout: Path = ROOT) -> Commands:
    """Return the commands of README.md by role."""
    text = (checkout / "README.md").read_text()
    blocks = re.findall(r"^```\w*\n((?:.*\n)*?)^```$", text, re.MULTILINE)
    [block] = [block for block in blocks if "granian" in block]
    return {_role(words): words for words in map(shlex.split, block.splitlines()) if words}


def compose_commands(port: int) -> Commands:
    """Return the commands of docker-compose.yml by role, with this port on loopback."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    commands = [
        shlex.split(service["command"]) for service in services.values() if "build" in service
    ]
    options = {"--host": "127.0.0.1", "--port": str(port)}
    return {
        _role(words): [
            options.get(previous, word) for previous, word in zip(["", *words], words, strict=False)
        ]
        for words in commands
    }


def _role(words: Sequence[str]) -> str:
    [role] = [role for role, markers in _ROLES.items() if set(markers) <= set(words)]
    return role
