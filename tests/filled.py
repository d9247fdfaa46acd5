"""Fill a PostgreSQL database with a month of traffic, of any size, within seconds.

Client 1 sends most messages, client 2 has a long queue, client 3's messages were all refused and
have no SID, client 4 sends very few. One number is in every tenth message, and so is one reference.
Every message is answered. One answer in a hundred is STOP, and one is START.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import Connection, text

from service.app import create_app
from service.database import db, postgresql, schema, transaction
from service.domain.months import first_identity, month_of, next_month
from service.operations.ledger_partitions import change_partitions
from service.queries import ledger_partitions
from tests.conftest import make_database, make_settings
from tests.fakes import FakeProvider

NUMBER: Final = "+14155550000"  # every tenth message is to it
CAMPAIGN: Final = "campaign"  # every tenth message has this reference


@contextmanager
def filled_application(
    postgres_url: str,
    redis_url: str,
    name: str,
    fill_with: Callable[[Connection], None],
    **settings: str,
) -> Iterator[Flask]:
    """Yield an application, in its context, over a database that this function has filled."""
    settings_of_test = make_settings(make_database(postgres_url, name), redis_url, **settings)
    app = create_app(settings_of_test, providers={"twilio": FakeProvider()})
    schema.prepare(app)
    with app.app_context():
        upgrade()
        _partition_the_last_year()
        with (
            db.engine.connect() as connection,
            postgresql.without_timeouts(connection),
            connection.begin(),
        ):
            fill_with(connection)
        yield app
        db.session.remove()
        db.engine.dispose()


def _partition_the_last_year() -> None:
    """Let the months of the ledger begin a year ago, as if they had been made then."""
    moment = month_of(datetime.now(UTC) - timedelta(days=365))
    bound = first_identity(moment).hex()
    with transaction():
        for part in ledger_partitions.partitions():
            if part.name != "status_event_rest":
                db.session.execute(text(f"DROP TABLE {part.name}"))
        check = "ck_status_event_rest"
        for statement in (
            f"ALTER TABLE status_event_rest DROP CONSTRAINT {check}",
            f"ALTER TABLE status_event_rest ADD CONSTRAINT {check} "
            f"CHECK (identity < '\\x{bound}' OR identity >= '\\x02')",
            "CREATE TABLE status_event_future PARTITION OF status_event "
            f"FOR VALUES FROM ('\\x{bound}') TO ('\\x02')",
        ):
            db.session.execute(text(statement))
    while moment < datetime.now(UTC):
        list(change_partitions(moment))
        moment = next_month(moment)
    db.session.remove()


_FUNCTIONS: Final = """
CREATE FUNCTION pg_temp.moment_of(number bigint, many bigint) RETURNS timestamptz
LANGUAGE sql STABLE RETURN date_trunc('milliseconds', now())
    - interval '1 minute' - (many - number) * (interval '30 days' / many);
CREATE FUNCTION pg_temp.id_of(kind text, number bigint, moment timestamptz) RETURNS uuid
LANGUAGE sql STABLE RETURN (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0')
    || '7000a' || left(md5(kind || number), 15))::uuid;
"""
_PLAN: Final = """
CREATE TEMP TABLE plan AS
SELECT number, client, moment, status, sid, pg_temp.id_of('m', number, moment) AS id,
    pg_temp.id_of('a', number, moment) AS attempt_id
FROM (
    SELECT *, CASE WHEN client <> 3 AND status NOT IN ('pending', 'submitting', 'in_doubt')
        THEN 'SM' || md5('s' || number) END AS sid
    FROM (
        SELECT *, CASE
            WHEN client = 3 THEN 'failed'
            WHEN client = 2 AND number > :many / 2 THEN 'pending'
            WHEN client <> 1 THEN 'delivered'
            WHEN number > :many - 600 AND number % 10 = 0 THEN 'submitting'
            WHEN number % (:many / 40) = 1 THEN 'in_doubt'
            WHEN number % (:many / 40) = 2 THEN 'queued'
            WHEN number % (:many / 10) = 3 THEN 'failed'
            WHEN number % (:many / 30) = 4 THEN 'canceled'
            WHEN number % (:many / 30) = 5 THEN 'read'
            WHEN number % 100 = 11 THEN 'undelivered'
            WHEN number % 20 = 6 THEN 'sent'
            ELSE 'delivered' END AS status
        FROM (
            SELECT number, pg_temp.moment_of(number, :many) AS moment, CASE
                WHEN number % (:many / 3) = 17 THEN 4
                WHEN number % 10 = 9 THEN 3 WHEN number % 10 >= 7 THEN 2 ELSE 1 END AS client
            FROM generate_series(1, :many) AS number
        ) AS numbered
    ) AS stated
) AS complete
"""
_MESSAGES: Final = """
INSERT INTO message (id, client_id, request_digest, "to", sender, body, reference, metadata,
    resend_if_unknown, provider, status, priority, attempts, lookups, outcome_attempt, provider_sid,
    error_code, failed_in, delivered_in, created_at, updated_at, submitted_at, final_at, due_at,
    claimed_until, check_at, unknown_since, redacted_at)
SELECT id, client, sha256('m'),
    CASE WHEN number % 10 = 5 THEN :number ELSE '+1415' || 5550001 + number % 50000 END,
    '+15005550006', 'Your parcel is on its way.',
    CASE WHEN number % 10 = 4 THEN :campaign WHEN number % 2 = 0 THEN 'r-' || number END,
    '{}', false, CASE WHEN number % (:many / 6) = 21 THEN 'sinch' ELSE 'twilio' END, status, 1,
    CASE WHEN status = 'pending' THEN 0 ELSE 1 END, 0,
    CASE WHEN status NOT IN ('pending', 'submitting', 'in_doubt') THEN 1 END, sid,
    CASE WHEN status IN ('failed', 'undelivered') THEN '30005' END,
    CASE WHEN status IN ('failed', 'undelivered', 'canceled') THEN 2 ELSE 0 END,
    CASE WHEN status IN ('delivered', 'read') THEN 2 ELSE 0 END, moment, moment,
    CASE WHEN status <> 'pending' THEN moment END, ended,
    CASE WHEN status = 'pending' THEN
        CASE WHEN number % 2 = 0 THEN moment ELSE now() + interval '20 days' END END,
    CASE WHEN status = 'submitting' THEN
        now() + interval '1 minute' * CASE WHEN number % 20 = 0 THEN -1 ELSE 1 END END,
    CASE WHEN status IN ('submitting', 'queued') OR (status = 'in_doubt' AND number % 3 <> 0)
        THEN now() - interval '1 second' * (number % 100) END,
    CASE WHEN status = 'sent' THEN moment END,
    CASE WHEN number < :many / 10 THEN ended END
FROM (
    SELECT *, CASE WHEN status IN ('failed', 'undelivered', 'canceled', 'delivered', 'read')
        THEN moment END AS ended FROM plan
) AS ended
"""
_ATTEMPTS: Final = """
INSERT INTO attempt (id, message_id, number, provider, provider_sid, answer, started_at)
SELECT attempt_id, id, 1, 'twilio', sid, 'accepted', moment FROM plan WHERE status <> 'pending'
"""
_EVENTS: Final = """
INSERT INTO status_event (identity, message_id, attempt_id, provider, provider_sid, source, word,
    status, error_code, received_at, recorded_at, repeats, raw)
SELECT substring(uuid_send(attempt_id) FOR 6) || substring(sha256((number || word)::bytea) FOR 26),
    id, attempt_id, 'twilio', sid,
    CASE WHEN word = 'queued' THEN 'api' WHEN number % 100 = 0 THEN 'reconciliation'
    ELSE 'callback' END, word, word,
    CASE WHEN word IN ('failed', 'undelivered') THEN '30005' END, moment, moment, 0,
    '{"MessageStatus": "as sent by Twilio"}'
FROM plan, unnest(CASE status WHEN 'queued' THEN ARRAY['queued']
    ELSE ARRAY['queued', status] END) AS word
WHERE status NOT IN ('pending', 'submitting', 'in_doubt')
"""
_ORPHANS: Final = """
INSERT INTO status_event (identity, provider, provider_sid, source, word, status, received_at,
    recorded_at, repeats, raw)
SELECT sha256(('orphan' || number)::bytea), 'twilio', 'SM' || md5('o' || number), 'callback',
    'sent', 'sent', now() - interval '10 days', now() - interval '10 days', 0, '{}'
FROM generate_series(1, :many / 5) AS number
"""
_OTHERS: Final = """
INSERT INTO client (id, name, test, created_at)
SELECT number, 'client-' || number, false, now() FROM generate_series(1, 4) AS number;
INSERT INTO client_sender (sender, client_id, pool, created_at)
SELECT '+1500' || 5560000 + number, 1 + mod(number, 4), 'pool-' || mod(number, 50), now()
FROM generate_series(1, 2000) AS number;
INSERT INTO dead_letter (provider, attempt, body, received_at, error, set_aside_at)
SELECT 'twilio', '', 'x', now(), 'ValueError', now() FROM generate_series(1, 50) AS number;
"""
_OPT_OUTS: Final = """
INSERT INTO opt_out ("to", sender, provider, active, reason, changed_by, error_code, since)
SELECT '+1416' || 5550001 + number,
    CASE WHEN number % 50 = 7 THEN '*' ELSE '+15005550006' END,
    CASE WHEN number % 50 = 7 THEN '*' ELSE 'twilio' END, number % 4 > 0,
    CASE number % 4 WHEN 1 THEN 'provider' ELSE 'keyword' END,
    CASE number % 4 WHEN 1 THEN 'provider' ELSE 'recipient' END,
    CASE WHEN number % 4 = 1 THEN '21610' END, now()
FROM generate_series(1, :many) AS number
"""
_INBOUND: Final = """
INSERT INTO inbound_message (id, provider, account, provider_sid, from_address, to_address, body,
    media, keyword, raw, client_id, in_reply_to, received_at, redacted_at)
SELECT pg_temp.id_of('i', number, moment), message.provider, 'default', 'SM' || md5('i' || number),
    "to", CASE WHEN number % 1000 = 500 THEN '+15005550007' ELSE '+15005550006' END, 'Thanks',
    '[]', CASE WHEN number % 100 = 20 THEN 'stop' WHEN number % 100 = 30 THEN 'start' END,
    '{"Body": "Thanks"}', CASE WHEN number % 50 <> 5 THEN client END, plan.id, moment,
    CASE WHEN number < :many / 10 THEN moment END
FROM plan JOIN message ON message.id = plan.id
"""
_RECEIVED: Final = """
INSERT INTO event (transaction_id, client_id, type, message_id, created_at)
SELECT 1, client_id, 'message.received', id, received_at FROM inbound_message
WHERE client_id IS NOT NULL ORDER BY id
"""
_INDEXES: Final = """
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    AND tablename IN ('message', 'attempt', 'status_event')
    AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""

_PARTITIONS: Final = """
SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'status_event'::regclass
"""
_ANALYZED: Final = (
    *("message", "attempt", "opt_out", "client", "dead_letter"),
    *("inbound_message", "client_sender", "event"),
)


def fill(connection: Connection, many: int) -> None:
    """Insert `many` messages (a multiple of 3,000) with their attempts and ledgers."""
    # A third of the time: no checks of foreign keys, and indexes built at the end.
    connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
    indexes = connection.exec_driver_sql(_INDEXES).all()
    for name, _ in indexes:
        connection.exec_driver_sql(f"DROP INDEX {name}")
    connection.exec_driver_sql(_OTHERS)
    connection.exec_driver_sql(_FUNCTIONS)
    values = {"many": many, "number": NUMBER, "campaign": CAMPAIGN}
    tables = (_PLAN, _MESSAGES, _ATTEMPTS, _EVENTS, _ORPHANS, _OPT_OUTS, _INBOUND, _RECEIVED)
    for statement in tables:
        bound = text(statement)
        named = {name: values[name] for name in bound.compile().params}
        connection.execute(bound, named)
    for _, definition in indexes:
        # Of a partitioned table PostgreSQL prints the definition without its partitions.
        connection.exec_driver_sql(definition.replace(" ON ONLY ", " ON "))
    # As autovacuum, which analyzes the partitions of a table, but not the table.
    partitions = connection.exec_driver_sql(_PARTITIONS).scalars()
    for table in (*_ANALYZED, *partitions):
        connection.exec_driver_sql(f"ANALYZE {table}")
