"""Several processes answer as one; the dead are counted and cleared away; no disk kills anybody."""

import ast
import errno
import multiprocessing
import os
import subprocess
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from service.observability.metrics import processes

ROOT = Path(__file__).parents[4]
RECEIVED = 'waybill_callbacks_received_total{outcome="stored",provider="twilio"}'
REQUESTS = "waybill_http_request_duration_seconds_count"

# A web server in small: two children of one parent that count, and answer when they are asked.
SERVER = """
import multiprocessing, sys, time

def child(pipe):
    from service.observability.metrics import counting
    from service.observability.metrics.exposition import exposed
    counting.prepare(["twilio"])
    while True:
        word, *rest = pipe.recv()
        if word == "count":
            for _ in range(rest[0]):
                counting.received("twilio", "stored")
                counting.request("GET", "/healthz", 200, time.perf_counter())
        pipe.send(exposed().decode())

if __name__ == "__main__":
    context, pipes = multiprocessing.get_context("spawn"), {}
    print("ready", flush=True)
    for line in sys.stdin:
        name, word, *rest = line.split()
        if word == "start":
            mine, theirs = context.Pipe()
            process = context.Process(target=child, args=(theirs,), daemon=True)
            process.start()
            pipes[name] = (process, mine)
            print(process.pid, flush=True)
        elif word == "kill":
            pipes[name][0].kill()
            pipes[name][0].join()
            print("killed", flush=True)
        else:
            pipes[name][1].send([word, *map(int, rest)])
            print(repr(pipes[name][1].recv()), flush=True)
"""


class Server:
    """The parent of processes that count."""

    def __init__(self, place: Path) -> None:
        script = place / "server.py"
        script.write_text(SERVER)
        environment = {
            **{name: value for name, value in os.environ.items() if name != processes.VARIABLE},
            "TMPDIR": str(place),
            "PYTHONPATH": str(ROOT),
        }
        self.process = subprocess.Popen(
            [sys.executable, str(script)],
            env=environment,
            cwd=place,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == "ready"

    def ask(self, name: str, *words: object) -> str:
        """Tell a child something; return its answer."""
        assert self.process.stdin is not None
        print(name, *words, file=self.process.stdin, flush=True)
        return self._answer()

    def shown(self, name: str) -> list[str]:
        """Return what a child shows, in an order of its own."""
        text: str = ast.literal_eval(self.ask(name, "show"))
        return sorted(text.splitlines())

    def counted(self, name: str, sample: str = RECEIVED) -> float:
        """Return the value that a child shows."""
        [line] = [line for line in self.shown(name) if line.startswith(sample)]
        return float(line.rpartition(" ")[2])

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        """End it, and its children with it."""
        if self.process.poll() is None:
            self.process.communicate(timeout=10)


@pytest.fixture
def server(tmp_path: Path) -> Any:
    with Server(tmp_path) as made:
        for name in ("a", "b"):
            made.ask(name, "start")
        for name in ("a", "b"):
            # A directory in which nobody is yet is a dead server's: whoever comes clears it.
            made.ask(name, "show")
        yield made


def files(place: Path) -> list[str]:
    found = place.glob("waybill-metrics-*/*/*.db")
    return sorted(path.name.partition("_")[0] for path in found)


def test_two_processes_of_one_server_answer_as_one(server: Server) -> None:
    server.ask("a", "count", 3)
    server.ask("b", "count", 4)

    for name in ("a", "b"):
        assert server.counted(name) == 7
        assert server.counted(name, REQUESTS) == 7


def test_what_a_process_counted_that_was_killed_stays_counted_and_its_files_go(
    server: Server, tmp_path: Path
) -> None:
    for _ in range(3):
        server.ask("b", "count", 5)
        server.ask("b", "kill")
        server.ask("b", "start")
        assert server.counted("a") == server.counted("b")

    assert server.counted("a") == 15
    assert server.counted("a", REQUESTS) == 15
    # Two of each living process, and two for all the dead together.
    assert files(tmp_path) == ["counter"] * 3 + ["histogram"] * 3


def test_what_was_folded_is_a_histogram_still(server: Server) -> None:
    server.ask("b", "count", 5)
    before = server.shown("a")
    server.ask("b", "kill")

    assert server.shown("a") == before


def test_another_server_is_another_and_clears_away_what_the_dead_left(
    server: Server, tmp_path: Path
) -> None:
    with server:
        for name in ("a", "b"):
            server.ask(name, "count", 3)
    assert files(tmp_path) == ["counter"] * 2 + ["histogram"] * 2

    with Server(tmp_path) as other:
        other.ask("c", "start")
        assert other.counted("c") == 0
        assert files(tmp_path) == ["counter", "histogram"]


def test_two_servers_on_one_host_do_not_add_up(server: Server, tmp_path: Path) -> None:
    server.ask("a", "count", 3)
    with Server(tmp_path) as other:
        other.ask("c", "start")
        other.ask("c", "count", 10)

        assert server.counted("a") == 3
        assert other.counted("c") == 10


def test_a_directory_of_the_operators_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(processes.VARIABLE, str(tmp_path))
    processes.share()

    assert os.environ[processes.VARIABLE] == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_process_without_siblings_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(processes.VARIABLE, raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    processes.share()

    assert processes.VARIABLE not in os.environ
    assert list(tmp_path.iterdir()) == []


# Where there is no place


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BaseProcess:
    """Make this process look like a child of a server, whose directory is below `tmp_path`."""
    parent = multiprocessing.Process()
    monkeypatch.setattr(type(parent), "pid", 4711)
    monkeypatch.setattr("multiprocessing.parent_process", lambda: parent)
    monkeypatch.delenv(processes.VARIABLE, raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return parent


def test_without_room_on_the_disk_a_process_counts_alone_and_lives(
    child: BaseProcess, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_file: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.write", full)
    processes.share()

    assert processes.VARIABLE not in os.environ
    assert "No space left" in caplog.text


def test_a_directory_that_others_can_write_to_is_not_used(
    child: BaseProcess, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    planted = tmp_path / f"waybill-metrics-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    processes.share()

    assert processes.VARIABLE not in os.environ
    assert "not ours alone" in caplog.text


def test_a_link_that_somebody_planted_is_not_followed(child: BaseProcess, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (tmp_path / f"waybill-metrics-{os.getuid()}").symlink_to(elsewhere)
    processes.share()

    assert processes.VARIABLE not in os.environ
    assert list(elsewhere.iterdir()) == []


def test_the_files_are_reserved_for_their_whole_life(child: BaseProcess, tmp_path: Path) -> None:
    processes.share()
    [directory] = tmp_path.glob("waybill-metrics-*/4711")
    made = sorted(directory.glob("*.db"))
    try:
        assert [path.stat().st_size for path in made] == [processes.FILE_SIZE] * 2
        assert all(path.stat().st_blocks * 512 >= processes.FILE_SIZE for path in made)
    finally:
        os.close(processes._held.pop())
        del os.environ[processes.VARIABLE]


EVERYTHING = """
import itertools, os, sys
from service.domain.status import Status
from service.observability.metrics import counting
for route, code in itertools.product(range(40), [200, 401, 404, 422, 503]):
    counting.request("GET", f"/v1/messages/{{message_id}}/{route:09}", code, 0.0)
for method, code in itertools.product([*counting._METHODS, "BREW"], [404, 405, 413]):
    counting.request(method, None, code, 0.0)
for provider in ("twilio", "sinch", "another"):
    counting.prepare([provider])
    for reason in ("unsigned", "mismatch", "unknown_account", "unknown_key", "unreadable"):
        counting.forged(provider, reason)
for name in os.listdir("."):
    print(name, os.path.getsize(name), int.from_bytes(open(name, "rb").read(4), sys.byteorder))
"""


def test_everything_that_can_be_counted_fits_without_growing(tmp_path: Path) -> None:
    """Three times as many routes as there are: a file that grew would be sparse again."""
    done = subprocess.run(
        [sys.executable, "-c", EVERYTHING],
        env={**os.environ, processes.VARIABLE: str(tmp_path), "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    used = [int(line.split()[2]) for line in done.stdout.splitlines()]
    assert used
    assert max(used) < processes.FILE_SIZE, done.stdout
