"""Sinch's list of inbound messages."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from service.errors import NotAccepted, OutcomeUnknown, Refused
from service.providers.inbound import EVERY_SENDER, ListQuery
from service.providers.sinch import Sinch
from service.providers.sinch.account import Account
from tests.conftest import SINCH, make_settings
from tests.stand import Stand

NOW = datetime.now(UTC).replace(microsecond=0)
QUERY = ListQuery(EVERY_SENDER, NOW - timedelta(hours=1), NOW)
ITEM = {
    "type": "mo_text",
    "id": "01JHFFHQ0P99JPPNQPJDV7JTBP",
    "from": "16051234567",
    "to": "447700900001",
    "body": "Hello",
    "received_at": NOW.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
}


def sinch(stand: Stand) -> Account:
    changed = {**SINCH, "SINCH_API_BASE_URL": stand.url, "SINCH_READ_TIMEOUT": "0.5"}
    settings = make_settings("sqlite:///unused.db", "redis://unused", **changed)
    return Sinch(settings).accounts["default"]


def show(stand: Stand, *items: Any, count: object = None, size: object = 100) -> None:
    total = len(items) if count is None else count
    stand.answer(200, {"count": total, "page": 0, "page_size": size, "inbounds": list(items)})


def requested(stand: Stand) -> dict[str, list[str]]:
    return parse_qs(urlsplit(stand.paths[-1]).query)


def test_messages_of_a_time_are_requested(stand: Stand) -> None:
    show(stand, ITEM)
    page = sinch(stand).list_inbound(QUERY)
    assert urlsplit(stand.paths[0]).path == "/xms/v1/plan/inbounds"
    assert requested(stand) == {
        "page": ["0"],
        "page_size": ["100"],
        "start_date": [f"{QUERY.since:%Y-%m-%dT%H:%M:%S}.000Z"],
        "end_date": [f"{QUERY.until:%Y-%m-%dT%H:%M:%S}.000Z"],
    }
    [message] = page.messages
    assert (message.account, message.from_address, message.body) == (
        "default",
        "+16051234567",
        "Hello",
    )
    assert (message.provider_time, page.next) == (NOW, None)


def test_list_begins_14_days_ago_at_the_earliest(stand: Stand) -> None:
    show(stand)
    sinch(stand).list_inbound(QUERY._replace(since=NOW - timedelta(days=30)))
    begin = datetime.fromisoformat(requested(stand)["start_date"][0])
    assert timedelta(days=13, hours=23) < datetime.now(UTC) - begin < timedelta(days=14, minutes=1)


@pytest.mark.parametrize(
    ("page", "count", "size", "following"),
    [
        (None, 1, 100, None),
        (None, 101, 100, "1"),
        ("1", 102, 100, "2"),
        ("1", 101, 100, None),
        ("1", 40, 30, "2"),  # Sinch made the pages smaller
        ("1", 31, 30, None),
        (None, None, 100, None),
        (None, "many", 100, None),
    ],
)
def test_next_page_follows_from_the_count(
    stand: Stand, page: str | None, count: object, size: int, following: str | None
) -> None:
    show(stand, ITEM, count=count, size=size)
    assert sinch(stand).list_inbound(QUERY._replace(page=page)).next == following
    assert requested(stand)["page"] == [page or "0"]


def test_empty_page_is_the_last(stand: Stand) -> None:
    show(stand, count=1000)
    assert sinch(stand).list_inbound(QUERY).next is None


def test_items_that_are_no_messages_are_left_out(stand: Stand) -> None:
    show(stand, None, "x", {}, {**ITEM, "id": None}, ITEM)
    assert [each.provider_sid for each in sinch(stand).list_inbound(QUERY).messages] == [ITEM["id"]]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (429, {}, NotAccepted),
        (401, b"", NotAccepted),
        (404, b"", Refused),
        (500, {}, OutcomeUnknown),
        (200, {}, OutcomeUnknown),
        (200, b"<html>", OutcomeUnknown),
        (200, {"inbounds": 7}, OutcomeUnknown),
    ],
)
def test_error_is_one_of_the_provider(
    stand: Stand, status: int, body: object, error: type[Exception]
) -> None:
    stand.answer(status, body)
    with pytest.raises(error):
        sinch(stand).list_inbound(QUERY)


def test_one_list_has_the_messages_to_every_sender(stand: Stand) -> None:
    assert sinch(stand).listed_by({"+447700900002"}) == (EVERY_SENDER,)
