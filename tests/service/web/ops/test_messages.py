"""Search, timelines, actions on messages, and escaping."""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.database import db, transaction
from service.domain.report import Source
from service.errors import OutcomeUnknown
from service.models import Attempt, Message
from service.recording import record
from service.sending import deliver
from tests.fakes import FakeProvider, said
from tests.messages import Post
from tests.service.web.ops.conftest import Operator

UNKNOWN = "01a1fd14-9522-7078-b19f-9ef257cf0b38"
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}'


def sent(post: Post, **changes: Any) -> tuple[UUID, UUID]:
    """Send a message; return its id and that of its attempt."""
    message_id = post(**changes)
    deliver.deliver()
    query = db.select(Attempt.id).where(Attempt.message_id == message_id)
    return message_id, db.session.scalars(query).one()


def test_search_accepts_a_number_in_any_notation(post: Post, operator: Operator) -> None:
    message_id, other = post(to="whatsapp:+14155552671"), post(to="+14155552672")
    for query in (
        *("+14155552671", "+1 (415) 555-2671", " +1-415-555-2671 "),
        *("whatsapp:+14155552671", "WhatsApp:+1 415 555 2671"),
    ):
        answer = operator.get("/messages", query_string={"q": query})
        assert answer.location == f"/ops/messages/{message_id}"
    assert str(other) not in operator.get("/messages?q=%2B14155552671").text


def test_search_by_message_attempt_sid_or_reference(post: Post, operator: Operator) -> None:
    message_id, attempt_id = sent(post, reference="order 1842/ä")
    for query in (message_id, attempt_id, attempt_id.hex, FakeProvider.sid(attempt_id)):
        answer = operator.get("/messages", query_string={"q": str(query)})
        assert answer.location == f"/ops/messages/{message_id}", query
    answer = operator.get("/messages", query_string={"q": "order 1842/ä"})
    assert answer.location == f"/ops/messages/{message_id}"


def test_search_pages_all_clients_newest_first(post: Post, operator: Operator) -> None:
    ids = [post(reference="again") for _ in range(53)]
    first = operator.get("/messages?q=again").text
    assert [str(message_id) in first for message_id in ids[3:]] == [True] * 50
    assert first.index(str(ids[-1])) < first.index(str(ids[3]))
    assert f"before={ids[3]}" in first
    second = operator.get(f"/messages?q=again&before={ids[3]}").text
    assert [str(message_id) in second for message_id in ids] == [True] * 3 + [False] * 50


@pytest.mark.parametrize("query", ["nothing", HOSTILE, "\x00", "'; --", "%", "+", UNKNOWN])
def test_search_without_a_match_says_so(post: Post, operator: Operator, query: str) -> None:
    post()
    answer = operator.get("/messages", query_string={"q": query})
    assert answer.status_code == 200
    assert "No messages found" in answer.text
    assert "<script>alert" not in answer.text


def test_lists_show_no_message_text(post: Post, operator: Operator) -> None:
    post(body="the secret text", reference="again"), post(body="the secret text", reference="again")
    for page in ("/messages", "/messages?q=again", "/", "/doubts"):
        assert "secret text" not in operator.get(page).text


def test_unknown_message_is_not_found(operator: Operator) -> None:
    answer = operator.get(f"/messages/{uuid4()}")
    assert answer.status_code == 404
    assert "no such message" in answer.text
    assert answer.mimetype == "text/html"


def test_timeline_shows_attempts_events_and_payloads(post: Post, operator: Operator) -> None:
    message_id, attempt_id = sent(post, body="Hello, you", reference="order-7")
    for word in ("sent", "delivered", "delivered"):
        report = said(word, attempt_id=attempt_id, source=Source.CALLBACK)
        record.record([report])
    text = operator.get(f"/messages/{message_id}").text
    for part in ("Hello, you", "order-7", str(attempt_id), FakeProvider.sid(attempt_id)):
        assert part in text
    assert "received 2 times" in text
    assert text.index("<b>accepted</b>") < text.index("<b>attempt 1</b>")
    assert text.index("<b>queued</b>") < text.index("<b>sent</b>")
    assert "&#34;word&#34;: &#34;delivered&#34;" in text


def test_timeline_explains_an_error_code(post: Post, operator: Operator) -> None:
    message_id, attempt_id = sent(post)
    failed = said("undelivered", attempt_id=attempt_id, error_code="30003")
    record.record([failed])
    assert "Explained: 30003." in operator.get(f"/messages/{message_id}").text


def test_error_code_of_a_removed_provider_is_shown(
    post: Post, operator: Operator, fresh_overview: Callable[[], str]
) -> None:
    message_id, attempt_id = sent(post)
    record.record([said("undelivered", attempt_id=attempt_id, error_code="7")])
    with transaction():
        db.session.execute(db.update(Message).values(provider="gone"))
    assert "no longer configured" in operator.get(f"/messages/{message_id}").text
    assert "no longer configured" in fresh_overview()


def test_text_of_clients_and_providers_is_escaped(
    post: Post, operator: Operator, provider: FakeProvider
) -> None:
    message_id, attempt_id = sent(post, body=HOSTILE, reference=HOSTILE, to=HOSTILE, sender=HOSTILE)
    report = said("undelivered", attempt_id=attempt_id, error_code=HOSTILE[:64])
    record.record([report])
    for page in (f"/messages/{message_id}", f"/messages/{message_id}/live", "/messages", "/live"):
        text = operator.get(page).text
        assert "<script>alert" not in text, page
        assert "<img" not in text, page
        assert "&lt;script&gt;" in text, page
        assert "49" not in text.split("&lt;img")[-1][:80], page


def test_unchanged_timeline_answers_304(post: Post, operator: Operator) -> None:
    message_id, attempt_id = sent(post)
    first = operator.get(f"/messages/{message_id}/live")
    etag = {"If-None-Match": first.headers["ETag"]}
    again = operator.get(f"/messages/{message_id}/live", headers=etag)
    assert (again.status_code, again.text) == (304, "")
    record.record([said("delivered", attempt_id=attempt_id)])
    assert operator.get(f"/messages/{message_id}/live", headers=etag).status_code == 200


@pytest.fixture
def in_doubt(post: Post, provider: FakeProvider) -> tuple[UUID, UUID]:
    def lost(_: object) -> Any:
        raise OutcomeUnknown("no answer")

    provider.script = lost
    ids = sent(post)
    provider.script = None
    return ids


def status_of(message_id: UUID) -> str:
    db.session.rollback()
    query = db.select(Message.status).where(Message.id == message_id)
    return db.session.scalars(query).one()


def test_message_in_doubt_is_listed_with_its_actions(
    in_doubt: tuple[UUID, UUID], operator: Operator
) -> None:
    message_id, _ = in_doubt
    listed = operator.get("/doubts").text
    assert f'formaction="/ops/messages/{message_id}/look-up"' in listed
    for action in ("look-up", "send-again", "give-up", "sid"):
        assert (
            f"/ops/messages/{message_id}/{action}" in operator.get(f"/messages/{message_id}").text
        )


def test_successful_look_up_ends_the_doubt(
    in_doubt: tuple[UUID, UUID], operator: Operator, provider: FakeProvider
) -> None:
    message_id, _ = in_doubt
    operator.post(f"/messages/{message_id}/look-up")
    assert status_of(message_id) == "in_doubt"
    report = said("sent", sid="SM1", source=Source.RECONCILIATION)
    provider.find = lambda _: [report]  # type: ignore[method-assign]
    try:
        operator.post(f"/messages/{message_id}/look-up")
    finally:
        del provider.find
    assert status_of(message_id) == "sent"


def test_send_again_sends_once_and_records_the_operator(
    in_doubt: tuple[UUID, UUID], operator: Operator, provider: FakeProvider
) -> None:
    message_id, _ = in_doubt
    answer = operator.post(f"/messages/{message_id}/send-again")
    assert answer.location == f"/ops/messages/{message_id}"
    assert status_of(message_id) == "pending"
    again = operator.post(f"/messages/{message_id}/send-again")
    assert again.status_code == 303
    deliver.deliver()
    assert len(provider.on_air) == 1
    text = operator.get(f"/messages/{message_id}").text
    assert "no longer in doubt" in text
    assert "<b>operator sent again</b>" in text
    assert "by ada" in text


def test_give_up_fails_the_message_and_records_the_operator(
    in_doubt: tuple[UUID, UUID], operator: Operator
) -> None:
    message_id, _ = in_doubt
    operator.post(f"/messages/{message_id}/give-up")
    assert status_of(message_id) == "failed"
    text = operator.get(f"/messages/{message_id}").text
    assert "<b>operator given up</b>" in text
    actions = re.findall('formaction="([^"]+)"', text)
    assert actions == [f"/ops/messages/{message_id}/resend"]


def test_sid_from_an_operator_ends_the_doubt(
    in_doubt: tuple[UUID, UUID], operator: Operator, provider: FakeProvider
) -> None:
    message_id, _ = in_doubt
    provider.answer = lambda attempt, sid: said("delivered", attempt_id=attempt, sid=sid)
    operator.post(f"/messages/{message_id}/sid", sid="SM0123456789")
    assert status_of(message_id) == "delivered"


@pytest.mark.parametrize("sid", ["", "../Accounts", "SM1?x=1", "S" * 65, "SM\u0661"])
def test_invalid_sid_is_not_sent_to_the_provider(
    in_doubt: tuple[UUID, UUID], operator: Operator, provider: FakeProvider, sid: str
) -> None:
    message_id, _ = in_doubt
    provider.answer = lambda *_: pytest.fail("the provider was asked")
    operator.post(f"/messages/{message_id}/sid", sid=sid)
    assert (
        "Enter a SID: letters and digits, at most 64."
        in operator.get(f"/messages/{message_id}").text
    )
    assert status_of(message_id) == "in_doubt"


def test_sid_unknown_to_the_provider_changes_nothing(
    in_doubt: tuple[UUID, UUID], operator: Operator
) -> None:
    message_id, _ = in_doubt
    operator.post(f"/messages/{message_id}/sid", sid="SM404")
    assert "The provider answered: no such message" in operator.get(f"/messages/{message_id}").text
    assert status_of(message_id) == "in_doubt"


@pytest.mark.parametrize("action", ["look-up", "send-again", "give-up"])
def test_final_message_accepts_no_action(post: Post, operator: Operator, action: str) -> None:
    message_id, attempt_id = sent(post)
    record.record([said("delivered", attempt_id=attempt_id)])
    operator.post(f"/messages/{message_id}/{action}")
    assert status_of(message_id) == "delivered"
    assert 'class="flash bad"' in operator.get(f"/messages/{message_id}").text
