"""Queries on the state of webhook endpoints: which may be called, and which fail."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import CTE, Select, bindparam, or_, select, update

from service.database import db
from service.models import WebhookDelivery, WebhookEndpoint
from service.queries.dialect import any_of

_CALLABLE: Final = (WebhookEndpoint.deleted_at.is_(None), WebhookEndpoint.disabled_at.is_(None))
_MAY_BE_CALLED: Final = or_(
    WebhookEndpoint.retry_at.is_(None), WebhookEndpoint.retry_at <= bindparam("now")
)
# Bounds what one claim reads.
_MOST_WAITING: Final = 2_000


def waiting_endpoints(now: datetime) -> Sequence[Any]:
    """Return the endpoints that may be called and have due deliveries, the longest due first."""
    return db.session.execute(_WAITING, {"now": now}).all()


def free_probes(ids: Collection[UUID], now: datetime) -> set[UUID]:
    """Lock failing endpoints that may be called; leave out those that another worker has."""
    if not ids:
        return set()
    query = (
        select(WebhookEndpoint.id)
        .where(any_of(WebhookEndpoint.id, ids), *_CALLABLE, _MAY_BE_CALLED)
        .order_by(WebhookEndpoint.id)
        .with_for_update(skip_locked=True)
    )
    return set(db.session.scalars(query, {"now": now}))


def pause(ids: Collection[UUID], until: datetime) -> None:
    """Let no worker call these endpoints until a time."""
    if ids:
        statement = update(WebhookEndpoint).where(any_of(WebhookEndpoint.id, ids))
        options = {"synchronize_session": False}
        db.session.execute(statement.values(retry_at=until), execution_options=options)


def owing() -> CTE:
    """Return the endpoints with deliveries that are not delivered, as a table of ids.

    It steps along the index `ix_webhook_delivery_due` from endpoint to endpoint: 200,000 deliveries
    of one endpoint are not read to find the next. The last step finds none and is null.
    """
    first = (
        select(WebhookDelivery.endpoint_id)
        .where(WebhookDelivery.due_at.is_not(None))
        .order_by(WebhookDelivery.endpoint_id, WebhookDelivery.due_at, WebhookDelivery.id)
        .limit(1)
    )
    ids = select(first.scalar_subquery().label("endpoint_id")).cte("owing", recursive=True)
    after = first.where(WebhookDelivery.endpoint_id > ids.c.endpoint_id).scalar_subquery()
    return ids.union_all(select(after).where(ids.c.endpoint_id.is_not(None)))


def _waiting() -> Select[Any]:
    ids = owing()
    head = (
        select(WebhookDelivery.due_at)
        .where(WebhookDelivery.endpoint_id == ids.c.endpoint_id)
        .where(WebhookDelivery.due_at <= bindparam("now"))
        .order_by(WebhookDelivery.due_at, WebhookDelivery.id)
        .limit(1)
        .scalar_subquery()
    )
    heads = select(ids.c.endpoint_id, head.label("due_at")).subquery()
    columns = (
        WebhookEndpoint.id,
        WebhookEndpoint.client_id,
        WebhookEndpoint.url,
        WebhookEndpoint.include_body,
        WebhookEndpoint.secrets,
        WebhookEndpoint.failing_since,
        WebhookEndpoint.succeeded_at,
    )
    return (
        select(*columns)
        .join(heads, heads.c.endpoint_id == WebhookEndpoint.id)
        .where(heads.c.due_at.is_not(None), *_CALLABLE, _MAY_BE_CALLED)
        .order_by(heads.c.due_at)
        .limit(_MOST_WAITING)
    )


# Built once: building it takes longer than running it.
_WAITING: Final = _waiting()
