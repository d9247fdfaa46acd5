"""Fills a ledger with a year of events, and stores messages to report about."""

import time
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text

from bench.databases import engine_of, settle
from service.database import db
from service.domain.message_ids import random_id
from service.domain.status import Status

STATUSES: Final = (Status.ACCEPTED, Status.QUEUED, Status.SENDING, Status.SENT, Status.DELIVERED)
MONTHS: Final = 12
YEAR: Final = timedelta(days=30.4 * MONTHS)
_FUNCTION: Final = """
    CREATE FUNCTION pg_temp.id_of(kind text, number bigint, moment double precision) RETURNS uuid
    LANGUAGE sql STABLE RETURN (lpad(to_hex((moment * 1000)::bigint), 12, '0')
        || '7000a' || left(md5(kind || number), 15))::uuid
"""
_EVENTS: Final = """
    INSERT INTO status_event (identity, message_id, attempt_id, provider, provider_sid, source,
        word, status, received_at, repeats, raw)
    SELECT substring(uuid_send(attempt_id) FOR 6)
            || substring(sha256((number || word)::bytea) FOR 26),
        message_id, attempt_id, 'twilio', 'SM' || md5('s' || number), 'callback', word, word,
        to_timestamp(moment), 0, '{"MessageStatus": "filler", "MessagingServiceSid": "filler"}'
    FROM (
        SELECT number, moment, pg_temp.id_of('m', number, moment) AS message_id,
            pg_temp.id_of('a', number, moment) AS attempt_id
        FROM (
            SELECT number, :first + (:last - :first) * number / :messages AS moment
            FROM generate_series(0, :messages - 1) AS number
        ) AS numbered OFFSET 0
    ) AS filler, unnest(ARRAY['accepted', 'queued', 'sending', 'sent', 'delivered']) AS word
"""
_SENT: Final = """
    WITH sent AS (SELECT unnest(CAST(:messages AS uuid[])) AS message,
        unnest(CAST(:attempts AS uuid[])) AS attempt),
    messages AS (INSERT INTO message (id, client_id, "to", body, metadata, resend_if_unknown,
        provider, status, priority, attempts, lookups, failed_in, delivered_in, created_at,
        updated_at) SELECT message, 1, '+14155552671', 'Hello', '{}', false, 'twilio', 'submitting',
        1, 1, 0, 0, 0, now(), now() FROM sent)
    INSERT INTO attempt (id, message_id, number, provider, started_at)
    SELECT attempt, message, 1, 'twilio', now() FROM sent
"""


def fill(url: str, events: int, end: datetime) -> float:
    """Store events of messages that do not exist, of the year before `end`; return seconds."""
    start = time.monotonic()
    values = {"first": (end - YEAR).timestamp(), "last": end.timestamp()}
    with engine_of(url).begin() as connection:
        connection.execute(text("INSERT INTO client (id, name, test, created_at)"
                                " VALUES (1, 'bench', false, now())"))  # fmt: skip
        # The filler has no messages.
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(_FUNCTION))
        connection.execute(text(_EVENTS), {**values, "messages": events // len(STATUSES)})
    settle(url)
    return time.monotonic() - start


def store_messages(number: int, moment: datetime) -> list[UUID]:
    """Store messages that are sent; return their attempts."""
    messages, attempts = ([random_id(moment) for _ in range(number)] for _ in range(2))
    db.session.execute(text(_SENT), {"messages": messages, "attempts": attempts})
    db.session.commit()
    return attempts
