"""Several web processes answer /metrics as one; without a shared directory each answers alone."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.servers import free_port
from tests.conftest import ACCOUNT, BASE_URL, TOKEN

ROOT = Path(__file__).parents[4]
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
RECEIVED = 'waybill_callbacks_received_total{outcome="stored",provider="twilio"}'
REQUESTS = "waybill_http_request_duration_seconds_count"

# A web process in small: it counts as many callbacks as each line says, and prints its metrics.
PROCESS = """
import sys, time
from service.observability.metrics import counting
from service.observability.metrics.exposition import exposed

for line in sys.stdin:
    for _ in range(int(line)):
        counting.received("twilio", "stored")
        counting.request("GET", "/healthz", 200, time.perf_counter())
    print(repr(exposed().decode()), flush=True)
"""


class Process:
    """A process that counts callbacks."""

    def __init__(self, directory: Path | None) -> None:
        environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
        if directory:
            environment[VARIABLE] = str(directory)
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROCESS],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def count(self, callbacks: int) -> dict[str, float]:
        """Count callbacks; return the samples that the process shows then."""
        assert self._process.stdin
        assert self._process.stdout
        print(callbacks, file=self._process.stdin, flush=True)
        text: str = ast.literal_eval(self._process.stdout.readline())
        samples = [line.rpartition(" ") for line in text.splitlines() if line[0] != "#"]
        return {name: float(value) for name, _, value in samples}

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            self._process.communicate()


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    """A list of processes, which are killed at the end of the test."""
    started: list[Process] = []
    yield started
    for process in started:
        process.kill()


def test_processes_with_one_directory_answer_as_one(
    tmp_path: Path, processes: list[Process]
) -> None:
    processes += [Process(tmp_path), Process(tmp_path)]
    processes[0].count(3)
    samples = processes[1].count(4)

    assert samples[RECEIVED] == 7
    assert sum(value for name, value in samples.items() if name.startswith(REQUESTS)) == 7


def test_counters_keep_the_counts_of_a_killed_process(
    tmp_path: Path, processes: list[Process]
) -> None:
    processes += [Process(tmp_path), Process(tmp_path)]
    processes[0].count(3)
    processes[0].kill()

    assert processes[1].count(1)[RECEIVED] == 4


def test_process_without_a_directory_answers_alone(processes: list[Process]) -> None:
    processes += [Process(None), Process(None)]
    processes[0].count(3)

    assert processes[1].count(4)[RECEIVED] == 4


@pytest.mark.slow
def test_missing_metrics_directory_stops_the_start(tmp_path: Path) -> None:
    environment = {
        "DATABASE_URL": f"sqlite:///{tmp_path}/unused.db",
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
        "PUBLIC_BASE_URL": BASE_URL,
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        VARIABLE: str(tmp_path / "missing"),
    }
    ended = subprocess.run(
        [sys.executable, "-c", "import wsgi"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode != 0
    assert str(tmp_path / "missing") in ended.stderr
