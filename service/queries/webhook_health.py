"""Queries on the health of webhook endpoints, for operators. Each reads bounded index ranges.

The table of endpoints is read whole: a client has 16 at most.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    and_,
    case,
    func,
    or_,
    select,
)

from service.database import db
from service.models import Client, WebhookEndpoint
from service.queries.webhook_deliveries import first_due

# A worker takes what is due within a second, and a call takes 15 s at most.
_LATE: Final = timedelta(seconds=60)


class Health(IntEnum):
    """How an endpoint does, in the order in which operators see them."""

    FAILING = 0
    DISABLED = 1
    LATE = 2  # it takes what it is sent, but less than is due
    GOOD = 3


class EndpointHealth(NamedTuple):
    """An endpoint, the name of its client, how it does and since when."""

    endpoint: WebhookEndpoint
    client: str
    health: Health
    since: datetime | None


class Trouble(NamedTuple):
    """How many endpoints have a trouble, and since when the first one has it."""

    number: int
    since: datetime


def page(
    now: datetime, limit: int, offset: int = 0, client: str | None = None
) -> Sequence[EndpointHealth]:
    """Return the endpoints of all clients, or of those with a name, those in trouble first."""
    health = _health(now)
    query = _listed(health).limit(limit).offset(offset)
    return _endpoints(query if client is None else query.where(Client.name == client))


def find(endpoint_id: UUID, now: datetime) -> EndpointHealth | None:
    """Return an endpoint of any client, unless it is deleted."""
    rows = _endpoints(_listed(_health(now)).where(WebhookEndpoint.id == endpoint_id))
    return rows[0] if rows else None


def worst(now: datetime, failing_before: datetime, limit: int) -> Sequence[EndpointHealth]:
    """Return endpoints with a trouble that lasts, the worst first.

    They fail since before a time, are disabled and owed something, or get less than is due.
    """
    health = _health(now)
    return _endpoints(_listed(health).where(_is_trouble(health, failing_before)).limit(limit))


def troubles(now: datetime, failing_before: datetime) -> dict[Health, Trouble]:
    """Return how many endpoints have each trouble of `worst`."""
    health = _health(now)
    query = (
        select(health.c.health, func.count(), func.min(health.c.since))
        .where(_is_trouble(health, failing_before))
        .group_by(health.c.health)
    )
    return {Health(row[0]): Trouble(row[1], row[2]) for row in db.session.execute(query)}


def _health(now: datetime) -> Subquery:
    """Return the health of each endpoint, since when it is so, and when a delivery is due."""
    head = first_due()
    is_disabled = WebhookEndpoint.disabled_at.is_not(None)
    is_failing = WebhookEndpoint.failing_since.is_not(None)
    is_late = head < now - _LATE
    health = case(
        (is_disabled, Health.DISABLED),
        (is_failing, Health.FAILING),
        (is_late, Health.LATE),
        else_=Health.GOOD,
    )
    since = case(
        (is_disabled, WebhookEndpoint.disabled_at),
        (is_failing, WebhookEndpoint.failing_since),
        (is_late, head),
    )
    columns = (health.label("health"), since.label("since"), head.label("due_at"))
    return (
        select(WebhookEndpoint.id, *columns).where(WebhookEndpoint.deleted_at.is_(None)).subquery()
    )


def _is_trouble(health: Subquery, failing_before: datetime) -> ColumnElement[bool]:
    columns = health.c
    return or_(
        and_(columns.health == Health.FAILING, columns.since < failing_before),
        and_(columns.health == Health.DISABLED, columns.due_at.is_not(None)),
        columns.health == Health.LATE,
    )


def _listed(health: Subquery) -> Select[Any]:
    return (
        select(WebhookEndpoint, Client.name, health.c.health, health.c.since)
        .join(health, health.c.id == WebhookEndpoint.id)
        .join(Client, Client.id == WebhookEndpoint.client_id)
        .order_by(health.c.health, health.c.since, WebhookEndpoint.id)
    )


def _endpoints(query: Select[Any]) -> list[EndpointHealth]:
    rows = db.session.execute(query.execution_options(populate_existing=True))
    return [EndpointHealth(row[0], row[1], Health(row[2]), row[3]) for row in rows]
