"""the ledger in monthly partitions (PostgreSQL), without its foreign key

Revision ID: 0016
Revises: 0015
Create Date: 2026-11-27 02:00:00

PostgreSQL: the old table becomes the default partition, in place. Only the check of its rows takes
longer with more rows, and it blocks nobody. Every other step changes the catalog and waits for its
locks for a second at most, then tries again.
"""
import time
from datetime import datetime, timedelta, timezone

import sqlalchemy as sa
from alembic import op
from psycopg.errors import DeadlockDetected, LockNotAvailable

revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None

_INDEXES = (
    ('ix_status_event_message_id', '(message_id, id)'),
    ('ix_status_event_received_at', '(received_at)'),
    ('ix_status_event_orphan', '(provider_sid) WHERE message_id IS NULL'),
    ('ix_status_event_orphan_id', '(id) WHERE message_id IS NULL'),
)
_RENAMED = ('pk_status_event', 'uq_status_event_identity', *(name for name, _ in _INDEXES))
# The end of the time range: identities of later times (from 2039) go into the default partition.
_END = "'\\x02'"
_MONTHS = 2
# The old version inserts rows until the lock: no attempt is made so far ahead.
_MARGIN = timedelta(days=2)
_TRIES = 120
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '1s'"
_STATUSES = ('pending', 'submitting', 'in_doubt', 'accepted', 'scheduled', 'queued', 'canceled', 'sending', 'sent', 'failed', 'undelivered', 'delivered', 'read', 'expired')
_SOURCES = ('api', 'callback', 'reconciliation', 'client')


def upgrade():
    if op.get_context().dialect.name == 'sqlite':
        with _sqlite_ledger() as batch:
            batch.drop_constraint(op.f('fk_status_event_message_id'), type_='foreignkey')
        return
    start = _next_month(datetime.now(timezone.utc) + _MARGIN)
    first = _bound(start)
    _commit_each(
        # An interrupted migration is repeated from here.
        'ALTER TABLE status_event DROP CONSTRAINT IF EXISTS fk_status_event_message_id',
        'ALTER TABLE status_event DROP CONSTRAINT IF EXISTS ck_status_event_rest, '
        'ADD CONSTRAINT ck_status_event_rest '
        f'CHECK (identity < {first} OR identity >= {_END}) NOT VALID',
        # Digests without a time, of reports found by their SID: 0.14 % of these.
        'CREATE TABLE IF NOT EXISTS status_event_moved (LIKE status_event INCLUDING DEFAULTS)',
        f'WITH moved AS (DELETE FROM status_event WHERE identity >= {first} '
        f'AND identity < {_END} RETURNING *) INSERT INTO status_event_moved SELECT * FROM moved',
        'ALTER TABLE status_event VALIDATE CONSTRAINT ck_status_event_rest',
    )
    _lock('status_event')
    _partition(start)


def downgrade():
    if op.get_context().dialect.name == 'sqlite':
        op.execute(sa.text('DELETE FROM status_event WHERE message_id IS NOT NULL AND message_id NOT IN (SELECT id FROM message)'))
        with _sqlite_ledger() as batch:
            batch.create_foreign_key(op.f('fk_status_event_message_id'), 'message', ['message_id'], ['id'])
        return
    _lock('message, status_event')
    op.execute('ALTER TABLE status_event DETACH PARTITION status_event_rest')
    op.execute('ALTER TABLE status_event_rest DROP CONSTRAINT ck_status_event_rest')
    # The old version knows no ledger of a deleted message.
    op.execute(
        'INSERT INTO status_event_rest SELECT * FROM status_event AS event '
        'WHERE message_id IS NULL OR EXISTS (SELECT FROM message WHERE id = event.message_id)'
    )
    op.execute(
        'DELETE FROM status_event_rest AS event WHERE message_id IS NOT NULL '
        'AND NOT EXISTS (SELECT FROM message WHERE id = event.message_id)'
    )
    op.execute('ALTER SEQUENCE status_event_id_seq OWNED BY status_event_rest.id')
    op.execute('DROP TABLE status_event')
    op.execute('ALTER TABLE status_event_rest RENAME TO status_event')
    for name in _RENAMED:
        op.execute(f'ALTER INDEX {_of_rest(name)} RENAME TO {name}')
    op.execute(
        'ALTER TABLE status_event ADD CONSTRAINT fk_status_event_message_id '
        'FOREIGN KEY (message_id) REFERENCES message (id)'
    )


def _partition(start):
    op.execute('ALTER TABLE status_event RENAME TO status_event_rest')
    for name in _RENAMED:
        op.execute(f'ALTER INDEX {name} RENAME TO {_of_rest(name)}')
    op.execute(
        'CREATE TABLE status_event (LIKE status_event_rest INCLUDING DEFAULTS INCLUDING '
        'CONSTRAINTS) PARTITION BY RANGE (identity)'
    )
    op.execute('ALTER TABLE status_event DROP CONSTRAINT ck_status_event_rest')
    op.execute('ALTER TABLE status_event ADD CONSTRAINT uq_status_event_identity UNIQUE (identity)')
    for name, columns in _INDEXES:
        op.execute(f'CREATE INDEX {name} ON status_event {columns}')
    op.execute('ALTER SEQUENCE status_event_id_seq OWNED BY status_event.id')
    # Its indexes are used, and its check proves that no row belongs into another partition.
    op.execute('ALTER TABLE status_event ATTACH PARTITION status_event_rest DEFAULT')
    for _ in range(_MONTHS):
        end = _next_month(start)
        _create_partition(f'status_event_{start:%Y_%m}', _bound(start), _bound(end))
        start = end
    _create_partition('status_event_future', _bound(start), _END)
    op.execute('INSERT INTO status_event SELECT * FROM status_event_moved')
    op.execute('DROP TABLE status_event_moved')


def _create_partition(name, start, end):
    op.execute(f'CREATE TABLE {name} PARTITION OF status_event FOR VALUES FROM ({start}) TO ({end})')


def _of_rest(name):
    return name.replace('status_event', 'status_event_rest')


def _next_month(moment):
    day = (moment.replace(day=1) + timedelta(days=32)).replace(day=1)
    return day.replace(hour=0, minute=0, second=0, microsecond=0)


def _bound(start):
    """Return the first identity of a month: its first instant in milliseconds, in six bytes."""
    return f"'\\x{int(start.timestamp() * 1000):012x}'"


def _commit_each(*statements):
    """Run each statement in its own transaction; this also commits the migrations before."""
    for statement in statements:
        _driver().commit()
        _try(statement)


def _lock(tables):
    """Lock tables until the end of the transaction; the wait for them blocks others for 1 s."""
    op.execute(_LOCK_TIMEOUT)  # begins the transaction
    _try(f'LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE')


def _try(statement):
    """Run a statement in a transaction, or a savepoint if one has begun, until it gets its locks."""
    for tries_left in range(_TRIES, -1, -1):
        try:
            with _driver().transaction():
                _driver().execute('SET LOCAL statement_timeout = 0', prepare=False)
                _driver().execute(_LOCK_TIMEOUT, prepare=False)
                _driver().execute(statement, prepare=False)
            return
        except (LockNotAvailable, DeadlockDetected):
            if not tries_left:
                raise
            time.sleep(1)


def _driver():
    return op.get_bind().connection.dbapi_connection


def _sqlite_ledger():
    # SQLite recreates the table, and would lose the check constraints.
    checks = (
        sa.CheckConstraint(f'status IN {_STATUSES}', name=op.f('ck_status_event_status')),
        sa.CheckConstraint(f'source IN {_SOURCES}', name=op.f('ck_status_event_source')),
    )
    return op.batch_alter_table('status_event', schema=None, table_args=checks)
