"""The state of the whole service for operators. Reads only."""

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from service.components import Components, components
from service.coordination.callback_checks import Refusals
from service.database import db, replica
from service.database.errors import is_retryable
from service.database.replica import RECENT, from_replica
from service.models import DeadLetter, Message
from service.operations import activity, holds, inbound, webhooks
from service.operations.activity import Minute
from service.operations.holds import ListedHold
from service.operations.inbound import InboundFigures
from service.operations.latency import Latencies, latencies
from service.operations.replicas import Replicas, replicas
from service.operations.webhooks import Troubles
from service.providers.base import RefusalAdvice
from service.queries import backlog, callbacks, overview
from service.queries.backlog import Backlogs
from service.task_queue.queue import ROUTES, BrokerUnavailable

QUEUES: Final = tuple(sorted(set(ROUTES.values())))
_LISTED: Final = 8  # messages in doubt, dead letters, holds and webhook endpoints
_STATEMENT_TIMEOUT: Final = 2.0
_COUNTING_SECONDS: Final = 0.2  # for all minutes that are not cached

_log = logging.getLogger(__name__)


class DatabaseFigures(NamedTuple):
    """Figures from the database."""

    backlogs: Backlogs
    in_doubt: Sequence[Message]
    dead_letters: Sequence[DeadLetter]
    holds: Sequence[ListedHold]
    webhooks: Troubles
    inbound: InboundFigures
    latencies: Latencies
    messages: list[Minute]
    callbacks: list[Minute]


class RedisFigures(NamedTuple):
    """Figures from Redis."""

    inbox: int
    inbox_age: float  # seconds
    queues: dict[str, int] | None  # None: the broker did not answer
    replicas: Replicas


class ReplicaFigures(NamedTuple):
    """By how many seconds the replica of the database is behind; None: it does not answer."""

    lag: float | None


class Overview(NamedTuple):
    """All figures; None: the store did not answer in time, or there is no replica."""

    now: datetime
    database: DatabaseFigures | None
    replica: ReplicaFigures | None
    redis: RedisFigures | None
    refusals: list[tuple[Refusals, RefusalAdvice]]  # of providers without an accepted callback


def read_overview() -> Overview:
    """Return the state of the service."""
    now = datetime.now(UTC)
    return Overview(
        now, _database_figures(now), _replica_figures(), _redis_figures(now), _refusals()
    )


def _database_figures(now: datetime) -> DatabaseFigures | None:
    try:
        return _read_database(now)
    except SQLAlchemyError as error:
        if not is_retryable(error):
            raise
        _log.warning("overview without the database: %s", type(error).__name__)
        return None
    finally:
        db.session.close()


@from_replica(max_lag=RECENT)
def _read_database(now: datetime) -> DatabaseFigures:
    deadline = time.monotonic() + _COUNTING_SECONDS
    overview.limit_statement_time(_STATEMENT_TIMEOUT)
    backlogs = backlog.measure(now)
    return DatabaseFigures(
        backlogs=backlogs,
        in_doubt=overview.in_doubt(_LISTED) if backlogs.in_doubt.size else (),
        dead_letters=callbacks.dead_letters(_LISTED) if backlogs.dead_letters.size else (),
        holds=holds.problems(now, _LISTED),
        webhooks=webhooks.read_troubles(now, _LISTED),
        inbound=inbound.read_figures(now),
        latencies=latencies(now),
        messages=activity.last_hour("messages", now, deadline),
        callbacks=activity.last_hour("callbacks", now, deadline),
    )


def _replica_figures() -> ReplicaFigures | None:
    if not replica.is_configured():
        return None
    try:
        return ReplicaFigures(replica.measure_lag())
    except SQLAlchemyError as error:
        if not is_retryable(error):
            raise
        return ReplicaFigures(None)  # unknown: the primary does not answer


def _redis_figures(now: datetime) -> RedisFigures | None:
    parts = components()
    try:
        return RedisFigures(
            queues=_queues(parts),
            inbox=parts.inbox.lag(),
            inbox_age=parts.inbox.oldest_age(),
            replicas=replicas(now),
        )
    except (RedisError, BrokerUnavailable):
        return None


def _queues(parts: Components) -> dict[str, int] | None:
    """Count the tasks. Raises BrokerUnavailable if the broker is the Redis of everything else."""
    try:
        return {queue: parts.queue.waiting(queue)[0] for queue in QUEUES}
    except BrokerUnavailable:
        if parts.settings.broker_url is None:
            raise  # soon: the other connections have longer timeouts
        return None


def _refusals() -> list[tuple[Refusals, RefusalAdvice]]:
    """Return refused callbacks that a wrong setting explains, with the advice of the provider."""
    providers, pairs = components().providers, []
    for refusals in components().callback_checks.all_refused():
        if provider := providers.get(refusals.provider.partition("/")[0]):
            pairs.append((refusals, provider.refusal_advice().get(refusals.reason)))
    return [(refusals, advice) for refusals, advice in pairs if advice]
