"""The page of opt-outs: search, begin and end, and what they do to messages."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from flask import Flask

from service.database import db, transaction
from service.domain.status import Status
from service.inbound.record import record
from service.models import Message, OptOut
from service.queries import opt_outs
from service.queries.opt_outs import Change, Pair
from service.sending import deliver
from tests.fakes import FakeProvider
from tests.messages import Post
from tests.service.inbound.conversation import PERSON, SENDER, heard
from tests.service.web.ops.conftest import Operator
from tests.service.web.ops.test_messages import HOSTILE

OTHER = "+14155552672"


def status(message_id: UUID) -> Status:
    db.session.rollback()
    return db.session.scalars(db.select(Message.status).where(Message.id == message_id)).one()


def sent(post: Post, **changes: str) -> Status:
    message_id = post(**changes)
    deliver.deliver()
    return status(message_id)


def active() -> list[OptOut]:
    db.session.rollback()
    return list(db.session.scalars(db.select(OptOut).where(OptOut.active)))


def begin(operator: Operator, number: str = PERSON, sender: str = "") -> str:
    """Press the button; return the page that follows."""
    answer = operator.post("/opt-outs/begin", number=number, sender=sender)
    assert answer.status_code == 303
    return operator.get(answer.location.removeprefix("/ops")).text


def end(operator: Operator, number: str = PERSON, sender: str = "*") -> str:
    answer = operator.post("/opt-outs/end", number=number, sender=sender)
    assert answer.status_code == 303
    return operator.get(answer.location.removeprefix("/ops")).text


def test_opt_out_from_every_sender_stops_messages(
    operator: Operator, post: Post, provider: FakeProvider, caplog: pytest.LogCaptureFixture
) -> None:
    page = begin(operator, "+1 (415) 555-2671")
    assert "by operator ada (operator)" in page
    assert "every sender" in page
    assert (sent(post), provider.on_air) == (Status.FAILED, [])
    assert sent(post, to=OTHER) is Status.QUEUED
    actions = [each.msg for each in caplog.records if "opt_out_begun" in str(each.msg)]
    assert [action["operator"] for action in actions] == ["ada"]
    assert PERSON not in caplog.text


def test_opt_out_from_one_sender_leaves_the_others(operator: Operator, post: Post) -> None:
    begin(operator, sender="+1 500 555 0006")
    assert sent(post) is Status.FAILED
    assert sent(post, sender="+15005550007") is Status.QUEUED


def test_ended_opt_out_lets_messages_go(
    operator: Operator, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    record([heard("STOP")])
    begin(operator)
    assert len(active()) == 2
    end(operator, sender="*")
    assert sent(post) is Status.FAILED, "the person said STOP to this sender"
    page = end(operator, sender=SENDER)
    assert "No opt-outs of this number" in page
    assert sent(post) is Status.QUEUED
    actions = [each.msg for each in caplog.records if "opt_out_ended" in str(each.msg)]
    assert [action["opt_outs"] for action in actions] == [1, 1]


def test_second_end_is_explained(operator: Operator, context: Flask) -> None:
    assert "no such opt-out any more" in end(operator)


@pytest.mark.parametrize(
    ("number", "sender"),
    [("", ""), ("12", ""), (HOSTILE, ""), ("\x00", ""), (PERSON, HOSTILE), (PERSON, "A" * 300)],
)
def test_wrong_number_or_sender_is_explained(
    operator: Operator, context: Flask, number: str, sender: str
) -> None:
    page = begin(operator, number, sender)
    assert 'class="flash bad"' in page
    assert "<script>alert" not in page
    assert active() == []


def test_search_shows_the_opt_outs_of_one_number(operator: Operator, context: Flask) -> None:
    record([heard("STOP"), heard("STOP", From=OTHER)])
    page = operator.get("/opt-outs", query_string={"q": "+1 415 555 2672"}).text
    rows = page.partition('id="opt-outs"')[2].partition("</section>")[0]
    assert (OTHER in rows, PERSON in rows) == (True, False)
    assert "by recipient (keyword)" in rows
    for query in (HOSTILE, "\x00", "x" * 500, "+14155559999"):
        page = operator.get("/opt-outs", query_string={"q": query}).text
        assert "No opt-outs" in page or OTHER in page


def test_list_has_every_active_opt_out_once(operator: Operator, context: Flask) -> None:
    now = datetime.now(UTC)
    numbers = [f"+1415555{number:04}" for number in range(103)]
    senders = [("*", "*"), (SENDER, "twilio"), ("", "twilio")]
    with transaction():
        opt_outs.change(
            Change(Pair(number, *senders[at % 3]), at != 50, now, "import", "command")
            for at, number in enumerate(numbers)
        )
    shown, path = list[str](), "/opt-outs"
    while path:
        page = operator.get(path).text
        shown += [number for number in numbers if f"<b>{number}</b>" in page]
        path = next_page(page)
    assert shown == [number for at, number in enumerate(numbers) if at != 50]


def test_opt_out_from_every_sender_counts_on_each_channel(
    operator: Operator, context: Flask
) -> None:
    begin(operator)
    record([heard("STOP")])  # over SMS, to one sender
    path = "/conversation?number=whatsapp:%2B14155552671"
    summary = operator.get(path).text.partition('id="summary"')[2].partition("</section>")[0]
    assert "opted out" in summary
    assert SENDER not in summary


def next_page(page: str) -> str:
    links = [part for part in page.split('"') if part.startswith("/ops/opt-outs?after=")]
    return links[0].replace("&amp;", "&").removeprefix("/ops") if links else ""
