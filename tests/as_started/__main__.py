"""Sends eight bursts to the web server of the README: `python -m tests.as_started`."""

import tempfile
from pathlib import Path

from bench.callbacks import BASE_URL
from demo.servers import free_port, redis_server
from demo.stack import ACCOUNT, TOKEN
from tests.as_started.bursts import Plan, run
from tests.as_started.commands import readme_commands
from tests.as_started.installation import installed

_PLAN = Plan(bursts=8, size=20_000, pause=35.0, idle_timeout="30")


def main() -> None:
    """Print the result of each burst."""
    directory, port = Path(tempfile.mkdtemp(prefix="waybill-")), free_port()
    with redis_server(directory / "redis") as redis:
        settings = {
            "DATABASE_URL": f"sqlite:///{directory}/waybill.db",
            "REDIS_URL": redis.url,
            "PUBLIC_BASE_URL": BASE_URL,
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
        }
        with installed(directory / "waybill", readme_commands(), port, settings) as waybill:
            waybill.start("worker-status")
            result = run(waybill, _PLAN)
    for number, burst in enumerate(result.bursts):
        connections = result.connections[number]
        print(f"burst {number + 1}: {burst.rate:6.0f} callbacks/s, {connections} Redis connections")
    ratio = result.bursts[-1].rate / result.bursts[0].rate
    print(f"{result.overflow} callbacks in the overflow, last burst {ratio:.2f} x the first")


if __name__ == "__main__":
    main()
