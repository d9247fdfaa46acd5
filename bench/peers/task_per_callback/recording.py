"""The worker: one task and one transaction for each callback."""

import os
from typing import Any, Final

from celery import Celery
from sqlalchemy import JSON, bindparam, create_engine, text

RANKS: Final = {"queued": 1, "sending": 2, "sent": 3, "undelivered": 4, "delivered": 5}
_UPDATE: Final = text(
    "UPDATE message SET status = :status, rank = :rank, updated_at = now()"
    " WHERE sid = :sid AND rank < :rank"
)
_INSERT: Final = text(
    "INSERT INTO status_history (sid, status, raw) VALUES (:sid, :status, :raw)"
).bindparams(bindparam("raw", type_=JSON))
_engine = create_engine(os.environ["DATABASE_URL"])  # connects when first used

celery = Celery("bench", broker=os.environ["REDIS_URL"])
celery.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)


def _record(form: dict[str, Any]) -> None:
    sid, status = form["MessageSid"], form["MessageStatus"]
    with _engine.begin() as connection:
        connection.execute(_UPDATE, {"sid": sid, "status": status, "rank": RANKS[status]})
        connection.execute(_INSERT, {"sid": sid, "status": status, "raw": form})


record = celery.task(_record, name="record")
