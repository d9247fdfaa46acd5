"""The page of a conversation, and how a search finds it."""

from uuid import UUID

import pytest
from flask import Flask

from service.database import db, transaction
from service.inbound.record import record
from service.models import InboundMessage, Message
from service.sending import deliver
from tests.messages import Post
from tests.service.inbound.conversation import PERSON, heard
from tests.service.web.ops.conftest import Operator
from tests.service.web.ops.test_messages import HOSTILE

OTHER = "+14155552672"


def conversation(operator: Operator, number: str = PERSON, **arguments: str) -> str:
    answer = operator.get("/conversation", query_string={"number": number, **arguments})
    assert answer.status_code == 200
    return answer.text


def received(body: str = "Hello", **changes: str) -> UUID:
    """Record an inbound message; return its id."""
    message = heard(body, **changes)
    record([message])
    query = db.select(InboundMessage.id).where(InboundMessage.provider_sid == message.provider_sid)
    return db.session.scalars(query).one()


def test_both_directions_are_one_timeline(post: Post, operator: Operator) -> None:
    first = post(body="How are you?")
    deliver.deliver()
    reply = received("Fine")
    post(body="Good"), post(to=OTHER, body="to another"), received("from another", From=OTHER)
    page = conversation(operator)
    assert page.index("Good") < page.index("Fine") < page.index("How are you?")
    assert "another" not in page
    assert f'answers <a href="/ops/messages/{first}">' in page
    assert f'href="/ops/inbound/{reply}"' in page


def test_channels_of_a_number_are_shown_together(post: Post, operator: Operator) -> None:
    post(to=f"whatsapp:{PERSON}", body="over WhatsApp"), received("by RCS", From=f"rcs:{PERSON}")
    page = conversation(operator, "+1 (415) 555-2671")
    assert "over WhatsApp" in page
    assert "by RCS" in page
    assert "by RCS" not in conversation(operator, f"whatsapp:{PERSON}")


def test_pages_of_a_conversation_have_every_message_once(post: Post, operator: Operator) -> None:
    texts = [f"text-{number:02}." for number in range(104)]
    for number, text in enumerate(texts):
        post(body=text) if number % 2 else received(text)
    shown, page = list[str](), conversation(operator)
    for rest in (True, True, False):
        shown += [text for text in reversed(texts) if text in page]
        assert ("Older messages" in page) is rest
        if rest:
            last = page.rpartition("before=")[2].partition('"')[0]
            page = conversation(operator, before=last)
    assert shown == texts[::-1]


def test_live_part_changes_with_a_reply(post: Post, operator: Operator) -> None:
    post()
    path = "/conversation/live?number=%2B14155552671"
    first = operator.get(path)
    etag = {"If-None-Match": first.headers["ETag"]}
    assert operator.get(path, headers=etag).status_code == 304
    received("STOP")
    again = operator.get(path, headers=etag)
    assert again.status_code == 200
    assert '<span class="badge">STOP</span>' in again.text
    assert "opted out" in again.text


def test_redacted_messages_show_no_text(post: Post, operator: Operator) -> None:
    post(body="the secret text"), received("another secret")
    with transaction():
        for table in (Message, InboundMessage):
            db.session.execute(db.update(table).values(body=None, redacted_at=db.func.now()))
    page = conversation(operator)
    assert "secret" not in page
    assert page.count("Text and media redacted") == 2


def test_media_are_links_only_with_https(operator: Operator, context: Flask) -> None:
    urls = {"MediaUrl0": "https://api.twilio.com/ME1", "MediaUrl1": "javascript:1"}
    received(NumMedia="2", **urls, MediaContentType0="image/jpeg", MediaContentType1=HOSTILE)
    page = conversation(operator)
    assert '<a href="https://api.twilio.com/ME1" rel="noreferrer noopener">image/jpeg</a>' in page
    assert "javascript:1" not in page
    assert "<script>alert" not in page


def test_text_of_persons_is_escaped(operator: Operator, context: Flask) -> None:
    message_id = received(HOSTILE, From=HOSTILE, To=HOSTILE)
    pages = [conversation(operator, HOSTILE), operator.get(f"/inbound/{message_id}").text]
    for page in (*pages, operator.get("/inbound").text):
        assert "&lt;script&gt;" in page
        assert "<script>alert" not in page
        assert "{{ 7 * 7 }}" in page


@pytest.mark.parametrize("number", ["", "\x00", " "])
def test_page_without_a_number_is_not_found(operator: Operator, number: str) -> None:
    answer = operator.get("/conversation", query_string={"number": number})
    assert answer.status_code == 404


@pytest.mark.parametrize("number", [HOSTILE, "+", "x" * 500, "forgotten:1", "+1415\x005552671"])
def test_unknown_number_has_an_empty_conversation(operator: Operator, number: str) -> None:
    assert "No messages to or from" in conversation(operator, number)


# Search


def search(operator: Operator, query: object) -> str:
    return operator.get("/messages", query_string={"q": str(query)}).location or ""


def test_search_finds_a_person_who_has_written(post: Post, operator: Operator) -> None:
    message_id = post()
    assert search(operator, PERSON) == f"/ops/messages/{message_id}"
    received()
    assert search(operator, "+1 415 555-2671").startswith("/ops/conversation?number=")
    received(From=OTHER)
    assert search(operator, OTHER).startswith("/ops/conversation?number=")


def test_search_finds_an_inbound_message(operator: Operator, context: Flask) -> None:
    message_id = received(MessageSid="SM" + "7" * 32)
    for query in (message_id, message_id.hex, "SM" + "7" * 32):
        assert search(operator, query) == f"/ops/inbound/{message_id}"


def test_results_and_messages_link_to_the_conversation(post: Post, operator: Operator) -> None:
    ids = [post(), post()]
    link = 'href="/ops/conversation?number=%2B14155552671"'
    assert link in operator.get("/messages?q=%2B14155552671").text
    assert link in operator.get(f"/messages/{ids[0]}").text


def test_link_to_a_message_finds_an_inbound_message(operator: Operator, context: Flask) -> None:
    """Webhook deliveries name their message, which may be an inbound one."""
    message_id = received()
    assert operator.get(f"/messages/{message_id}").location == f"/ops/inbound/{message_id}"
