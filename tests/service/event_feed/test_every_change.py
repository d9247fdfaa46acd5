"""Who reads the feed and keeps the highest version of each message ends with what GET shows."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, text, update

from service.database import db, transaction
from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.errors import ClientError, NotAccepted, OutcomeUnknown
from service.event_feed import read as feed
from service.event_feed.cursor import Cursor
from service.models import Attempt, Message, StatusEvent
from service.operations import rebuild
from service.providers.base import Outbound
from service.queries import message_details
from service.reconciliation import look_up, poll
from service.recording import record
from service.representations import messages as representations
from service.sending import cancel, claim, deliver
from service.sending.resend import resend_all
from service.sending.resend_refusals import Order
from tests.fakes import FakeProvider, said
from tests.messages import Post
from tests.strategies import EPOCH, statements

pytestmark = pytest.mark.usefixtures("events_told")

FIRST, SECOND, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
EXAMPLES = settings.default.max_examples // 2

Copies = dict[str, Any]


class Reader:
    """A client that keeps the highest version of each of its messages."""

    def __init__(self, client_id: int) -> None:
        self._client_id = client_id
        self.cursor: Cursor = feed.end()
        self.copies: Copies = shown(client_id)

    def read(self) -> None:
        more = True
        while more:
            page = feed.read(self._client_id, self.cursor, 2)
            for copy in representations.messages([message for _, message in page.events]):
                if copy["version"] > self.copies[str(copy["id"])]["version"]:
                    self.copies[str(copy["id"])] = dict(copy)
            self.cursor, more = page.next, page.more
        db.session.close()


def shown(client_id: int) -> Copies:
    """What GET shows of each message."""
    db.session.close()
    ids = db.session.scalars(select(Message.id).where(Message.client_id == client_id)).all()
    found = [message_details.message(client_id, message_id) for message_id in ids]
    copies = {str(copy["id"]): dict(copy) for copy in representations.messages(found)}
    db.session.close()
    return copies


def message_ids() -> list[UUID]:
    db.session.rollback()
    return list(db.session.scalars(select(Message.id).order_by(Message.id)))


def reset(post: Post) -> None:
    """Two messages that are being sent: three attempts, an empty ledger."""
    with transaction():
        for model in (StatusEvent, Attempt, Message):
            db.session.execute(delete(model))
    one, other = post(), post()
    with transaction():
        fields = {"provider": "twilio", "started_at": EPOCH}
        for attempt_id, message_id, number in (FIRST, one, 1), (SECOND, one, 2), (OTHER, other, 1):
            attempt = Attempt(id=attempt_id, message_id=message_id, number=number, **fields)
            db.session.add(attempt)
        claimed = {"status": Status.SUBMITTING, "due_at": None, "claimed_until": EPOCH}
        db.session.execute(update(Message).values(**claimed, attempts=2, updated_at=EPOCH))


def cancel_all() -> None:
    for message_id, client_id in rows():
        try:
            cancel.cancel(client_id, message_id)
        except ClientError:
            db.session.rollback()


def rows() -> list[Any]:
    db.session.rollback()
    return list(db.session.execute(select(Message.id, Message.client_id)))


def stop_polling() -> None:
    for message_id in message_ids():
        poll._stop(message_id, datetime.now(UTC))


def end_doubt() -> None:
    for message_id in message_ids():
        with transaction():
            message, attempt = poll.reconciliation.with_attempt(message_id)
        if message is not None and attempt is not None:
            look_up._resend(message, attempt, 3)


def correct() -> None:
    """The messages were changed by hand."""
    with transaction():
        reported = "WHERE outcome_attempt IS NOT NULL"
        db.session.execute(text(f"UPDATE message SET error_code = 'x' {reported}"))
    list(rebuild.rebuild(write=True))


STEPS: dict[str, Callable[[], object]] = {
    "adopt orphans": record.adopt_orphans,
    "expire claims": claim.expire_claims,
    "end doubt": end_doubt,
    "stop polling": stop_polling,
    "resend": lambda: resend_all(message_ids(), Order(Source.CLIENT, confirmed=True)),
    "cancel": cancel_all,
    "correct": correct,
}
batches = st.lists(statements([FIRST, SECOND, OTHER, UUID(int=99)]), min_size=1, max_size=4)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(batches | st.sampled_from(sorted(STEPS)), max_size=8), data=st.data())
def test_highest_versions_of_the_feed_are_what_get_shows(
    steps: list[list[StatusReport] | str],
    data: st.DataObject,
    context: Flask,
    post: Post,
    client_id: int,
) -> None:
    reset(post)
    reader = Reader(client_id)
    for step in steps:
        STEPS[step]() if isinstance(step, str) else record.record(step)
        if data.draw(st.booleans()):
            reader.read()
    reader.read()

    assert reader.copies == shown(client_id)


# What no report changes


@pytest.fixture
def reader(post: Post, client_id: int) -> Iterator[Reader]:
    """A client that has posted a message."""
    post(resend_if_unknown=True)
    return Reader(client_id)


def told(reader: Reader, client_id: int) -> list[str]:
    """The statuses that the reader got, each as it was; it then has what GET shows."""
    page = feed.read(client_id, reader.cursor, 10)
    statuses = [str(event.status) for event, _ in page.events]
    reader.read()
    assert reader.copies == shown(client_id)
    return statuses


def lose(outbound: Outbound) -> Any:
    raise OutcomeUnknown("no answer")


def test_beginning_of_a_doubt_is_told(
    reader: Reader, client_id: int, provider: FakeProvider
) -> None:
    provider.script = lose
    deliver.deliver()
    assert told(reader, client_id) == ["in_doubt"]


def test_expired_claim_is_told(reader: Reader, client_id: int, provider: FakeProvider) -> None:
    claim.claim(1)
    with transaction():
        db.session.execute(update(Message).values(claimed_until=EPOCH))
    assert claim.expire_claims() == 1
    assert told(reader, client_id) == ["in_doubt"]


def test_end_of_a_doubt_without_a_report_is_told(
    reader: Reader, client_id: int, provider: FakeProvider
) -> None:
    """A call that the provider did not accept, whose claim had expired meanwhile."""

    def refuse_late(outbound: Outbound) -> Any:
        with transaction():
            db.session.execute(update(Message).values(claimed_until=EPOCH))
        claim.expire_claims()
        raise NotAccepted("not now")

    provider.script = refuse_late
    deliver.deliver()
    assert told(reader, client_id) == ["in_doubt", "pending"]


def test_call_that_was_not_accepted_is_not_told(
    reader: Reader, client_id: int, provider: FakeProvider
) -> None:
    """An outage of the provider would tell of each of its messages again and again."""

    def refuse(outbound: Outbound) -> Any:
        raise NotAccepted("not now")

    provider.script = refuse
    deliver.deliver()
    assert feed.read(client_id, reader.cursor, 10).events == []


def test_outcome_that_becomes_unknown_is_told(
    reader: Reader, client_id: int, provider: FakeProvider
) -> None:
    deliver.deliver()
    poll._stop(message_ids()[0], datetime.now(UTC))
    assert told(reader, client_id) == ["queued", "queued"]
    [copy] = reader.copies.values()
    assert copy["error"]["code"] == "waybill_outcome_unknown"


def test_checks_change_no_version(reader: Reader, client_id: int, provider: FakeProvider) -> None:
    deliver.deliver()
    reader.read()
    with transaction():
        db.session.execute(update(Message).values(check_at=EPOCH, version=Message.version))
    [before] = shown(client_id).values()
    poll.reconcile_due()
    [after] = shown(client_id).values()
    assert after["version"] == before["version"]


def test_correction_by_rebuild_is_told(
    reader: Reader, client_id: int, provider: FakeProvider
) -> None:
    deliver.deliver()
    [attempt] = provider.on_air
    record.record([said("delivered", attempt_id=attempt.attempt_id)])
    reader.read()
    correct()
    assert told(reader, client_id) == ["delivered"]
