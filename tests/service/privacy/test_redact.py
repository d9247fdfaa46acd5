"""Redaction clears content and keeps outcomes, also for reports that arrive later."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import event, select, update

from service.database import batches, db, transaction
from service.domain.report import Source, StatusReport
from service.domain.status import Status
from service.errors import Refused
from service.models import Attempt, Message, StatusEvent
from service.operations import audit, rebuild
from service.privacy import redact
from service.providers.base import Outbound
from service.recording import record
from service.sending import deliver
from tests.fakes import FakeProvider, said
from tests.messages import Post

Configure = Callable[..., None]
TEXT, QUOTE = "Your code is swordfish", "The number +14155552671 is wrong"
RAW = {"Body": TEXT, "To": "+14155552671", "MessageStatus": "delivered", "ErrorMessage": QUOTE}


def message(message_id: UUID) -> Message:
    db.session.rollback()
    db.session.expire_all()
    return db.session.scalars(select(Message).where(Message.id == message_id)).one()


def ledger(message_id: UUID) -> list[StatusEvent]:
    query = select(StatusEvent).where(StatusEvent.message_id == message_id)
    return list(db.session.scalars(query.order_by(StatusEvent.id)))


def everything() -> str:
    """The content of all tables, as text."""
    db.session.rollback()
    tables = Message.__table__, Attempt.__table__, StatusEvent.__table__
    return str(
        [dict(row) for table in tables for row in db.session.execute(select(table)).mappings()]
    )


def ending(message_id: UUID, word: str = "undelivered", days: float = 0) -> StatusReport:
    """A callback with all the fields that Twilio can send."""
    [attempt] = db.session.scalars(select(Attempt.id).where(Attempt.message_id == message_id))
    at = datetime.now(UTC) - timedelta(days=days)
    report = said(
        word, attempt_id=attempt, sid=f"SM{attempt.hex}", source=Source.CALLBACK, at=at,
        error_code="30005",
    )  # fmt: skip
    return report._replace(raw=RAW, error_message=QUOTE)


@pytest.fixture
def sent(post: Post, provider: FakeProvider) -> UUID:
    message_id = post(
        body=TEXT,
        media_urls=["https://example.com/swordfish.png"],
        content_variables={"1": "swordfish"},
        reference="order-17",
        details={"tenant": "acme"},
    )
    deliver.deliver()
    return message_id


def test_redaction_clears_content_and_keeps_outcome(sent: UUID, configure: Configure) -> None:
    configure(redact_after=0.0)
    record.record([ending(sent)])
    assert redact.redact() == 1

    shown = message(sent)
    assert (shown.body, shown.media_urls, shown.content_variables) == (None, None, None)
    assert (shown.status, shown.error_code) == (Status.UNDELIVERED, "30005")
    assert (shown.to, shown.reference, shown.details) == (
        "+14155552671", "order-17", {"tenant": "acme"},
    )  # fmt: skip
    assert shown.redacted_at is not None
    assert [event.raw for event in ledger(sent)] == [
        {"word": "queued"},
        {"MessageStatus": "delivered"},
    ]
    assert "swordfish" not in everything()
    assert QUOTE not in everything()


def test_audit_and_rebuild_hold_after_redaction(sent: UUID, configure: Configure) -> None:
    configure(redact_after=0.0)
    record.record([ending(sent)])
    redact.redact()
    assert list(rebuild.rebuild()) == []
    assert [finding.text for finding in audit.audit() if not finding.holds] == []


def test_second_redaction_finds_nothing(sent: UUID, configure: Configure) -> None:
    configure(redact_after=0.0)
    record.record([ending(sent)])
    assert (redact.redact(), redact.redact()) == (1, 0)


@pytest.mark.parametrize(
    ("after", "days", "done"),
    [(None, 400, 0), (2.0, 1, 0), (2.0, 3, 1), (0.0, 0, 1)],
    ids=["unset", "too young", "old enough", "immediately"],
)
def test_redact_after_sets_the_age(
    sent: UUID, configure: Configure, after: float | None, days: float, done: int
) -> None:
    configure(redact_after=after)
    record.record([ending(sent, days=days)])
    assert redact.redact() == done


def test_message_under_way_is_not_redacted(sent: UUID, post: Post, configure: Configure) -> None:
    """It may be sent again, or looked up by its text."""
    configure(redact_after=0.0)
    post()
    assert redact.redact() == 0
    assert message(sent).body == TEXT


def test_message_with_unknown_outcome_is_redacted(sent: UUID, configure: Configure) -> None:
    configure(redact_after=1.0)
    long_ago = datetime.now(UTC) - timedelta(days=2)
    with transaction():
        db.session.execute(update(Message).values(unknown_since=long_ago))
    assert redact.redact() == 1


def test_late_report_is_recorded_redacted(sent: UUID, configure: Configure) -> None:
    configure(redact_after=0.0)
    record.record([ending(sent)])
    redact.redact()
    record.record([ending(sent), ending(sent, "delivered")])

    assert message(sent).status is Status.DELIVERED
    assert [event.repeats for event in ledger(sent)] == [0, 1, 0]
    assert "swordfish" not in everything()
    assert QUOTE not in everything()
    assert list(rebuild.rebuild()) == []


@pytest.mark.parametrize("by_sweep", [True, False], ids=["sweep", "report"])
def test_orphan_adopted_after_redaction_is_redacted(
    sent: UUID, provider: FakeProvider, configure: Configure, by_sweep: bool
) -> None:
    configure(redact_after=0.0)
    record.record([ending(sent)])
    redact.redact()
    late = ending(sent, "delivered")._replace(provider_sid="SM2")
    record.record([late._replace(attempt_id=None)])
    assert "swordfish" in everything(), "an orphan has no message yet"
    if by_sweep:
        with transaction():
            db.session.execute(update(Attempt).values(provider_sid="SM2"))
        assert record.adopt_orphans() == 1
    else:
        record.record([late._replace(word="sent", status=Status.SENT)])
    assert message(sent).status is Status.DELIVERED
    assert "swordfish" not in everything()
    assert QUOTE not in everything()


def test_answer_after_redaction_is_recorded_redacted(
    post: Post, provider: FakeProvider, configure: Configure
) -> None:
    """The callback arrives before the answer, and the sweep runs between the two."""
    configure(redact_after=0.0)

    def script(outbound: Outbound) -> StatusReport:
        record.record([said("delivered", attempt_id=outbound.attempt_id, sid="SM1")])
        redact.redact()
        raise Refused(QUOTE, "21211")

    provider.script = script
    message_id = post()
    deliver.deliver()
    assert message(message_id).redacted_at is not None
    assert QUOTE not in everything()


def test_redaction_runs_in_batches(
    post: Post, provider: FakeProvider, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(redact_after=0.0)
    for module in (redact, batches):
        monkeypatch.setattr(module, "BATCH", 2)
    for _ in range(5):
        post()
    deliver.deliver()
    ids = list(db.session.scalars(select(Attempt.id)))
    record.record([said("delivered", attempt_id=attempt_id) for attempt_id in ids])
    commits = list[object]()

    def note(connection: object) -> None:
        commits.append(connection)

    event.listen(db.engine, "commit", note)
    try:
        assert redact.redact() == 5
    finally:
        event.remove(db.engine, "commit", note)
    assert len(commits) == 1 + 3 + 1  # no marked messages; two, two, one; no inbound messages


def test_redaction_skips_locked_messages(sent: UUID, configure: Configure) -> None:
    if db.engine.dialect.name != "postgresql":
        pytest.skip("SQLite locks the whole file")
    configure(redact_after=0.0)
    record.record([ending(sent)])
    with db.engine.begin() as other:
        other.execute(select(Message.id).where(Message.id == sent).with_for_update())
        assert redact.redact() == 0
    assert redact.redact() == 1
