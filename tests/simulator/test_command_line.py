"""`python -m simulator`."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parents[2]


def simulator_process(*options):
    return subprocess.Popen(
        [sys.executable, "-m", "simulator", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_prints_its_url_and_stops_on_a_signal(number):
    options = ["--fault", "cut=0.5", "--outcome", "sent=1", "--seed", "7", "--pace", "0"]
    with simulator_process(*options) as process:
        line = process.stdout.readline()
        assert line.startswith("simulator listening on http://127.0.0.1:")
        url = line.split()[-1]
        rates = requests.get(f"{url}/_simulator/faults", timeout=5).json()
        assert rates["cut"] == 0.5
        process.send_signal(number)
        rest, errors = process.communicate(timeout=10)
    assert (process.returncode, rest, errors) == (0, "", "")


@pytest.mark.parametrize(
    "options",
    [["--fault", "fire=1"], ["--fault", "cut"], ["--outcome", "lost=1"], ["--fault", "cut=2"]],
)
def test_invalid_options_are_rejected(options):
    with simulator_process(*options) as process:
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 2
    assert "error:" in errors
