"""Search, and the story of one message: all of it, and nothing a stranger wrote is believed."""

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


def test_a_search_takes_a_number_as_people_write_it(post: Post, operator: Operator) -> None:
    message_id, other = post(to="whatsapp:+14155552671"), post(to="+14155552672")
    for typed in (
        *("+14155552671", "+1 (415) 555-2671", " +1-415-555-2671 "),
        *("whatsapp:+14155552671", "WhatsApp:+1 415 555 2671"),
    ):
        found = operator.get("/messages", query_string={"q": typed})
        assert found.location == f"/ops/messages/{message_id}"
    assert str(other) not in operator.get("/messages?q=%2B14155552671").text


def test_a_search_takes_a_message_an_attempt_a_sid_or_a_reference(
    post: Post, operator: Operator
) -> None:
    message_id, attempt_id = sent(post, reference="order 1842/ä")
    for typed in (message_id, attempt_id, attempt_id.hex, FakeProvider.sid(attempt_id)):
        found = operator.get("/messages", query_string={"q": str(typed)})
        assert found.location == f"/ops/messages/{message_id}", typed
    found = operator.get("/messages", query_string={"q": "order 1842/ä"})
    assert found.location == f"/ops/messages/{message_id}"


def test_a_search_finds_the_messages_of_every_client_newest_first(
    post: Post, operator: Operator
) -> None:
    ids = [post(reference="again") for _ in range(53)]
    first = operator.get("/messages?q=again").text
    assert [str(one) in first for one in ids[3:]] == [True] * 50
    assert first.index(str(ids[-1])) < first.index(str(ids[3]))
    assert f"before={ids[3]}" in first
    rest = operator.get(f"/messages?q=again&before={ids[3]}").text
    assert [str(one) in rest for one in ids] == [True] * 3 + [False] * 50


@pytest.mark.parametrize("typed", ["nothing", HOSTILE, "\x00", "'; --", "%", "+", UNKNOWN])
def test_a_search_for_what_is_not_there_says_so(post: Post, operator: Operator, typed: str) -> None:
    post()
    found = operator.get("/messages", query_string={"q": typed})
    assert found.status_code == 200
    assert "Nothing was found" in found.text
    assert "<script>alert" not in found.text


def test_no_text_of_a_message_stands_in_a_list(post: Post, operator: Operator) -> None:
    post(body="the secret text", reference="again"), post(body="the secret text", reference="again")
    for page in ("/messages", "/messages?q=again", "/", "/doubts"):
        assert "secret text" not in operator.get(page).text


def test_a_message_that_does_not_exist_is_not_found(operator: Operator) -> None:
    answer = operator.get(f"/messages/{uuid4()}")
    assert answer.status_code == 404
    assert "no such message" in answer.text
    assert answer.mimetype == "text/html"


def test_the_story_holds_every_attempt_event_and_payload(post: Post, operator: Operator) -> None:
    message_id, attempt_id = sent(post, body="Hello, you", reference="order-7")
    for word in ("sent", "delivered", "delivered"):
        report = said(word, attempt_id=attempt_id, source=Source.CALLBACK)
        record.record([report])
    story = operator.get(f"/messages/{message_id}").text
    for part in ("Hello, you", "order-7", str(attempt_id), FakeProvider.sid(attempt_id)):
        assert part in story
    assert "said 2 times" in story
    assert story.index("<b>accepted</b>") < story.index("<b>attempt 1</b>")
    assert story.index("<b>queued</b>") < story.index("<b>sent</b>")
    assert "&#34;word&#34;: &#34;delivered&#34;" in story


def test_the_story_explains_a_failure_in_plain_words(post: Post, operator: Operator) -> None:
    message_id, attempt_id = sent(post)
    failed = said("undelivered", attempt_id=attempt_id, error_code="30003")
    record.record([failed])
    assert "Explained: 30003." in operator.get(f"/messages/{message_id}").text


def test_the_codes_of_a_provider_that_we_had_once_break_no_page(
    post: Post, operator: Operator, look: Callable[[], str]
) -> None:
    message_id, attempt_id = sent(post)
    record.record([said("undelivered", attempt_id=attempt_id, error_code="7")])
    with transaction():
        db.session.execute(db.update(Message).values(provider="gone"))
    assert "no longer in the settings" in operator.get(f"/messages/{message_id}").text
    assert "no longer in the settings" in look()


def test_nothing_that_a_client_or_a_provider_wrote_becomes_markup(
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


def test_a_story_that_has_not_changed_is_not_sent_again(post: Post, operator: Operator) -> None:
    message_id, attempt_id = sent(post)
    first = operator.get(f"/messages/{message_id}/live")
    known = {"If-None-Match": first.headers["ETag"]}
    again = operator.get(f"/messages/{message_id}/live", headers=known)
    assert (again.status_code, again.text) == (304, "")
    record.record([said("delivered", attempt_id=attempt_id)])
    assert operator.get(f"/messages/{message_id}/live", headers=known).status_code == 200


@pytest.fixture
def doubtful(post: Post, provider: FakeProvider) -> tuple[UUID, UUID]:
    def lost(_: object) -> Any:
        raise OutcomeUnknown("no answer")

    provider.script = lost
    found = sent(post)
    provider.script = None
    return found


def status_of(message_id: UUID) -> str:
    db.session.rollback()
    query = db.select(Message.status).where(Message.id == message_id)
    return db.session.scalars(query).one()


Deed = Callable[[], None]


def test_what_is_in_doubt_is_listed_with_what_can_be_done(
    doubtful: tuple[UUID, UUID], operator: Operator
) -> None:
    message_id, _ = doubtful
    listed = operator.get("/doubts").text
    assert f'formaction="/ops/messages/{message_id}/look-up"' in listed
    for deed in ("look-up", "send-again", "give-up", "sid"):
        assert f"/ops/messages/{message_id}/{deed}" in operator.get(f"/messages/{message_id}").text


def test_a_look_up_that_finds_it_ends_the_doubt(
    doubtful: tuple[UUID, UUID], operator: Operator, provider: FakeProvider
) -> None:
    message_id, _ = doubtful
    operator.post(f"/messages/{message_id}/look-up")
    assert status_of(message_id) == "in_doubt"
    found = said("sent", sid="SM1", source=Source.RECONCILIATION)
    provider.find = lambda wanted: [found]  # type: ignore[method-assign]
    try:
        operator.post(f"/messages/{message_id}/look-up")
    finally:
        del provider.find
    assert status_of(message_id) == "sent"


def test_what_is_sent_again_goes_out_once_more_and_the_ledger_says_who(
    doubtful: tuple[UUID, UUID], operator: Operator, provider: FakeProvider
) -> None:
    message_id, _ = doubtful
    answer = operator.post(f"/messages/{message_id}/send-again")
    assert answer.location == f"/ops/messages/{message_id}"
    assert status_of(message_id) == "pending"
    again = operator.post(f"/messages/{message_id}/send-again")
    assert again.status_code == 303
    deliver.deliver()
    assert len(provider.on_air) == 1
    story = operator.get(f"/messages/{message_id}").text
    assert "no longer in doubt" in story
    assert "<b>operator sent again</b>" in story
    assert "by ada" in story


def test_what_is_given_up_fails_and_the_ledger_says_who(
    doubtful: tuple[UUID, UUID], operator: Operator
) -> None:
    message_id, _ = doubtful
    operator.post(f"/messages/{message_id}/give-up")
    assert status_of(message_id) == "failed"
    story = operator.get(f"/messages/{message_id}").text
    assert "<b>operator given up</b>" in story
    assert 'formaction="' not in story


def test_a_sid_that_a_person_found_ends_the_doubt(
    doubtful: tuple[UUID, UUID], operator: Operator, provider: FakeProvider
) -> None:
    message_id, _ = doubtful
    provider.answer = lambda attempt, sid: said("delivered", attempt_id=attempt, sid=sid)
    operator.post(f"/messages/{message_id}/sid", sid="SM0123456789")
    assert status_of(message_id) == "delivered"


@pytest.mark.parametrize("sid", ["", "../Accounts", "SM1?x=1", "S" * 65, "SM\u0661"])
def test_what_is_no_sid_reaches_no_provider(
    doubtful: tuple[UUID, UUID], operator: Operator, provider: FakeProvider, sid: str
) -> None:
    message_id, _ = doubtful
    provider.answer = lambda attempt, given: pytest.fail("was asked")
    operator.post(f"/messages/{message_id}/sid", sid=sid)
    assert "That is not a SID." in operator.get(f"/messages/{message_id}").text
    assert status_of(message_id) == "in_doubt"


def test_a_sid_that_the_provider_does_not_know_changes_nothing(
    doubtful: tuple[UUID, UUID], operator: Operator
) -> None:
    message_id, _ = doubtful
    operator.post(f"/messages/{message_id}/sid", sid="SM404")
    assert "The provider said: no such message" in operator.get(f"/messages/{message_id}").text
    assert status_of(message_id) == "in_doubt"


@pytest.mark.parametrize("deed", ["look-up", "send-again", "give-up"])
def test_about_a_message_that_is_finished_nothing_is_to_be_decided(
    post: Post, operator: Operator, deed: str
) -> None:
    message_id, attempt_id = sent(post)
    record.record([said("delivered", attempt_id=attempt_id)])
    operator.post(f"/messages/{message_id}/{deed}")
    assert status_of(message_id) == "delivered"
    assert 'class="flash bad"' in operator.get(f"/messages/{message_id}").text
