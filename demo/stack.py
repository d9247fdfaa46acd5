"""The processes of Waybill, started as the README says, each ended by its own process id."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import requests

from demo.servers import free_port, redis_server
from service.config.settings import Settings

ACCOUNT: Final = "AC00000000000000000000000000000001"
TOKEN: Final = "only-for-the-simulator"  # noqa: S105 - the simulator's, and nobody else's
SENDER: Final = "+15005550006"
PLAN: Final = "simulated-plan"
PLAN_TOKEN: Final = "simulated-token"  # noqa: S105 - as above
CALLBACK_SECRET: Final = "simulated-secret"  # noqa: S105 - as above

_SECRETS: Final = {"TWILIO_AUTH_TOKEN": TOKEN, "OPS_SECRET": secrets.token_urlsafe(32)}
_BIN: Final = Path(sys.executable).parent
_PATIENCE: Final = 30.0
_GIVING_WAY: Final = 5  # how nice: a third of the weight of 0
_WEB: Final = ("granian", "--interface", "wsgi", "wsgi:app")
_WORKER: Final = ("celery", "-A", "worker.app", "worker")
COMMANDS: Final[Mapping[str, Sequence[str]]] = {
    "web": (*_WEB, "--workers", "2", "--blocking-threads", "4"),
    "worker-send": (*_WORKER, "-Q", "send", "-n", "send@%h"),
    "worker-status": (*_WORKER, "-Q", "status,maintenance", "-n", "status@%h"),
    "beat": ("celery", "-A", "worker.app", "beat"),
}


class Stack:
    """The processes of one Waybill, which can be ended and started again one by one."""

    def __init__(self, directory: Path, environment: Mapping[str, str], port: int) -> None:
        self.directory = directory
        self.environment = environment
        self.url = f"http://127.0.0.1:{port}"
        self.simulator_url = environment["TWILIO_API_BASE_URL"]
        # A copy: whoever wants another process, or another way to start one, says so here.
        self.commands = dict(COMMANDS)
        self._port = port
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Start one of `commands`."""
        place = ("--port", str(self._port)) if name == "web" else ()
        command = (*self.commands[name], *place)
        environment = dict(self.environment)
        if name == "web":
            environment["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(dir=self.directory)
        self._processes[name] = _start(name, command, environment, self.directory)
        if name == "web":
            _give_way(self.pid(name))

    def pid(self, name: str) -> int:
        """Return the id of a process."""
        return self._processes[name].pid

    def kill(self, name: str) -> None:
        """End a process and its children at once, in the middle of whatever they do."""
        process = self._processes[name]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def freeze(self, name: str) -> None:
        """Stop a process and its children where they are: connections stay open."""
        os.killpg(self.pid(name), signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen process go on."""
        os.killpg(self.pid(name), signal.SIGCONT)

    def stop(self, name: str) -> None:
        """End a process politely."""
        _stop(self._processes[name])

    def stop_all(self) -> None:
        """End every process, the web server first."""
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            _stop(process)

    def flask(self, *arguments: str) -> str:
        """Run `flask --app service.app …` against this stack; return what it printed."""
        return _run(("flask", "--app", "service.app", *arguments), self.environment)

    def revive(self) -> list[str]:
        """Start again what ended by itself, as a service manager would; return the names."""
        ended = [name for name, one in self._processes.items() if one.poll() is not None]
        for name in ended:
            self.start(name)
        return ended

    def check(self) -> None:
        """Raise RuntimeError when a process has ended."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                ended = f"{name} ended with status {process.returncode}"
                raise RuntimeError(f"{ended}:\n{self.log(name)}")

    def log(self, name: str) -> str:
        """Return the last lines of a process's log."""
        return "\n".join((self.directory / f"{name}.log").read_text().splitlines()[-20:])

    def await_ready(self) -> None:
        """Wait until the web server is ready. Raises RuntimeError when it does not become so."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            self.check()
            try:
                if requests.get(f"{self.url}/readyz", timeout=2).ok:
                    return
            except requests.ConnectionError:
                time.sleep(0.1)
        raise RuntimeError(f"the web server is not ready:\n{self.log('web')}")


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
    with ExitStack() as open_things:
        given = dict(environment or {})
        if "REDIS_URL" not in given:
            redis = open_things.enter_context(redis_server(directory / "redis"))
            given["REDIS_URL"] = redis.local_url
        carrier = open_things.enter_context(simulated_carrier(directory, simulator))
        settings = {
            **_clean_environment(),
            "DATABASE_URL": f"sqlite:///{directory}/waybill.db",
            "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
            **_SECRETS,
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_PHONE_NUMBER": SENDER,
            "TWILIO_API_BASE_URL": carrier,
            "SINCH_SERVICE_PLAN_ID": PLAN,
            "SINCH_API_TOKEN": PLAN_TOKEN,
            "SINCH_CALLBACK_SECRETS": CALLBACK_SECRET,
            "SINCH_PHONE_NUMBER": SENDER,
            "SINCH_API_BASE_URL": carrier,
            "SMS_ROUTES": "+46:sinch,*:twilio",
            "LOG_LEVEL": "WARNING",
            **given,
        }
        stack = Stack(directory, settings, port)
        open_things.callback(stack.stop_all)
        stack.flask("db", "upgrade")
        for name in COMMANDS:
            stack.start(name)
        stack.await_ready()
        yield stack


def _start(
    name: str, command: Sequence[str], environment: Mapping[str, str], directory: Path
) -> "subprocess.Popen[bytes]":
    with (directory / f"{name}.log").open("ab") as log:
        return subprocess.Popen(
            [str(_BIN / command[0]), *command[1:]],
            env=dict(environment),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours to pass on, in order
        )


def _give_way(pid: int) -> None:
    """Give a new process a third of the share that others have of a full machine.

    As docker-compose.yml does: what is accepted is recorded before more is. Nice counts between
    sessions where it is the session's, as `autogroup` in sched(7) says, and else the process's.
    """
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, _GIVING_WAY)
        Path(f"/proc/{pid}/autogroup").write_text(str(_GIVING_WAY))


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End a process: politely, and if it does not listen, for good."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def simulated_carrier(directory: Path, arguments: Sequence[str]) -> Iterator[str]:
    """Run the simulator; yield its address."""
    command = (
        *("python", "-m", "simulator", "--account-sid", ACCOUNT, "--auth-token", TOKEN),
        *("--sinch-plan", PLAN, "--sinch-token", PLAN_TOKEN, "--sinch-secret", CALLBACK_SECRET),
        *arguments,
    )
    process = _start("simulator", command, _clean_environment(), directory)
    try:
        yield _listening(process, directory / "simulator.log")
    finally:
        _stop(process)


def _listening(process: "subprocess.Popen[bytes]", log: Path) -> str:
    until = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < until:
        said = log.read_text()
        if "listening on " in said and said.endswith("\n"):
            return said.split("listening on ", 1)[1].split()[0]
        time.sleep(0.05)
    raise RuntimeError("the simulator did not start; see simulator.log")


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
