"""Filters and pages of the message list."""

from datetime import UTC, datetime, timedelta

import pytest
from twilio.base.exceptions import TwilioException

FROM, TO, OTHER = "+15005550006", "+15017122661", "+15017122662"


@pytest.fixture
def sids(simulator, client):
    """Seven messages, oldest first; every third goes to the other number."""
    sids = [
        client.messages.create(to=OTHER if n % 3 == 0 else TO, from_=FROM, body=str(n)).sid
        for n in range(7)
    ]
    simulator.wait_until_idle()
    return sids


def test_list_shows_the_newest_first(client, sids):
    assert [message.sid for message in client.messages.list()] == sids[::-1]


def test_official_client_reads_all_pages(client, sids):
    assert [m.sid for m in client.messages.stream(page_size=2)] == sids[::-1]


def test_new_message_does_not_shift_pages(client, sids):
    page = client.messages.page(page_size=4)
    seen = [message.sid for message in page]
    client.messages.create(to=TO, from_=FROM, body="late")
    seen += [message.sid for message in page.next_page()]
    assert seen == sids[::-1]


def test_last_page_has_no_next_page(client, sids):
    page = client.messages.page(page_size=7)
    assert len(list(page)) == 7
    assert page.next_page() is None


def test_list_filters_every_page_by_recipient(client, sids):
    listed = [message.sid for message in client.messages.stream(to=OTHER, page_size=1)]
    assert listed == [sids[6], sids[3], sids[0]]


def test_list_filters_by_sender(client, sids):
    assert len(client.messages.list(from_=FROM)) == 7
    assert client.messages.list(from_="+15005559999") == []


def test_list_filters_by_time(client, sids):
    now = datetime.now(UTC)
    minute, messages = timedelta(minutes=1), client.messages
    assert len(messages.list(date_sent_after=now - minute, date_sent_before=now + minute)) == 7
    assert messages.list(date_sent_after=now + minute) == []
    assert messages.list(date_sent_before=now - minute) == []


def test_list_filters_by_day(client, sids):
    now, day = datetime.now(UTC), timedelta(days=1)
    today = client.messages(sids[0]).fetch().date_sent
    assert client.messages.list(date_sent=today)
    assert client.messages.list(date_sent=today - day) == []
    assert len(client.messages.list(date_sent_after=f"{now - day:%Y-%m-%d}")) == 7
    assert client.messages.list(date_sent_before=f"{now - day:%Y-%m-%d}") == []


def test_unsent_message_does_not_match_a_date_filter(start, client_of):
    client = client_of(start(pace=1000))
    client.messages.create(to=TO, from_=FROM, body="Hello")
    assert len(client.messages.list()) == 1
    assert client.messages.list(date_sent_before=datetime.now(UTC) + timedelta(days=1)) == []


def test_default_page_size_is_fifty(simulator, client):
    for n in range(51):
        client.messages.create(to=TO, from_=FROM, body=str(n))
    assert len(list(client.messages.page())) == 50


def test_invalid_date_is_rejected(client):
    with pytest.raises(TwilioException):
        client.messages.list(date_sent="yesterday")


def test_list_shows_inbound_messages_to_a_number(simulator, client, sids):
    inbound = [
        simulator.write(OTHER, str(number), provider="twilio", to=FROM)["sid"]
        for number in range(3)
    ]
    yesterday = datetime.now(UTC) - timedelta(days=1)
    listed = list(client.messages.stream(to=FROM, date_sent_after=yesterday, page_size=2))
    assert [message.sid for message in listed] == inbound[::-1]
    assert {(each.direction, each.status, each.from_) for each in listed} == {
        ("inbound", "received", OTHER)
    }
    assert client.messages.list(to=FROM, date_sent_before=yesterday) == []
    assert client.messages(inbound[0]).fetch().body == "0"


def test_list_of_all_has_both_directions_on_its_pages(simulator, client, sids):
    inbound = simulator.write(OTHER, "Hello", provider="twilio", to=FROM)["sid"]
    later = client.messages.create(to=TO, from_=FROM, body="later").sid
    listed = [message.sid for message in client.messages.stream(page_size=2)]
    assert listed == [later, inbound, *sids[::-1]]


def test_media_of_an_inbound_message_are_listed_apart(simulator, client):
    urls = ["https://m.example/1.png", "https://m.example/2.jpg"]
    sid = simulator.write(OTHER, "", provider="twilio", to=FROM, media=urls)["sid"]
    assert client.messages(sid).fetch().num_media == "2"
    media = client.messages(sid).media.list()
    assert [each.content_type for each in media] == ["image/png", "image/jpeg"]
    with pytest.raises(TwilioException):
        client.messages("SM1").media.list()
