"""Starts the processes of Waybill with the commands of the README, and stops them by process id."""

import os
import secrets
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import requests

from demo.processes import lower_priority, run_command, start_process, stop_process
from demo.servers import free_port, redis_server
from service.config.settings import Settings

ACCOUNT: Final = "AC00000000000000000000000000000001"
TOKEN: Final = "only-for-the-simulator"  # noqa: S105 - accepted by the simulator only
SENDER: Final = "+15005550006"
PLAN: Final = "simulated-plan"
PLAN_TOKEN: Final = "simulated-token"  # noqa: S105 - as above
CALLBACK_SECRET: Final = "simulated-secret"  # noqa: S105 - as above

_SECRETS: Final = {"TWILIO_AUTH_TOKEN": TOKEN, "OPS_SECRET": secrets.token_urlsafe(32)}
_START_TIMEOUT: Final = 90.0  # a busy machine with two cores needed more than 30 s
# A third of the CPU weight of the workers, as in docker-compose.yml: so workers record accepted
# callbacks before the web server accepts more.
_WEB_NICENESS: Final = 5
_WEB: Final = ("granian", "--interface", "wsgi", "wsgi:app")
_WORKER: Final = ("celery", "-A", "worker.app", "worker")
COMMANDS: Final[Mapping[str, Sequence[str]]] = {
    "web": (*_WEB, "--workers", "2", "--blocking-threads", "4"),
    "worker-send": (*_WORKER, "-Q", "send", "-n", "send@%h"),
    "worker-status": (*_WORKER, "-Q", "status,maintenance", "-n", "status@%h"),
    "worker-webhooks": (*_WORKER, "-Q", "webhooks", "-n", "webhooks@%h"),
    "beat": ("celery", "-A", "worker.app", "beat"),
}


class Stack:
    """The processes of one Waybill. Each can be stopped and started separately."""

    def __init__(self, directory: Path, environment: Mapping[str, str], port: int) -> None:
        self.directory = directory
        self.environment = environment
        self.url = f"http://127.0.0.1:{port}"
        self.simulator_url = environment["TWILIO_API_BASE_URL"]
        # A copy: callers may change the commands of this stack and add processes.
        self.commands = dict(COMMANDS)
        self._port = port
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Start one of `commands`."""
        port = ("--port", str(self._port)) if name == "web" else ()
        command = (*self.commands[name], *port)
        environment = dict(self.environment)
        if name == "web":  # its processes count into one directory, empty at each start
            environment["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(dir=self.directory)
        self._processes[name] = start_process(name, command, environment, self.directory)
        if name == "web":
            lower_priority(self.pid(name), _WEB_NICENESS)

    def pid(self, name: str) -> int:
        """Return the id of a process."""
        return self._processes[name].pid

    def kill(self, name: str) -> None:
        """Kill a process and its children with SIGKILL."""
        process = self._processes[name]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def freeze(self, name: str) -> None:
        """Pause a process and its children with SIGSTOP; their connections stay open."""
        os.killpg(self.pid(name), signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Resume a frozen process."""
        os.killpg(self.pid(name), signal.SIGCONT)

    def stop(self, name: str) -> None:
        """Stop a process with SIGTERM."""
        stop_process(self._processes[name])

    def stop_all(self) -> None:
        """Stop every process, the web server first."""
        for process in self._processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            stop_process(process)

    def flask(self, *arguments: str) -> str:
        """Run `flask --app wsgi …` against this stack; return what it printed."""
        return run_command(("flask", "--app", "service.app", *arguments), self.environment)

    def revive(self) -> list[str]:
        """Restart processes that have exited, as a service manager does; return their names."""
        ended = [name for name, process in self._processes.items() if process.poll() is not None]
        for name in ended:
            self.start(name)
        return ended

    def check(self) -> None:
        """Raise RuntimeError when a process has exited."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                exited = f"{name} exited with status {process.returncode}"
                raise RuntimeError(f"{exited}:\n{self.log(name)}")

    def log(self, name: str) -> str:
        """Return the last lines of a process's log."""
        return "\n".join((self.directory / f"{name}.log").read_text().splitlines()[-20:])

    def await_ready(self) -> None:
        """Wait until the web server is ready. Raises RuntimeError after 90 s."""
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline:
            self.check()
            with suppress(requests.RequestException):
                if requests.get(f"{self.url}/readyz", timeout=2).ok:
                    return
            time.sleep(0.1)
        raise RuntimeError(
            f"the web server is not ready after {_START_TIMEOUT:.0f} s:\n{self.log('web')}"
        )


@contextmanager
def running(
    directory: Path,
    *,
    simulator: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Iterator[Stack]:
    """Run Redis, the simulator, the web server, the workers and beat; yield when it is ready."""
    directory.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    with ExitStack() as resources:
        overrides = dict(environment or {})
        if "REDIS_URL" not in overrides:
            redis = resources.enter_context(redis_server(directory / "redis"))
            overrides["REDIS_URL"] = redis.local_url
        arguments = (*simulator, *_inbound_urls(port))
        provider = resources.enter_context(simulated_provider(directory, arguments))
        settings = {**_settings(directory, port, provider), **overrides}
        stack = Stack(directory, settings, port)
        resources.callback(stack.stop_all)
        stack.flask("db", "upgrade")
        for name in COMMANDS:
            stack.start(name)
        stack.await_ready()
        yield stack


def _settings(directory: Path, port: int, provider_url: str) -> dict[str, str]:
    return {
        **_clean_environment(),
        "DATABASE_URL": f"sqlite:///{directory}/waybill.db",
        "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
        **_SECRETS,
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_PHONE_NUMBER": SENDER,
        "TWILIO_API_BASE_URL": provider_url,
        "SINCH_SERVICE_PLAN_ID": PLAN,
        "SINCH_API_TOKEN": PLAN_TOKEN,
        "SINCH_CALLBACK_SECRETS": CALLBACK_SECRET,
        "SINCH_PHONE_NUMBER": SENDER,
        "SINCH_API_BASE_URL": provider_url,
        "SMS_ROUTES": "+46:sinch,*:twilio",
        # Webhooks to receivers on this machine.
        "WEBHOOK_ALLOW_HTTP": "true",
        "WEBHOOK_NETWORKS": "127.0.0.0/8,::1/128",
        "LOG_LEVEL": "WARNING",
    }


def _inbound_urls(port: int) -> Iterator[str]:
    """Yield the options that set the webhook URLs of inbound messages in the consoles."""
    for provider in ("twilio", "sinch"):
        yield f"--inbound-url={provider}=http://127.0.0.1:{port}/inbound/{provider}"


@contextmanager
def simulated_provider(directory: Path, arguments: Sequence[str]) -> Iterator[str]:
    """Run the simulator; yield its URL."""
    command = (
        *("python", "-m", "simulator", "--account-sid", ACCOUNT, "--auth-token", TOKEN),
        *("--sinch-plan", PLAN, "--sinch-token", PLAN_TOKEN, "--sinch-secret", CALLBACK_SECRET),
        *arguments,
    )
    process = start_process("simulator", command, _clean_environment(), directory)
    try:
        yield _await_url(process, directory / "simulator.log")
    finally:
        stop_process(process)


def _await_url(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + _START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        output = log.read_text()
        if "listening on " in output and output.endswith("\n"):
            return output.split("listening on ", 1)[1].split()[0]
        time.sleep(0.05)
    raise RuntimeError("the simulator did not start; see simulator.log")


def _clean_environment() -> dict[str, str]:
    """Return the environment without Waybill's settings."""
    # A blank value means the default and overrides a `.env` in the current directory.
    return {**os.environ, **dict.fromkeys(map(str.upper, Settings.model_fields), "")}
