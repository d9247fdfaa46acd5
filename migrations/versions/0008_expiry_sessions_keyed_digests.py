"""expiry, sessions of operators, keyed digests

Revision ID: 0008
Revises: 0007
Create Date: 2026-11-26 09:00:00

"""
import hmac
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

from alembic import op
import sqlalchemy as sa


revision = '0008'
down_revision = "0007"
branch_labels = None
depends_on = None

_WORDS = ('pending', 'submitting', 'in_doubt', 'accepted', 'scheduled', 'queued', 'canceled', 'sending', 'sent', 'failed', 'undelivered', 'delivered', 'read')
_BATCH = 1000
_KEYS = sa.table('installation_key', sa.column('name'), sa.column('value'), sa.column('created_at', sa.DateTime(timezone=True)))
_MESSAGES = sa.table(
    'message',
    sa.column('id', sa.Uuid()),
    sa.column('idempotency_key'),
    sa.column('request_digest', sa.LargeBinary()),
    sa.column('keyed_digest', sa.LargeBinary()),
)
_UNSENT = 'expires_at IS NOT NULL AND due_at IS NOT NULL'
# The text format of times in SQLite.
_DEADLINE = {
    'postgresql': "coalesce(send_at, created_at) + validity_period * interval '1 second'",
    'sqlite': "strftime('%Y-%m-%d %H:%M:%f', coalesce(send_at, created_at), '+' || validity_period || ' seconds') || '000'",
}


def upgrade():
    op.create_table('operator_session',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('digest', sa.LargeBinary(length=32), nullable=False),
    sa.Column('key_id', sa.Integer(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['key_id'], ['operator_key.id'], name=op.f('fk_operator_session_key_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_operator_session')),
    sa.UniqueConstraint('digest', name=op.f('uq_operator_session_digest'))
    )
    op.create_index(op.f('ix_operator_session_key_id'), 'operator_session', ['key_id'], unique=False)
    op.create_table('installation_key',
    sa.Column('name', sa.String(length=32), nullable=False),
    sa.Column('value', sa.LargeBinary(length=32), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_installation_key'))
    )
    # Digests without a key can be reversed by guessing. Those of the last day get a key, so that a
    # post can be repeated after the upgrade; the others are dropped with the column, which writes no row.
    op.add_column('message', sa.Column('keyed_digest', sa.LargeBinary(length=32), nullable=True))
    _key_recent_digests(op.get_bind())
    op.drop_column('message', 'request_digest')
    op.execute('ALTER TABLE message RENAME COLUMN keyed_digest TO request_digest')
    op.add_column('message', sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True))
    # SQLAlchemy reflects computed columns of SQLite only if the last column is on a separate line:
    # recreate the table after the last column was added.
    _take_words((*_WORDS, 'expired'))
    op.execute(
        f"UPDATE message SET expires_at = {_DEADLINE[op.get_bind().dialect.name]} "
        "WHERE validity_period IS NOT NULL AND status IN ('pending', 'submitting', 'in_doubt')"
    )
    op.create_index('ix_message_expires', 'message', ['expires_at'], unique=False, sqlite_where=sa.text(_UNSENT), postgresql_where=sa.text(_UNSENT))


def downgrade():
    op.drop_index('ix_message_expires', table_name='message', sqlite_where=sa.text(_UNSENT), postgresql_where=sa.text(_UNSENT))
    op.drop_column('message', 'expires_at')
    # The older version does not know this status: a message that was never sent has failed.
    for table in ('message', 'status_event'):
        op.execute(f"UPDATE {table} SET status = 'failed' WHERE status = 'expired'")
    _take_words(_WORDS)
    op.drop_column('message', 'request_digest')
    # 32 zeros: no request has this digest.
    zeros = {'postgresql': r"'\x" + '00' * 32 + "'", 'sqlite': "x'" + '00' * 32 + "'"}
    op.add_column('message', sa.Column('request_digest', sa.LargeBinary(length=32), nullable=False, server_default=sa.text(zeros[op.get_bind().dialect.name])))
    op.drop_table('installation_key')
    op.drop_index(op.f('ix_operator_session_key_id'), table_name='operator_session')
    op.drop_table('operator_session')


def _key_recent_digests(bind):
    """Key the digests of the last day as service/sending/idempotency.py does without OPS_SECRET."""
    now = datetime.now(UTC)
    key = secrets.token_bytes(32)
    bind.execute(_KEYS.insert().values(name='request_digest', value=key, created_at=now))
    newest = UUID(int=int((now - timedelta(days=1)).timestamp() * 1000) << 80)
    while True:
        page = sa.select(_MESSAGES.c.id, _MESSAGES.c.request_digest).order_by(_MESSAGES.c.id)
        recent = _MESSAGES.c.idempotency_key.is_not(None) & (_MESSAGES.c.id > newest)
        rows = bind.execute(page.where(recent).limit(_BATCH)).all()
        if not rows:
            return
        statement = _MESSAGES.update().where(_MESSAGES.c.id == sa.bindparam('key'))
        digests = [{'key': row.id, 'keyed_digest': hmac.digest(key, row.request_digest, 'sha256')} for row in rows]
        bind.execute(statement, digests)
        newest = rows[-1].id


def _take_words(words):
    """Set which statuses both tables accept."""
    bind = op.get_bind()
    for table in ('message', 'status_event'):
        name = op.f(f'ck_{table}_status')
        if bind.dialect.name == 'postgresql':
            op.drop_constraint(name, table, type_='check')
            op.create_check_constraint(name, table, f'status IN {words}')
            continue
        # SQLite recreates the table. A ledger that an older migration recreated has each check twice.
        copy = sa.Table(table, sa.MetaData(), autoload_with=bind)
        copy.constraints -= {check for check in copy.constraints if check.name == name}
        copy.append_constraint(sa.CheckConstraint(f'status IN {words}', name=name))
        with op.batch_alter_table(table, schema=None, recreate='always', copy_from=copy):
            pass
