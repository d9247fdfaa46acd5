"""Sending again on the operator pages: one message by button, many by filter."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

import pytest

from service.database import db
from service.domain.report import StatusReport
from service.domain.status import Status
from service.errors import Refused
from service.models import Message, StatusEvent
from service.operations.timeline import explain
from service.providers.base import Outbound
from service.recording import record
from service.sending import deliver
from tests.fakes import FakeProvider, said
from tests.messages import Post
from tests.service.web.ops.conftest import Operator


@pytest.fixture
def failed(post: Post, provider: FakeProvider) -> UUID:
    """A message that the provider refused."""

    def refuse(outbound: Outbound) -> StatusReport:
        raise Refused("refused", "21211")

    provider.script = refuse
    message_id = post()
    deliver.deliver()
    provider.script = None
    return message_id


def status(message_id: UUID) -> Status:
    db.session.rollback()
    return db.session.get_one(Message, message_id, populate_existing=True).status


def span(**changes: str) -> dict[str, str]:
    since = datetime.now(UTC) - timedelta(hours=1)
    return {"since": f"{since:%Y-%m-%dT%H:%M}", **changes}


def test_button_sends_a_failed_message_again(
    operator: Operator, failed: UUID, provider: FakeProvider
) -> None:
    assert f"/ops/messages/{failed}/resend" in operator.get(f"/messages/{failed}").text
    assert operator.post(f"/messages/{failed}/resend").status_code == 303
    page = operator.get(f"/messages/{failed}").text
    assert f"/ops/messages/{failed}/resend" not in page
    assert "by ada" in page
    deliver.deliver()
    assert len(provider.on_air) == 1
    assert status(failed) is Status.QUEUED


def test_decision_names_the_operator(operator: Operator, failed: UUID) -> None:
    operator.post(f"/messages/{failed}/resend")
    query = db.select(StatusEvent).where(StatusEvent.word == "operator_resent")
    assert db.session.scalars(query).one().raw == {"operator": "ada"}
    lines = list(explain(failed))
    assert any("resend" in line for line in lines)
    assert any("pending" in line for line in lines[:1])


def test_button_shows_why_a_message_is_not_sent_again(
    operator: Operator, failed: UUID, provider: FakeProvider
) -> None:
    attempt = db.session.scalars(db.select(StatusEvent.attempt_id)).one()
    record.record([said("sent", attempt_id=attempt)])
    operator.post(f"/messages/{failed}/resend", confirm_duplicate="yes")
    assert "second copy" in operator.get(f"/messages/{failed}").text
    assert status(failed) is Status.FAILED


@pytest.mark.parametrize("path", ["/messages/{}/resend", "/resend"])
def test_post_needs_session_and_token(
    operator: Operator, stranger: Operator, failed: UUID, path: str
) -> None:
    assert operator.post(path.format(failed), token="wrong", **span()).status_code == 400
    stranger.post(path.format(failed), **span())
    assert status(failed) is Status.FAILED


def test_bulk_counts_first_and_then_sends(
    operator: Operator, failed: UUID, provider: FakeProvider
) -> None:
    assert "Send 1" not in operator.get("/resend").text
    counted = operator.get("/resend", query_string=span())
    assert "Send 1 message again" in counted.text
    assert status(failed) is Status.FAILED
    sent = operator.post("/resend", **span())
    assert sent.status_code == 303
    assert "Sent again: 1" in operator.get(sent.location.removeprefix("/ops")).text
    assert status(failed) is Status.PENDING
    assert operator.post("/resend", **span()).status_code == 303
    deliver.deliver()
    assert len(provider.on_air) == 1


@pytest.mark.parametrize("filter_", [{"error_code": "30008"}, {"until": "2020-01-02T00:00"}])
def test_bulk_sends_only_what_the_filter_selects(
    operator: Operator, failed: UUID, filter_: dict[str, str]
) -> None:
    since = "2020-01-01T00:00" if "until" in filter_ else span()["since"]
    operator.post("/resend", **{"since": since, **filter_})
    assert status(failed) is Status.FAILED


def test_filter_is_kept_from_the_count_to_the_button(operator: Operator, failed: UUID) -> None:
    fields = span(client="payments", error_code="21211")
    page = operator.get(f"/resend?{urlencode(fields)}").text
    for value in fields.values():
        assert page.count(f'value="{value}"') == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"since": "yesterday"},
        {"since": "2020-01-02T00:00", "until": "2020-01-01T00:00"},
        {"since": "2020-01-02T00:00", "client": "nobody"},
        {"since": "\x00", "client": '"><script>'},
    ],
)
def test_wrong_filter_is_refused(operator: Operator, failed: UUID, fields: dict[str, str]) -> None:
    for answer in (
        operator.get("/resend", query_string=fields),
        operator.post("/resend", **fields),
    ):
        assert 400 <= answer.status_code < 500
        assert "<script>" not in answer.text.replace("<script src", "")
    assert status(failed) is Status.FAILED
