"""What every stand is made of: a child process on loopback that a test can kill and freeze."""

import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil
from redis import Redis
from redis.exceptions import RedisError

from demo.servers import server_binary

# Below the ports that Linux gives to outgoing connections: one of those could take the port of a
# server that is down for a moment.
_PORTS: Final = range(15000, 32000)


def output_of(command: Sequence[str], seconds: float, **options: Any) -> str:
    """Run a program of a server to its end; return its output."""
    done = subprocess.run(
        command, cwd="/", capture_output=True, text=True, timeout=seconds, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Server:
    """A process that a test can stop, kill, freeze and start again on the same port."""

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        *,
        port: int,
        environment: Mapping[str, str] | None = None,
        user: int | None = None,
    ) -> None:
        self.port = port
        self.directory = directory
        self.log = directory / "output"
        self._command = list(command)
        self._environment = environment
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        """Start the process, with more arguments for this time."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, *more],
                cwd="/",
                env=self._environment,
                user=self._user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def is_running(self) -> bool:
        """Report whether the process is running; a frozen one is."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Return the id of the process."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Kill the process and its children, as the loss of their machine would."""
        family = self._family()
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(10)
        # A child that still holds the port would answer in place of the next process.
        until(lambda: not any(map(_is_alive, family)), 10)

    def freeze(self) -> None:
        """Suspend the process and its children: connections stay open and get no answer."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume a suspended process and its children."""
        self.signal(signal.SIGCONT)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask the process to end; kill it after 10 s."""
        if self.is_running:
            self.thaw()
            assert self._process is not None
            self._process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(10)
            self.kill()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children, the parent first."""
        for process in self._family():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _family(self) -> list[psutil.Process]:
        if not self.is_running:
            return []
        parent = psutil.Process(self.pid)
        return [parent, *parent.children(recursive=True)]


class ValkeyServer(Server):
    """A Valkey or Redis server without snapshots."""

    def __init__(self, directory: Path, *options: str) -> None:
        directory.mkdir(parents=True)
        port = unused_port()
        place = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory))
        command = [server_binary(), *place, "--save", "", "--loglevel", "warning", *options]
        super().__init__(command, directory, port=port)

    def start(self, *more: str) -> None:
        """Start the server and wait until it answers, also while it loads its data."""
        super().start(*more)
        until(self._answers, 15)

    def _answers(self) -> bool:
        assert self.is_running, self.log.read_text()
        with self.client() as client:
            return bool(client.ping())

    def client(self, **options: Any) -> Redis:
        """Return a client of this server, which follows no failover."""
        return Redis(port=self.port, socket_timeout=5, protocol=2, retry=None, **options)

    def command(self, *words: object) -> Any:
        """Send one command; return the answer."""
        with self.client(decode_responses=True) as client:
            return client.execute_command(*words)  # type: ignore[no-untyped-call]

    def replication(self) -> dict[str, Any]:
        """Return the section `replication` of INFO."""
        with self.client(decode_responses=True) as client:
            return dict(client.info("replication"))


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def unused_port() -> int:
    """Return a port that no server used a moment ago, nor any outgoing connection will use."""
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def until(condition: Callable[[], object], seconds: float) -> float:
    """Wait for a condition; return the seconds it took. Raises AssertionError after `seconds`.

    An error of Redis or of the network counts as not yet.
    """
    start = time.monotonic()
    last: object = "the condition is false"
    while time.monotonic() - start < seconds:
        try:
            if condition():
                return time.monotonic() - start
            last = "the condition is false"
        except (RedisError, OSError) as error:
            last = error
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {last!r}")


def end(servers: Sequence[Server]) -> None:
    """End all servers, frozen ones too, and check that none is left."""
    for server in servers:
        server.kill()
    assert not any(server.is_running for server in servers)
