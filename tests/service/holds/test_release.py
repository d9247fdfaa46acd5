"""Messages that wait: none is forgotten, and others do not wait with them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

import pytest
from flask import Flask

from service.database import db, transaction
from service.domain.scope import HoldKind, Scope
from service.domain.status import Status
from service.holds import blocks, match
from service.holds.key import Key
from service.models import Client, Hold
from service.providers.sandbox import SANDBOX
from service.queries import holds as queries
from service.queries.dialect import is_postgresql
from service.sending import claim, deliver
from service.sending.accept import accept
from tests.fakes import FakeProvider
from tests.messages import Post, draft
from tests.service.holds.conftest import holds, message
from tests.strategies import EPOCH

PROVIDER = Key(Scope.PROVIDER, "twilio")


def pause(key: Key) -> int:
    with transaction():
        hold = queries.open_hold(key, HoldKind.PAUSED, None, "", datetime.now(UTC))
        assert hold is not None
        return hold.id


def end(hold_id: int) -> None:
    with transaction():
        blocks.end([hold_id], datetime.now(UTC), "ada")


def post_as(name: str) -> tuple[int, UUID]:
    client = Client(name=name, created_at=EPOCH)
    db.session.add(client)
    db.session.commit()
    [accepted] = accept(client.id, [draft()])
    return client.id, accepted.message.id


def test_hold_that_ends_during_a_claim_parks_nothing(
    post: Post, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim loaded the hold; then it ended, and its messages were released."""
    hold_id = pause(PROVIDER)
    message_id = post()
    stale = list(queries.unreleased())
    db.session.expunge_all()
    db.session.rollback()
    end(hold_id)
    claim.claim(10)  # releases the ended hold
    assert holds()[0].released_at is not None
    with transaction():
        db.session.execute(db.text("UPDATE message SET status = 'pending', due_at = created_at"))
    monkeypatch.setattr(queries, "unreleased", lambda: stale)
    claim.claim(10)
    assert message(message_id).hold_id is None
    monkeypatch.undo()


def test_end_of_a_hold_waits_for_messages_being_parked(
    context: Flask, post: Post, provider: FakeProvider
) -> None:
    if not is_postgresql():
        pytest.skip("SQLite has one writer at a time")
    hold_id = pause(PROVIDER)
    post()

    def end_elsewhere() -> None:
        with context.app_context():
            end(hold_id)

    with ThreadPoolExecutor(1) as pool:
        with transaction():
            assert queries.lock_active([hold_id]) == {hold_id}
            ended = pool.submit(end_elsewhere)
            with pytest.raises(TimeoutError):
                ended.result(0.3)
        ended.result(5)
    assert holds()[0].ended_at is not None


def test_parking_skips_a_hold_that_is_being_ended(context: Flask) -> None:
    if not is_postgresql():
        pytest.skip("SQLite has one writer at a time")
    hold_id = pause(PROVIDER)

    def lock_elsewhere() -> set[int]:
        with context.app_context(), transaction():
            return queries.lock_active([hold_id])

    with ThreadPoolExecutor(1) as pool, transaction():
        blocks.end([hold_id], datetime.now(UTC))
        assert pool.submit(lock_elsewhere).result(5) == set()


def test_messages_of_a_resumed_provider_are_sent(post: Post, provider: FakeProvider) -> None:
    hold_id = pause(PROVIDER)
    ids = [post() for _ in range(12)]
    deliver.deliver()
    assert {message(message_id).hold_id for message_id in ids} == {hold_id}
    end(hold_id)
    deliver.deliver()
    assert {message(message_id).status for message_id in ids} == {Status.QUEUED}


def test_paused_client_does_not_stop_others(context: Flask, provider: FakeProvider) -> None:
    paused, waits = post_as("paused")
    pause(Key(Scope.CLIENT, value=str(paused)))
    _, sent = post_as("other")
    deliver.deliver()
    assert message(waits).status is Status.PENDING
    assert message(sent).status is Status.QUEUED


def test_paused_block_is_not_probed_in_a_loop(
    context: Flask, post: Post, provider: FakeProvider
) -> None:
    """A message that is made due to probe a block must not be parked and made due forever."""
    with transaction():
        key = Key(Scope.ACCOUNT, "twilio", "default")
        queries.open_hold(
            key, HoldKind.BLOCKED, "20005", "", datetime.now(UTC), probe_at=datetime.now(UTC)
        )
    with transaction():
        db.session.execute(db.update(Hold).values(probe_at=None))
    post()
    deliver.deliver()
    pause(PROVIDER)
    with transaction():
        db.session.execute(
            db.update(Hold).where(Hold.kind == HoldKind.BLOCKED).values(probe_at=EPOCH)
        )
    assert claim._claim_round(10, 10) == (False, [])


def test_test_messages_are_never_held(context: Flask) -> None:
    pause(Key(Scope.SENDER, value="+15005550006"))
    real = match.Subject("twilio", "default", "+15005550006", 1, "+14155552671")
    loaded = queries.unreleased()
    assert len(match.holds_on(real, loaded)) == 1
    assert match.holds_on(real._replace(provider=SANDBOX), loaded) == []


def test_country_is_computed_only_for_blocked_countries(
    context: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = list[str]()

    def country_of(to: str) -> str:
        computed.append(to)
        return "SE"

    monkeypatch.setattr(match, "country_of", country_of)
    subject = match.Subject("twilio", "default", "", 1, "+46701234567")
    pause(PROVIDER)
    assert len(match.holds_on(subject, queries.unreleased())) == 1
    assert computed == []
    pause(Key(Scope.COUNTRY, "twilio", "default", "SE"))
    assert len(match.holds_on(subject, queries.unreleased())) == 2
    assert computed == ["+46701234567"]
