"""What an applied callback costs with a long history: ten million events in the ledger."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sqlalchemy import TextClause, text

from bench.databases import engine_of, settle
from bench.draining import drain_once
from bench.waybill import ServingWaybill

_EVENTS_EACH: Final = 4
# Indexes are taken away and built again over all rows: row by row would take half an hour.
_INDEXES: Final = text(
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
    " AND tablename IN ('message', 'attempt', 'status_event')"
    " AND indexname NOT IN (SELECT conname FROM pg_constraint)"
)
_UNIQUE: Final = "uq_status_event_identity"
_MESSAGES: Final = text("""
    INSERT INTO message (id, client_id, request_digest, "to", sender, body, metadata,
        resend_if_unknown, provider, status, attempts, lookups, outcome_attempt, provider_sid,
        failed_in, delivered_in, created_at, updated_at, submitted_at, final_at)
    SELECT uuidv, 1, sha256(uuidv::text::bytea), '+1415' || (2000000 + number % 8000000),
        '+15005550006', 'Your parcel is on its way.', '{}', false, 'twilio', 'delivered', 1, 0, 1,
        'SM' || replace(uuidv::text, '-', ''), 0, 2, moment, moment, moment, moment
    FROM (SELECT number, md5('m' || number)::uuid AS uuidv,
            now() - number * interval '1 second' AS moment
        FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS number) AS made
""")
_ATTEMPTS: Final = text("""
    INSERT INTO attempt (id, message_id, number, provider, provider_sid, answer, started_at)
    SELECT md5('a' || number)::uuid, md5('m' || number)::uuid, 1, 'twilio',
        'SM' || replace(md5('m' || number)::uuid::text, '-', ''), 'accepted', now()
    FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS number
""")
_EVENTS: Final = text("""
    INSERT INTO status_event (identity, message_id, attempt_id, provider, provider_sid, source,
        word, status, received_at, repeats, raw)
    SELECT sha256(('e' || number || '/' || word)::bytea), md5('m' || number)::uuid,
        md5('a' || number)::uuid, 'twilio',
        'SM' || replace(md5('m' || number)::uuid::text, '-', ''), 'callback',
        words[1 + word], words[1 + word], now(), 0, '{"MessageStatus": "as Twilio sent it"}'
    FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) AS number,
        generate_series(0, 3) AS word,
        (SELECT ARRAY['queued', 'sending', 'sent', 'delivered'] AS words) AS said
""")


def growth(serving: ServingWaybill, small: int, large: int, drained: int) -> float:
    """Return the cost of a drained callback with `large` events, in costs with `small` of them."""
    before = _cost(serving, 0, small, drained)
    after = _cost(serving, small, large, drained)
    return after / before


def _cost(serving: ServingWaybill, have: int, want: int, drained: int) -> float:
    """Fill the ledger; return the least time for a callback of three drains, in seconds."""
    fill_ledger(serving.database, have, want)
    return 1 / max(drain_once(serving, drained) for _ in range(3))


def fill_ledger(database: str, have: int, want: int) -> None:
    """Write events, with their messages and attempts, until there are `want`."""
    first, last = have // _EVENTS_EACH + 1, want // _EVENTS_EACH
    middle = (first + last) // 2
    constraint = f"CONSTRAINT {_UNIQUE}"
    with engine_of(database).begin() as connection:
        indexes = connection.execute(_INDEXES).all()
        for name, _ in indexes:
            connection.execute(text(f"DROP INDEX {name}"))
        connection.execute(text(f"ALTER TABLE status_event DROP {constraint}"))
    # Two writers, for two cores.
    with ThreadPoolExecutor(2) as writers:
        for done in [
            writers.submit(_write, database, _EVENTS, first, middle),
            writers.submit(_write, database, _EVENTS, middle + 1, last),
            writers.submit(_write, database, _MESSAGES, first, last),
            writers.submit(_write, database, _ATTEMPTS, first, last),
        ]:
            done.result()
    with engine_of(database).begin() as connection:
        connection.execute(text("SET LOCAL maintenance_work_mem = '1GB'"))
        for _, definition in indexes:
            connection.execute(text(definition))
        connection.execute(text(f"ALTER TABLE status_event ADD {constraint} UNIQUE (identity)"))
    settle(database)


def _write(database: str, statement: TextClause, first: int, last: int) -> None:
    with engine_of(database).begin() as connection:
        connection.execute(text("SET LOCAL synchronous_commit = off"))
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(statement, {"first": first, "last": last})
