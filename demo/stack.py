"""The processes of Waybill, started as the README says, each ended by its own process id."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import requests

from demo.servers import free_port, redis_server
from service.config import Settings

ACCOUNT: Final = "AC00000000000000000000000000000001"
TOKEN: Final = "only-for-the-simulator"  # noqa: S105 - the simulator's, and nobody else's
SENDER: Final = "+15005550006"

_BIN: Final = Path(sys.executable).parent
_PATIENCE: Final = 30.0
_WEB: Final = ("granian", "--interface", "wsgi", "wsgi:app")
_WORKER: Final = ("celery", "-A", "worker.app", "worker")
COMMANDS: Final[Mapping[str, Sequence[str]]] = {
    "web": (*_WEB, "--workers", "2", "--blocking-threads", "4"),
    "worker-send": (*_WORKER, "-Q", "send", "-n", "send@%h"),
    "worker-status": (*_WORKER, "-Q", "status,maintenance", "-n", "status@%h"),
    "beat": ("celery", "-A", "worker.app", "beat"),
}


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack."""

    url: str
    simulator_url: str
    environment: Mapping[str, str]
    directory: Path
    processes: Mapping[str, "subprocess.Popen[bytes]"]

    def flask(self, *arguments: str) -> str:
        """Run `flask --app wsgi …` against this stack; return what it printed."""
        return _run(("flask", "--app", "wsgi", *arguments), self.environment)

    def check(self) -> None:
        """Raise RuntimeError when a process has ended."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                ended = f"{name} ended with status {process.returncode}"
                raise RuntimeError(f"{ended}:\n{self.log(name)}")

    def log(self, name: str) -> str:
        """Return the last lines of a process's log."""
        return "\n".join((self.directory / f"{name}.log").read_text().splitlines()[-20:])


@contextmanager
def running(
    directory: Path,
    *,
    simulator: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Iterator[Stack]:
    """Run Redis, the simulator, the web server, both workers and beat; yield when all is ready."""
    directory.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    with ExitStack() as open_things:
        redis_url = open_things.enter_context(redis_server(directory / "redis"))
        carrier = open_things.enter_context(_simulator(directory, simulator))
        settings = {
            **_clean_environment(),
            "DATABASE_URL": f"sqlite:///{directory}/waybill.db",
            "REDIS_URL": redis_url,
            "PUBLIC_BASE_URL": url,
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_PHONE_NUMBER": SENDER,
            "TWILIO_API_BASE_URL": carrier,
            "LOG_LEVEL": "WARNING",
            **(environment or {}),
        }
        _run(("flask", "--app", "wsgi", "db", "upgrade"), settings)
        processes = {}
        for name, command in COMMANDS.items():
            place = ("--port", str(port)) if name == "web" else ()
            process = _process(name, (*command, *place), settings, directory)
            processes[name] = open_things.enter_context(process)
        stack = Stack(url, carrier, settings, directory, processes)
        _await_ready(stack)
        yield stack


@contextmanager
def _process(
    name: str, command: Sequence[str], environment: Mapping[str, str], directory: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    with (directory / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [str(_BIN / command[0]), *command[1:]],
            env=dict(environment),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours to pass on, in order
        )
    try:
        yield process
    finally:
        stop(process)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a process: politely, and if it does not listen, for good."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _simulator(directory: Path, arguments: Sequence[str]) -> Iterator[str]:
    command = (
        *("python", "-m", "simulator", "--account-sid", ACCOUNT, "--auth-token", TOKEN),
        *arguments,
    )
    with _process("simulator", command, _clean_environment(), directory) as process:
        until = time.monotonic() + _PATIENCE
        while process.poll() is None and time.monotonic() < until:
            said = (directory / "simulator.log").read_text()
            if "listening on " in said and said.endswith("\n"):
                yield said.split("listening on ", 1)[1].split()[0]
                return
            time.sleep(0.05)
        raise RuntimeError("the simulator did not start; see simulator.log")


def _await_ready(stack: Stack) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        stack.check()
        try:
            if requests.get(f"{stack.url}/readyz", timeout=2).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise RuntimeError(f"the web server is not ready:\n{stack.log('web')}")


def _run(command: Sequence[str], environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        [str(_BIN / command[0]), *command[1:]],
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout.strip()


def _clean_environment() -> dict[str, str]:
    """Return the environment without settings that are meant for another Waybill."""
    # Blank means the default, and beats what a `.env` beside us says.
    return {**os.environ, **dict.fromkeys(map(str.upper, Settings.model_fields), "")}
