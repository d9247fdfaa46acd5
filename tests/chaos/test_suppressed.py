"""The check of the messages that are posted when all words of recipients are recorded."""

from typing import Any

import pytest

from service.database import db
from service.inbound.record import record
from service.sending import deliver
from tests.chaos import plan, suppressed
from tests.chaos.traffic import body, provider, recipient, sender
from tests.messages import Post
from tests.service.inbound.conversation import heard

_PLAN = plan.short(1)
_NUMBER = _PLAN.messages  # the message to the person 0
_PAIR = (recipient(0), sender(0), provider(0))


@pytest.fixture
def posted(post: Post) -> None:
    """One message, to a person who wrote STOP."""
    record([heard("STOP", From=recipient(0), To=sender(0))])
    post(to=recipient(0), reference=str(_NUMBER))
    deliver.deliver()


def wrong(records: dict[str, Any], *opted_out: tuple[str, str, str]) -> list[str]:
    db.session.rollback()
    return list(suppressed.wrong(records, db.engine, _PLAN, set(opted_out)))


@pytest.mark.usefixtures("context", "posted")
class TestSuppressed:
    def test_suppressed_message_passes(self) -> None:
        assert wrong({}, _PAIR) == []

    def test_message_that_was_sent_is_found(self) -> None:
        [found] = wrong({body(_NUMBER): [{}]}, _PAIR)
        assert "was sent" in found

    def test_message_suppressed_without_opt_out_is_found(self) -> None:
        [found] = wrong({})
        assert "was suppressed" in found

    def test_message_that_was_not_suppressed_is_found(self) -> None:
        other = (recipient(2), sender(2), provider(2))
        [found] = wrong({}, _PAIR, other)
        assert str(other) in found
