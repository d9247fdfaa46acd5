"""Twilio's list of messages: inbound ones of a time are read from it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from service.errors import NotAccepted, OutcomeUnknown, Refused
from service.providers.inbound import Inbound, ListQuery
from service.providers.twilio import Twilio
from service.providers.twilio.account import Account
from tests.conftest import ACCOUNT, make_settings
from tests.stand import Stand

NUMBER, PERSON = "+15005550006", "+14155552671"
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
QUERY = ListQuery(NUMBER, NOON - timedelta(hours=1), NOON)
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"


def twilio(stand: Stand, **changes: str) -> Account:
    changed = {"TWILIO_API_BASE_URL": stand.url, "TWILIO_READ_TIMEOUT": "0.5", **changes}
    settings = make_settings("sqlite:///unused.db", "redis://unused", **changed)
    return Twilio(settings).accounts["default"]


def listed(minutes: float = 5, sid: str = "SM1", **changes: Any) -> dict[str, Any]:
    """Return an inbound message of the list, some minutes before noon."""
    at = format_datetime(NOON - timedelta(minutes=minutes))
    resource = {
        "sid": sid,
        "account_sid": ACCOUNT,
        "from": PERSON,
        "to": NUMBER,
        "body": "STOP",
        "direction": "inbound",
        "status": "received",
        "num_media": "0",
        "num_segments": "1",
        "messaging_service_sid": None,
        "date_created": at,
        "date_sent": at,
        "date_updated": at,
        "price": None,
        "error_code": None,
    }
    return {**resource, **changes}


def show(stand: Stand, *messages: dict[str, Any], next_uri: str | None = None) -> None:
    stand.answer(200, {"messages": list(messages), "next_page_uri": next_uri, "page": 0})


def read(stand: Stand, page: str | None = None) -> tuple[list[str], str | None]:
    """Return the SIDs of a page, and the next page."""
    answer = twilio(stand).list_inbound(QUERY._replace(page=page))
    return [message.provider_sid for message in answer.messages], answer.next


def test_messages_to_a_number_since_a_time_are_requested(stand: Stand) -> None:
    show(stand)
    assert read(stand) == ([], None)
    [requested] = stand.paths
    assert urlsplit(requested).path == MESSAGES
    assert parse_qs(urlsplit(requested).query) == {
        "To": [NUMBER],
        "DateSent>": ["2026-11-21T11:00:00Z"],
        "PageSize": ["200"],
    }


def test_listed_message_has_the_time_of_twilio(stand: Stand) -> None:
    service = "MG" + "AB" * 16
    show(stand, listed(messaging_service_sid=service, **{"from": "whatsapp:+5214155552671"}))
    [message] = twilio(stand).list_inbound(QUERY).messages
    assert message._replace(raw={}, received_at=NOON) == Inbound(
        provider="twilio",
        account="default",
        provider_sid="SM1",
        from_address="whatsapp:+524155552671",
        to_address=NUMBER,
        received_at=NOON,
        body="STOP",
        messaging_service_sid="MG" + "ab" * 16,
        provider_time=NOON - timedelta(minutes=5),
    )
    assert {"STOP", PERSON, NUMBER}.isdisjoint(map(str, message.raw.values()))


@pytest.mark.parametrize("direction", ["outbound-api", "outbound-reply", "outbound-call", None])
def test_only_inbound_messages_are_returned(stand: Stand, direction: str | None) -> None:
    """A message of ours to another number of ours is in the list of that number, too."""
    show(stand, listed(direction=direction))
    assert read(stand) == ([], None)


def test_messages_of_other_times_are_left_out(stand: Stand) -> None:
    """Twilio may regard only the date of the time that it is given."""
    times = [-0.1, 0, 30, 60, 60.1]
    show(stand, *(listed(minutes, f"SM{minutes}") for minutes in times))
    assert read(stand) == (["SM0", "SM30", "SM60"], None)


def test_message_without_a_time_is_returned(stand: Stand) -> None:
    show(stand, listed(date_sent=None, date_created="soon"))
    assert read(stand) == (["SM1"], None)


def test_pages_are_followed(stand: Stand) -> None:
    following = f"{MESSAGES}?To=%2B15005550006&PageSize=200&Page=1&PageToken=PASM1"
    show(stand, listed(), next_uri=following)
    sids, page = read(stand)
    assert (sids, page) == (["SM1"], f"https://api.twilio.com{following}")
    show(stand, listed(sid="SM2"))
    assert read(stand, page) == (["SM2"], None)
    assert stand.paths[1] == following


def test_page_with_older_messages_only_is_the_last(stand: Stand) -> None:
    """An emulator that ignores the time would show every message it has."""
    show(stand, listed(61), listed(62, direction="outbound-api"), next_uri=f"{MESSAGES}?Page=1")
    assert read(stand) == ([], None)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (429, {"code": 20429, "message": "Slow down"}, NotAccepted),
        (401, {"code": 20003, "message": "Authenticate"}, NotAccepted),
        (400, {"code": 21211, "message": "Invalid"}, Refused),
        (500, {}, OutcomeUnknown),
        (200, {}, OutcomeUnknown),
        (200, {"messages": 7}, OutcomeUnknown),
        (200, b"<html>", OutcomeUnknown),
    ],
)
def test_error_is_one_of_the_provider(
    stand: Stand, status: int, body: object, error: type[Exception]
) -> None:
    stand.answer(status, body)
    with pytest.raises(error):
        read(stand)


def test_links_of_media_are_those_of_a_request(stand: Stand) -> None:
    show(stand, listed(num_media="1"))
    account = twilio(stand)
    [message] = account.list_inbound(QUERY).messages
    uri = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/SM1/Media/ME1"
    media = {"uri": f"{uri}.json", "content_type": "image/png", "sid": "ME1"}
    stand.answer(200, {"media_list": [media], "next_page_uri": None})
    link = {"url": f"https://api.twilio.com{uri}", "content_type": "image/png"}
    assert list(account.with_media(message).media) == [link]
    assert (
        urlsplit(stand.paths[1]).path == f"/2010-04-01/Accounts/{ACCOUNT}/Messages/SM1/Media.json"
    )


def test_message_without_media_takes_one_request(stand: Stand) -> None:
    show(stand, listed())
    account = twilio(stand)
    [message] = account.list_inbound(QUERY).messages
    assert account.with_media(message) == message
    assert len(stand.paths) == 1


def test_lists_are_those_of_senders_that_receive(stand: Stand) -> None:
    account = twilio(
        stand,
        TWILIO_MESSAGING_SERVICE_SID="MG" + "0" * 32,
        SENDER_RATES="+15005550007:1,*:5,12345:2",
    )
    others = {"whatsapp:+14155552670", "Shop", "MG" + "1" * 32, "+15005550008"}
    assert set(account.listed_by(others)) == {NUMBER, "whatsapp:+14155552670", "+15005550008"}
