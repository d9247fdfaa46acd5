import sys
import time
from pathlib import Path

import requests

from bench.processes import await_port, process
from demo.servers import free_port


def test_receivers_count_what_arrived_after_a_number(tmp_path: Path) -> None:
    port, start = free_port(), time.time()
    command = [sys.executable, "-m", "bench.receivers", str(port)]
    with process(command, {}, tmp_path / "log"):
        await_port(port, tmp_path / "log")
        url = f"http://127.0.0.1:{port}"
        answers = [requests.post(f"{url}/{number}", data=b"{}", timeout=5) for number in range(3)]
        report = requests.get(f"{url}/1", timeout=5).json()
    assert [answer.status_code for answer in answers] == [204] * 3
    assert min(answer.elapsed.total_seconds() for answer in answers) > 0.04
    assert report["count"] == 2
    assert start < report["first"] < report["last"] < time.time()
