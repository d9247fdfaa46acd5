"""The command `forget`."""

import pytest
from click.testing import Result
from flask import Flask

from service.database import db
from service.recording import record
from service.sending import claim
from tests.fakes import said
from tests.messages import Post

NUMBER, SENDER = "+14155552671", "+15005550006"


def run(app: Flask, *arguments: str) -> Result:
    db.session.rollback()
    return app.test_cli_runner().invoke(args=list(arguments))


def test_forget_prints_done_and_postponed_erasures(post: Post, context: Flask) -> None:
    first = post()
    [claimed] = claim.claim(1)
    record.record([said("delivered", attempt_id=claimed.outbound.attempt_id)])
    second = post()
    done = run(context, "forget", NUMBER)
    assert done.exit_code == 0, done.output
    assert "redacted 1 messages, 0 inbound messages, 0 orphans" in done.output
    assert f"later, when it ends: {second} (pending)" in done.output
    assert str(first) not in done.output


@pytest.mark.parametrize("nonsense", ["4155552671", "everybody", "+1"])
def test_forget_refuses_an_invalid_number(context: Flask, nonsense: str) -> None:
    refused = run(context, "forget", nonsense)
    assert refused.exit_code == 2
    assert "E.164" in refused.output
