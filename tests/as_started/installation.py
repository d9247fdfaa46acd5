"""Installs Waybill and starts its processes as documented; stops each by its process id."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import requests

from service.config.settings import Settings
from tests.as_started.commands import ROOT, Commands

_BIN: Final = Path(sys.executable).parent
_START_TIMEOUT: Final = 90.0  # a busy machine with two cores needed more than 30 s
_STOP_TIMEOUT: Final = 60.0


class Installation:
    """A directory with links to a checkout and an `.env`, and the processes started there."""

    def __init__(
        self,
        directory: Path,
        commands: Commands,
        port: int,
        settings: Mapping[str, str],
        checkout: Path = ROOT,
    ) -> None:
        self.directory = directory
        self.environment = dict(settings)
        self.url = f"http://127.0.0.1:{port}"
        self._commands = commands
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        # The command of the README has no port: the server reads it from the environment.
        names = {name.upper() for name in Settings.model_fields}
        clean = {name: value for name, value in os.environ.items() if name not in names}
        self._process_environment = {
            **clean,
            "PATH": f"{_BIN}:{clean['PATH']}",
            "GRANIAN_PORT": str(port),
        }
        _link(checkout, directory)
        (directory / ".env").write_text(_env_file(checkout, settings))

    def export(self, **variables: str) -> None:
        """Set environment variables for processes started later."""
        self._process_environment.update(variables)

    def start(self, *roles: str) -> None:
        """Start these processes, and wait until the web server answers."""
        for role in roles:
            with self._log(role).open("ab") as log:
                self._processes[role] = subprocess.Popen(
                    self._commands[role],
                    cwd=self.directory,
                    env=self._process_environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        if "web" in roles:
            until(lambda: requests.get(f"{self.url}/healthz", timeout=2).ok, _START_TIMEOUT)

    def run(self, *words: str) -> str:
        """Run a command; return its output."""
        done = subprocess.run(
            words,
            cwd=self.directory,
            env=self._process_environment,
            capture_output=True,
            text=True,
            timeout=_START_TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def migrate(self) -> None:
        """Migrate the database with the documented command."""
        self.run(*self._commands["migrate"])

    def pid(self, role: str) -> int:
        """Return the id of a process."""
        return self._processes[role].pid

    def is_running(self, role: str) -> bool:
        """Report whether a process is running."""
        return self._processes[role].poll() is None

    def log(self, role: str) -> str:
        """Return the output of a process."""
        return self._log(role).read_text()

    def stop(self, role: str) -> None:
        """Stop a process with SIGTERM, and wait until it has ended what it was doing."""
        self._processes[role].send_signal(signal.SIGTERM)
        self._processes[role].wait(_STOP_TIMEOUT)

    def stop_all(self) -> None:
        """Stop every process with SIGTERM, after 20 s with SIGKILL."""
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with suppress(ProcessLookupError):  # also its children
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _log(self, role: str) -> Path:
        return self.directory / f"{role}.log"


class Client:
    """An internal service that posts to the installation."""

    def __init__(self, installation: Installation, name: str = "shop") -> None:
        key = installation.run("flask", "--app", "service.app", "clients", "create", name)
        self.headers = {"Authorization": f"Bearer {key}"}
        self._url = f"{installation.url}/v1/messages"

    def post(self, **message: Any) -> str:
        """Post a message that must be accepted; return its id."""
        answer = self.send(**message)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def send(self, timeout: float = 30, **message: Any) -> requests.Response:
        """Post a message; return the answer."""
        fields = {"to": "+14155552671", "body": "Hello", **message}
        return requests.post(self._url, json=fields, headers=self.headers, timeout=timeout)

    def message(self, message_id: str) -> dict[str, Any]:
        """Return a message as the API shows it."""
        answer = requests.get(f"{self._url}/{message_id}", headers=self.headers, timeout=30)
        answer.raise_for_status()
        message: dict[str, Any] = answer.json()
        return message

    def status(self, message_id: str) -> str:
        """Return the status of a message."""
        return str(self.message(message_id)["status"])


@contextmanager
def installed(
    directory: Path, commands: Commands, port: int, settings: Mapping[str, str]
) -> Iterator[Installation]:
    """Install and migrate; stop every process afterwards."""
    installation = Installation(directory, commands, port, settings)
    try:
        installation.migrate()
        yield installation
    finally:
        installation.stop_all()


def until(condition: Callable[[], bool], seconds: float) -> float:
    """Wait for a condition; return the seconds. Raises AssertionError after `seconds`."""
    start = time.monotonic()
    while True:
        try:
            if condition():
                return time.monotonic() - start
        except requests.RequestException as error:
            last: object = error
        else:
            last = "false"
        assert time.monotonic() - start < seconds, f"not within {seconds} s: {last}"
        time.sleep(0.05)


def _link(checkout: Path, directory: Path) -> None:
    directory.mkdir(parents=True)
    for entry in checkout.iterdir():
        if not entry.name.startswith(".") and entry.name != "instance":
            (directory / entry.name).symlink_to(entry)


def _env_file(checkout: Path, settings: Mapping[str, str]) -> str:
    """Return `.env.example` with these settings."""
    lines = (checkout / ".env.example").read_text().splitlines()
    missing = dict(settings)
    for index, line in enumerate(lines):
        name = re.match(r"(?:# )?([A-Z_]+)=", line)
        if name and name[1] in missing:
            lines[index] = f"{name[1]}={missing.pop(name[1])}"
    assert not missing, f".env.example lacks {sorted(missing)}"
    return "\n".join([*lines, ""])
