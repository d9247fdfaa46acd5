"""An application that loses the primary: with both hosts in DATABASE_URL, and behind a pooler."""

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from service.app import create_app
from service.database import db, schema, transaction
from service.database.errors import is_retryable
from service.database.replica import from_replica, measure_lag
from service.models import Client
from tests.cluster.postgres import PostgresStand, postgres_stand
from tests.cluster.servers import until
from tests.conftest import make_settings
from tests.fakes import FakeProvider
from tests.pgbouncer import PgBouncer
from tests.strategies import EPOCH

pytestmark = pytest.mark.cluster


@pytest.fixture
def stand() -> Iterator[PostgresStand]:
    with (
        tempfile.TemporaryDirectory(prefix="waybill-hosts-", ignore_cleanup_errors=True) as path,
        postgres_stand(Path(path) / "postgres", synchronous=True) as stand,
    ):
        yield stand


class Installation(NamedTuple):
    """An application, and what makes it use the server that was promoted."""

    app: Flask
    follow: Callable[[], None]


@pytest.fixture
def pooler(stand: PostgresStand) -> Iterator[PgBouncer]:
    pooler = PgBouncer(stand.primary.url(), "waybill")
    pooler.await_ready()
    yield pooler
    pooler.stop()


@pytest.fixture(params=["direct", "pooled"])
def installation(
    request: pytest.FixtureRequest, stand: PostgresStand, redis_url: str
) -> Iterator[Installation]:
    """An application that is migrated, directly or through PgBouncer in transaction mode."""
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in stand.servers)
    url, follow = f"postgresql://waybill@{hosts}/waybill", lambda: None
    if request.param == "pooled":
        pooler: PgBouncer = request.getfixturevalue("pooler")
        url, follow = pooler.url, partial(pooler.point_to, stand.standby.url())
    settings = make_settings(url, redis_url, DATABASE_READ_URL=stand.read_url)
    app = create_app(settings, providers={"twilio": FakeProvider()})
    schema.prepare(app)
    with app.app_context():
        upgrade()
        yield Installation(app, follow)
        db.engine.dispose()


@from_replica()
def names() -> set[str]:
    return set(db.session.scalars(select(Client.name)))


def writes(name: str) -> bool:
    """Write a row; return whether it was committed. Raises what a caller must not repeat."""
    try:
        with transaction():
            db.session.add(Client(name=name, created_at=EPOCH))
    except SQLAlchemyError as error:
        if not is_retryable(error):
            raise
        return False
    return True


@pytest.mark.parametrize("loss", ["killed", "frozen"])
def test_application_uses_the_promoted_standby(
    installation: Installation,
    stand: PostgresStand,
    loss: str,
    record_property: Callable[[str, object], None],
) -> None:
    """The kernel of a frozen server confirms every byte: only the limit for an answer ends a wait.

    The figure includes the promotion, which here begins with the loss.
    """
    assert writes("before")
    assert names() == {"before"}
    primary, standby = stand.servers
    began = time.monotonic()
    if loss == "killed":
        primary.kill()
    else:
        primary.freeze()
    standby.promote()
    installation.follow()
    until(lambda: writes("after"), 90)
    record_property("seconds without service", round(time.monotonic() - began, 2))
    for _ in range(3):
        assert names() == {"before", "after"}
    assert measure_lag() == 0, "the server that was promoted is no replica that is too old"
