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


def test_accounts_file_adds_accounts(tmp_path):
    path = tmp_path / "accounts.toml"
    path.write_text('[[twilio]]\nsid = "AC2"\nauth_token = "token"')
    options = ["--accounts", str(path), "--queue-seconds", "1.5"]
    with simulator_process(*options) as process:
        url = process.stdout.readline().split()[-1]
        accounts = requests.get(f"{url}/_simulator/accounts", timeout=5).json()["accounts"]
        queue = requests.get(f"{url}/_simulator/queue", timeout=5).json()
        process.send_signal(signal.SIGTERM)
    assert [(entry["provider"], entry["id"]) for entry in accounts] == [
        ("twilio", "AC00000000000000000000000000000001"),
        ("sinch", "simulated-plan"),
        ("twilio", "AC2"),
    ]
    assert queue == {"seconds": 1.5}


def test_webhook_urls_of_inbound_messages_are_options():
    url = "http://127.0.0.1:9/inbound/twilio?a=b"
    with simulator_process("--inbound-url", f"twilio={url}") as process:
        simulator = process.stdout.readline().split()[-1]
        urls = requests.get(f"{simulator}/_simulator/inbound-urls", timeout=5).json()
        process.send_signal(signal.SIGTERM)
    assert urls == {"twilio": url}


@pytest.mark.parametrize(
    "options",
    [
        ["--accounts", "none.toml"],
        ["--queue-seconds", "-1"],
        ["--fault", "fire=1"],
        ["--fault", "cut"],
        ["--outcome", "lost=1"],
        ["--fault", "cut=2"],
        ["--inbound-url", "unknown=http://127.0.0.1"],
        ["--inbound-url", "twilio"],
    ],
)
def test_invalid_options_are_rejected(options):
    with simulator_process(*options) as process:
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 2
    assert "error:" in errors
