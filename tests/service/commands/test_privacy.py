"""The commands `forget` and `opt-outs`."""

from datetime import UTC, datetime

import pytest
from click.testing import Result
from flask import Flask

from service.database import db, transaction
from service.queries import opt_outs
from service.recording import record
from service.sending import claim, deliver
from tests.fakes import FakeProvider, said
from tests.messages import Post

NUMBER, SENDER = "+14155552671", "+15005550006"


def run(app: Flask, *arguments: str) -> Result:
    db.session.rollback()
    return app.test_cli_runner().invoke(args=list(arguments))


@pytest.fixture
def opted_out(context: Flask) -> Flask:
    row = {"to": NUMBER, "provider": "twilio", "error_code": "21610"}
    since = datetime(2026, 11, 21, 12, tzinfo=UTC)
    with transaction():
        senders = (SENDER, "+15005550007")
        opt_outs.upsert([{**row, "sender": sender, "since": since} for sender in senders])
    return context


def test_forget_prints_done_and_postponed_erasures(post: Post, context: Flask) -> None:
    first = post()
    [claimed] = claim.claim(1)
    record.record([said("delivered", attempt_id=claimed.outbound.attempt_id)])
    second = post()
    done = run(context, "forget", NUMBER)
    assert done.exit_code == 0, done.output
    assert "redacted 1 messages, 0 orphans" in done.output
    assert f"later, when it ends: {second} (pending)" in done.output
    assert str(first) not in done.output


@pytest.mark.parametrize("nonsense", ["4155552671", "everybody", "+1"])
def test_forget_refuses_an_invalid_number(context: Flask, nonsense: str) -> None:
    refused = run(context, "forget", nonsense)
    assert refused.exit_code == 2
    assert "E.164" in refused.output


def test_opt_outs_are_listed_by_recipient(opted_out: Flask) -> None:
    listed = run(opted_out, "opt-outs", "list").output.splitlines()
    assert listed == [
        f"{NUMBER}  from {SENDER}  twilio  21610  2026-11-21 12:00:00Z",
        f"{NUMBER}  from +15005550007  twilio  21610  2026-11-21 12:00:00Z",
        "2 opt-outs",
    ]
    assert run(opted_out, "opt-outs", "list", "+14155550000").output == "0 opt-outs\n"


def test_opt_out_is_removed_for_one_or_all_senders(opted_out: Flask) -> None:
    assert run(opted_out, "opt-outs", "remove", NUMBER, "--sender", SENDER).output == "removed 1\n"
    assert run(opted_out, "opt-outs", "remove", NUMBER).output == "removed 1\n"
    again = run(opted_out, "opt-outs", "remove", NUMBER)
    assert again.exit_code == 1
    assert "no such opt-out" in again.output


def test_message_is_sent_after_its_opt_out_is_removed(
    opted_out: Flask, post: Post, provider: FakeProvider
) -> None:
    run(opted_out, "opt-outs", "remove", NUMBER)
    post()
    deliver.deliver()
    assert len(provider.on_air) == 1
