"""Installations started as in README.md and docker-compose.yml, with a simulated provider."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from demo.servers import RedisServer, free_port, redis_server
from demo.stack import ACCOUNT, SENDER, TOKEN, simulated_provider
from tests.as_started.commands import compose_commands, readme_commands
from tests.as_started.installation import Installation, installed

Install = Callable[..., Installation]

# Seconds in place of minutes. All other settings are as documented.
_QUICK = {"DOUBT_FIRST_LOOKUP": "1", "DOUBT_LOOKUPS": "2"}
# No faults.
SIMULATOR = ("--pace", "0.2", "--outcome", "delivered=1")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short path: Unix sockets have a length limit."""
    with tempfile.TemporaryDirectory(prefix="waybill-", ignore_cleanup_errors=True) as path:
        yield Path(path)


@pytest.fixture
def redis(place: Path) -> Iterator[RedisServer]:
    with redis_server(place / "redis") as server:
        yield server


@pytest.fixture
def provider_url(place: Path) -> Iterator[str]:
    """The URL of a simulated provider without faults."""
    with simulated_provider(place, SIMULATOR) as url:
        yield url


@pytest.fixture
def install(place: Path, redis: RedisServer, provider_url: str) -> Iterator[Install]:
    """Install Waybill with the commands of a document, without starting a process."""
    with ExitStack() as installations:

        def make(document: str = "README.md", **settings: str) -> Installation:
            port = free_port()
            by_compose = document == "docker-compose.yml"
            commands = compose_commands(port) if by_compose else readme_commands()
            environment = {
                "DATABASE_URL": f"sqlite:///{place}/waybill.db",
                "REDIS_URL": redis.url,
                "PUBLIC_BASE_URL": f"http://127.0.0.1:{port}",
                "TWILIO_ACCOUNT_SID": ACCOUNT,
                "TWILIO_AUTH_TOKEN": TOKEN,
                "TWILIO_PHONE_NUMBER": SENDER,
                "TWILIO_API_BASE_URL": provider_url,
                **_QUICK,
                **settings,
            }
            return installations.enter_context(
                installed(place / "waybill", commands, port, environment)
            )

        yield make
