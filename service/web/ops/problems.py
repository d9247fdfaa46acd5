"""Decides what is a problem, for the first section of the overview."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from service.database.replica import RECENT
from service.domain.scope import HoldKind
from service.operations.holds import ListedHold
from service.operations.overview import QUEUES, Overview, RedisFigures, ReplicaFigures
from service.operations.replicas import Replicas
from service.operations.webhooks import Troubles
from service.queries.backlog import Backlog, Backlogs
from service.queries.webhook_health import Health
from service.web.ops.formatting import capped, duration

# Seconds that the oldest message or callback may wait.
_SLOW: Final = 30.0
_STUCK: Final = 120.0
_WEBHOOKS: Final = {
    Health.FAILING: ("failing", "Tell its client. After 5 days it is disabled; nothing is lost."),
    Health.DISABLED: ("disabled", "Ask its client, then enable it and recover the events since."),
    Health.LATE: ("late", "Check that the workers of the queue “webhooks” keep up."),
}


class Problem(NamedTuple):
    """A problem. `section` is the id of the section with the details."""

    critical: bool  # something has stopped
    summary: str
    advice: str
    section: str = "system"


def find_problems(overview: Overview) -> list[Problem]:
    """Return the problems, critical ones first."""
    problems = [*_unavailable(overview), *_refusals(overview)]
    if overview.redis:
        problems += _redis(overview.redis)
    if overview.replica:
        problems += _replica(overview.replica)
    if overview.database:
        problems += _holds(overview.database.holds)
        problems += _due(overview.database.backlogs.due, overview.now)
        problems += _overdue(overview.database.backlogs, overview.now)
        problems += _unresolved(overview.database.backlogs)
        problems += _webhooks(overview.database.webhooks, overview.now)
        problems += _inbound(overview.database.inbound.unowned)
    return sorted(problems, key=lambda problem: not problem.critical)


def headline(problems: list[Problem]) -> str:
    """Return the state of the service in one line."""
    if not problems:
        return "Healthy: no backlog, no failures"
    state = "Critical" if problems[0].critical else "Degraded"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{state}: {problems[0].summary}{more}"


def _unavailable(overview: Overview) -> Iterator[Problem]:
    if overview.database is None:
        advice = "Callbacks are stored in Redis; the API answers 503. Check the database server."
        yield Problem(True, "Database unavailable or too slow", advice)
    if overview.redis is None:
        advice = (
            "New messages and callbacks are stored in the database; nothing is sent until Redis "
            "answers. Check the Redis server and REDIS_URL."
        )
        yield Problem(True, "Redis unavailable", advice)


def _replica(replica: ReplicaFigures) -> Iterator[Problem]:
    """Not critical: everything that reads the replica reads the primary meanwhile."""
    advice = "Lists, search and these pages read the primary. Check the replica, DATABASE_READ_URL."
    if replica.lag is None:
        yield Problem(False, "The replica of the database does not answer", advice)
    elif replica.lag > RECENT:
        summary = f"The replica of the database is {duration(replica.lag)} behind"
        yield Problem(False, summary, advice)


def _redis(figures: RedisFigures) -> Iterator[Problem]:
    if figures.queues is None:
        advice = (
            "Callbacks and messages are stored; nothing is sent or recorded until the broker "
            "answers. Check BROKER_URL and its server."
        )
        yield Problem(True, "Broker unavailable", advice)
    yield from _replicas(figures.replicas)
    if figures.inbox_age > _SLOW:
        number = f"{figures.inbox:,} {'callback' if figures.inbox == 1 else 'callbacks'}"
        summary = f"{number} in the inbox, the oldest for {duration(figures.inbox_age)}"
        advice = "Check that the workers of the queue “status” keep up."
        yield Problem(figures.inbox_age > _STUCK, summary, advice)


def _replicas(replicas: Replicas) -> Iterator[Problem]:
    if not any(replica.kind == "beat" for replica in replicas.alive):
        advice = "Scheduled retries, look-ups and sweeps do not run. Start beat."
        yield Problem(True, "Beat is not running", advice)
    for queue in QUEUES:
        if not any(queue in replica.queues for replica in replicas.alive):
            yield Problem(True, f"No worker reads the queue “{queue}”", "Start a worker for it.")
    for replica in replicas.gone:
        summary = f"{replica.kind.capitalize()} {replica.name} stopped unexpectedly"
        advice = f"Its last heartbeat was at {replica.seen:%H:%M:%S}. Check its log."
        yield Problem(False, summary, advice)


def _holds(holds: Sequence[ListedHold]) -> Iterator[Problem]:
    for hold, what, waiting in holds:
        since = f"since {hold.started_at:%Y-%m-%d %H:%M:%S}"
        wait = f"{waiting:,} {'message waits' if waiting == 1 else 'messages wait'}"
        if hold.kind == HoldKind.BLOCKED:
            summary = f"Blocked {since}: {what} (code {hold.code}); {wait}"
            yield Problem(True, summary, hold.reason, "holds")
        elif hold.kind == HoldKind.PAUSED:
            summary = f"Paused {since} by {hold.started_by}: {what}; {wait}"
            yield Problem(
                False, summary, hold.reason or "Resume it when it may send again.", "holds"
            )
        else:
            summary = f"No message accepted {since}: {what}"
            advice = f"{hold.reason} Messages are retried, or go to the next provider."
            yield Problem(False, summary, advice, "holds")


def _due(due: Backlog, now: datetime) -> Iterator[Problem]:
    age = due.age(now)
    if age > _SLOW:
        summary = f"{_plural(due, 'message')} due, the oldest for {duration(age)}"
        yield Problem(age > _STUCK, summary, "Check that the workers of the queue “send” keep up.")


def _overdue(backlogs: Backlogs, now: datetime) -> Iterator[Problem]:
    claims, look_ups, overflow = (
        backlogs.expired_claims,
        backlogs.overdue_look_ups,
        backlogs.overflow,
    )
    if claims.size:
        advice = "Their worker stopped, and the sweep that releases them does not run. Check beat."
        yield Problem(True, _plural(claims, "expired claim"), advice)
    if look_ups.size:
        late = duration(look_ups.age(now))
        summary = f"{_plural(look_ups, 'overdue look-up')}, the oldest due {late} ago"
        advice = "Check the workers of the queue “maintenance” and RECONCILE_BUDGET."
        yield Problem(False, summary, advice)
    if overflow.size:
        summary = f"{_plural(overflow, 'callback')} in the overflow table"
        yield Problem(False, summary, "They move to the inbox when Redis answers and has room.")


def _unresolved(backlogs: Backlogs) -> Iterator[Problem]:
    if backlogs.undecided.size:
        summary = f"{_plural(backlogs.undecided, 'message')} in doubt to decide"
        advice = "Look-ups cannot resolve them: search the provider's console."
        yield Problem(False, summary, advice, "in-doubt")
    if backlogs.dead_letters.size:
        summary = f"{_plural(backlogs.dead_letters, 'callback')} could not be recorded"
        yield Problem(False, summary, "Fix the cause, then replay them.", "dead-letters")
    if backlogs.unknown.size:
        summary = f"{_plural(backlogs.unknown, 'message')} with an unknown outcome"
        advice = "No final status came before polling ended (last 24 h)."
        yield Problem(False, summary, advice, "failures")


def _webhooks(troubles: Troubles, now: datetime) -> Iterator[Problem]:
    """Not critical: mostly a client's server is the cause, and what it is owed is kept."""
    for health, (state, advice) in _WEBHOOKS.items():
        if trouble := troubles.numbers.get(health):
            noun = "webhook endpoint" if trouble.number == 1 else "webhook endpoints"
            age = duration((now - trouble.since).total_seconds())
            first = "" if trouble.number == 1 else "the first "
            yield Problem(
                False, f"{trouble.number:,} {state} {noun}, {first}for {age}", advice, "webhooks"
            )


def _inbound(unowned: Backlog) -> Iterator[Problem]:
    """Not critical: strangers write, too, and the messages are kept."""
    if unowned.size:
        summary = f"{_plural(unowned, 'inbound message')} without an owner"
        advice = "No client gets them (last 24 h): give each to a client."
        yield Problem(False, summary, advice, "inbound")


def _refusals(overview: Overview) -> Iterator[Problem]:
    """Not critical: where no callback is expected, a stranger's requests look the same."""
    for refusals, advice in overview.refusals:
        numbers = f"{refusals.number:,} refused in the last minute, none accepted"
        summary = f"All callbacks of {refusals.provider} are refused: {advice.fault}"
        yield Problem(False, f"{summary} ({numbers})", advice.remedy)


def _plural(backlog: Backlog, noun: str) -> str:
    return f"{capped(backlog)} {noun}{'' if backlog.size == 1 else 's'}"
