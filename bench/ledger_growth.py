"""Measures the cost of a callback with millions of events in the ledger."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Final

from sqlalchemy import TextClause, text

from bench.databases import engine_of, settle
from bench.drain import drain_once
from bench.waybill import ServingWaybill

_EVENTS_PER_MESSAGE: Final = 5
# Indexes are dropped and rebuilt: updating them row by row would take half an hour.
_INDEXES: Final = text(
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
    " AND tablename IN ('message', 'attempt', 'status_event')"
    " AND indexname NOT IN (SELECT conname FROM pg_constraint) AND indexdef NOT LIKE '% WHERE %'"
)
_UNIQUE: Final = "uq_status_event_identity"
# Like uuid7: a time, one second apart for each message, then random digits. STABLE functions are
# inlined, which takes a third of the time.
_ID_OF: Final = text("""
    CREATE FUNCTION pg_temp.id_of(kind text, number integer) RETURNS uuid LANGUAGE sql STABLE
    RETURN (lpad(to_hex(1700000000000 + 1000 * number::bigint), 12, '0') || '7000a'
        || left(md5(kind || number), 15))::uuid
""")
_MESSAGES: Final = text("""
    INSERT INTO message (id, client_id, request_digest, "to", sender, body, metadata,
        resend_if_unknown, provider, status, attempts, lookups, outcome_attempt, provider_sid,
        failed_in, delivered_in, created_at, updated_at, submitted_at, final_at)
    SELECT pg_temp.id_of('m', number), 1, sha256('m'), '+1415' || (2000000 + number % 8000000),
        '+15005550006', 'Your parcel is on its way.', '{}', false, 'twilio', 'delivered', 1, 0, 1,
        'SM' || md5('s' || number), 0, 2, moment, moment, moment, moment
    FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS number,
        to_timestamp(1700000000 + number) AS moment
""")
_ATTEMPTS: Final = text("""
    INSERT INTO attempt (id, message_id, number, provider, provider_sid, answer, started_at)
    SELECT pg_temp.id_of('a', number), pg_temp.id_of('m', number), 1, 'twilio',
        'SM' || md5('s' || number), 'accepted', to_timestamp(1700000000 + number)
    FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS number
""")
_EVENTS: Final = text("""
    INSERT INTO status_event (identity, message_id, attempt_id, provider, provider_sid, source,
        word, status, received_at, repeats, raw)
    SELECT substring(uuid_send(attempt_id) FOR 6)
            || substring(sha256((number || word)::bytea) FOR 26),
        message_id, attempt_id, 'twilio', sid, 'callback', word, word, moment, 0,
        '{"MessageStatus": "filler"}'
    FROM (
        SELECT number, pg_temp.id_of('m', number) AS message_id, 'SM' || md5('s' || number) AS sid,
            pg_temp.id_of('a', number) AS attempt_id, to_timestamp(1700000000 + number) AS moment
        FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS number
        OFFSET 0
    ) AS filler, unnest(ARRAY['accepted', 'queued', 'sending', 'sent', 'delivered']) AS word
""")


def cost_ratio(serving: ServingWaybill, small: int, large: int, drained: int) -> float:
    """Return the cost of a callback with `large` events, divided by the cost with `small`."""
    before = _cost(serving, 0, small, drained)
    after = _cost(serving, small, large, drained)
    return after / before


def _cost(serving: ServingWaybill, existing: int, total: int, drained: int) -> float:
    """Fill the ledger; return seconds per callback in the faster of two drains."""
    fill_ledger(serving.database, existing, total)
    return 1 / max(drain_once(serving, drained) for _ in range(2))


def fill_ledger(database: str, existing: int, total: int) -> None:
    """Add messages, attempts and events, until there are `total` events."""
    first, last = existing // _EVENTS_PER_MESSAGE + 1, total // _EVENTS_PER_MESSAGE
    middle = (first + last) // 2
    constraint = f"CONSTRAINT {_UNIQUE}"
    with engine_of(database).begin() as connection:
        indexes = connection.execute(_INDEXES).all()
        for name, _ in indexes:
            connection.execute(text(f"DROP INDEX {name}"))
        connection.execute(text(f"ALTER TABLE status_event DROP {constraint}"))
    with _few_checkpoints(database):
        _in_parallel(
            partial(_write, database, _EVENTS, first, middle),
            partial(_write, database, _EVENTS, middle + 1, last),
            partial(_write, database, _MESSAGES, first, last),
            partial(_write, database, _ATTEMPTS, first, last),
        )
        unique = f"ALTER TABLE status_event ADD {constraint} UNIQUE (identity)"
        definitions = (unique, *(definition for _, definition in indexes))
        _in_parallel(*(partial(_build, database, definition) for definition in definitions))
        settle(database)


@contextmanager
def _few_checkpoints(database: str) -> Iterator[None]:
    """Avoid checkpoints: after each, PostgreSQL logs every changed page as a whole."""
    engine = engine_of(database).execution_options(isolation_level="AUTOCOMMIT")
    reload = text("SELECT pg_reload_conf()")
    with engine.connect() as connection:
        connection.execute(text("ALTER SYSTEM SET max_wal_size = '20GB'"))
        connection.execute(reload)
        try:
            yield
        finally:
            connection.execute(text("ALTER SYSTEM RESET max_wal_size"))
            connection.execute(reload)


def _in_parallel(*jobs: Callable[[], None]) -> None:
    """Run all jobs on two threads."""
    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(job) for job in jobs]:
            future.result()


def _write(database: str, statement: TextClause, first: int, last: int) -> None:
    with engine_of(database).begin() as connection:
        connection.execute(text("SET LOCAL synchronous_commit = off"))
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(_ID_OF)
        connection.execute(statement, {"first": first, "last": last})


def _build(database: str, definition: str) -> None:
    with engine_of(database).begin() as connection:
        connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
        # Of a partitioned table PostgreSQL prints the definition without its partitions.
        connection.execute(text(definition.replace(" ON ONLY ", " ON ")))
