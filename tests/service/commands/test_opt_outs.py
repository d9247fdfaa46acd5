"""The commands `opt-outs`."""

from datetime import UTC, datetime

import pytest
from click.testing import Result
from flask import Flask

from service.database import db
from service.sending import deliver
from tests.fakes import FakeProvider
from tests.messages import Post
from tests.opt_outs import store

NUMBER, SENDER, OTHER_SENDER = "+14155552671", "+15005550006", "+15005550007"


def run(app: Flask, *arguments: str) -> Result:
    db.session.rollback()
    return app.test_cli_runner().invoke(args=["opt-outs", *arguments])


@pytest.fixture
def opted_out(context: Flask) -> Flask:
    for sender in (SENDER, OTHER_SENDER):
        store(NUMBER, sender, datetime(2026, 11, 21, 12, tzinfo=UTC))
    return context


def test_opt_outs_are_listed_by_recipient(opted_out: Flask) -> None:
    rest = "twilio  provider 21610  by provider  2026-11-21 12:00:00Z"
    assert run(opted_out, "list").output.splitlines() == [
        f"{NUMBER}  from {SENDER}  {rest}",
        f"{NUMBER}  from {OTHER_SENDER}  {rest}",
        "2 opt-outs",
    ]
    assert run(opted_out, "list", "+14155550000").output == "0 opt-outs\n"
    assert "1 opt-outs" in run(opted_out, "list", "--sender", SENDER).output


def test_opt_out_is_removed_for_one_or_all_senders(opted_out: Flask) -> None:
    assert run(opted_out, "remove", NUMBER, "--sender", SENDER).stdout == "removed 1\n"
    assert run(opted_out, "remove", NUMBER).stdout == "removed 1\n"
    again = run(opted_out, "remove", NUMBER)
    assert again.exit_code == 1
    assert "no such opt-out" in again.output


def test_message_is_sent_after_its_opt_out_is_removed(
    opted_out: Flask, post: Post, provider: FakeProvider
) -> None:
    run(opted_out, "remove", NUMBER)
    post()
    deliver.deliver()
    assert len(provider.on_air) == 1
