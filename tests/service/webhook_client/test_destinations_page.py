"""The page on where webhooks may go tells what happens to each URL and each address."""

import re
import socket
from collections import defaultdict
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from service.config.webhooks import WebhookSettings
from service.webhook_client.client import WebhookClient
from service.webhook_client.destination import Forbidden, check_address
from service.webhook_client.url import checked_url
from tests.test_documentation import table

PAGE = (Path(__file__).parents[3] / "docs/webhook-destinations.md").read_text()


class Row(NamedTuple):
    """A row of the table of URLs."""

    shown: str
    answers: list[list[str]]  # of the look-ups, in order
    creation: str
    delivery: str

    @property
    def url(self) -> str:
        url = self.shown.replace("␊", "\n")
        return url.replace("…", "x" * (2_050 - len(url)))


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def rows() -> list[Row]:
    return [
        Row(codes(url)[0], [codes(each) for each in names.split("then")], creation, delivery)
        for url, names, creation, delivery in table(PAGE, "URLs")
    ]


ROWS = rows()
every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.shown)


class Names:
    """Answers look-ups of names as a row tells; IP addresses stand for themselves."""

    def __init__(self, row: Row) -> None:
        self._answers = row.answers
        self.look_ups = defaultdict[str, int](int)

    def __call__(self, host: str, port: int, **_: Any) -> list[Any]:
        self.look_ups[host] += 1
        try:
            addresses = [str(ip_address(host))]
        except ValueError:
            position = min(self.look_ups[host], len(self._answers))
            addresses = self._answers[position - 1]
        if not addresses:
            raise socket.gaierror
        return [(None, None, 0, "", (address, port)) for address in addresses]


@pytest.fixture
def names(row: Row, monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names(row)
    monkeypatch.setattr("service.webhook_client.resolver.getaddrinfo", names)
    return names


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses to which a connection was opened. None accepts it."""
    addresses = list[str]()

    def refuse(address: tuple[str, int], _timeout: float) -> None:
        addresses.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr("service.webhook_client.connection.socket.create_connection", refuse)
    return addresses


def test_page_shows_at_least_twenty_urls() -> None:
    assert len(ROWS) >= 20
    assert len({row.delivery for row in ROWS}) == 2


@every_row
def test_url_is_checked_as_the_page_tells(row: Row, names: Names) -> None:
    shown = codes(row.creation)
    if row.creation.startswith("stored"):
        assert checked_url(row.url, WebhookSettings()) == (shown[0] if shown else row.url)
    else:
        with pytest.raises(ValueError, match=re.escape(shown[0])):
            checked_url(row.url, WebhookSettings())


@every_row
def test_call_goes_where_the_page_tells(row: Row, names: Names, connected: list[str]) -> None:
    client = WebhookClient((), 8, https_only=True)
    try:
        url = checked_url(row.url, WebhookSettings())
    except ValueError:
        url = row.url  # a rule that was added after the endpoint was created
    before = sum(names.look_ups.values())
    answer = client.post(url, {}, b"{}")

    assert answer.status is None
    assert sum(names.look_ups.values()) <= before + 1
    assert bool(connected) is (row.delivery == "called"), answer.error
    assert not {"127.0.0.1", "::1"}.intersection(connected)


@pytest.mark.parametrize(("networks", "address", "webhooks"), table(PAGE, "Networks"))
def test_networks_decide_as_the_page_tells(networks: str, address: str, webhooks: str) -> None:
    value = "".join(codes(networks))
    rules = WebhookSettings.model_validate({"webhook_networks": value}).webhook_networks
    if webhooks == "sent":
        check_address(address.strip("`"), rules)
    else:
        with pytest.raises(Forbidden):
            check_address(address.strip("`"), rules)
