"""holds, accounts, attempts without an effect

Revision ID: 0013
Revises: 0012
Create Date: 2026-11-26 15:00:00

"""
from datetime import UTC, datetime, timedelta

from alembic import op
import sqlalchemy as sa


revision = '0013'
down_revision = "0012"
branch_labels = None
depends_on = None

_ACTIVE = 'ended_at IS NULL'
_UNRELEASED = 'released_at IS NULL'
_HELD = 'hold_id IS NOT NULL'
_KEY = ['scope', 'provider', 'account', 'value', 'kind']
# Messages accepted before had a deadline only with a validity period. Those that are open get the
# default of SEND_PATIENCE.
_PATIENCE = timedelta(hours=4)
_MESSAGES = sa.table(
    'message',
    sa.column('id', sa.Uuid()),
    sa.column('due_at', sa.DateTime(timezone=True)),
    sa.column('claimed_until', sa.DateTime(timezone=True)),
    sa.column('doubt_since', sa.DateTime(timezone=True)),
    sa.column('send_at', sa.DateTime(timezone=True)),
    sa.column('expires_at', sa.DateTime(timezone=True)),
)


def upgrade():
    op.create_table('hold',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('scope', sa.String(length=16), nullable=False),
    sa.Column('provider', sa.String(length=32), nullable=False),
    sa.Column('account', sa.String(length=32), nullable=False),
    sa.Column('value', sa.String(length=255), nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('code', sa.String(length=64), nullable=True),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('started_by', sa.String(length=100), nullable=True),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('suspects', sa.JSON(), nullable=False),
    sa.Column('probe_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('probes', sa.Integer(), nullable=False),
    sa.Column('reported', sa.Boolean(), server_default=sa.false(), nullable=False),
    sa.Column('probe_message', sa.Uuid(), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_by', sa.String(length=100), nullable=True),
    sa.Column('released_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hold')),
    )
    op.create_index('uq_hold_active', 'hold', _KEY, unique=True, sqlite_where=sa.text(_ACTIVE), postgresql_where=sa.text(_ACTIVE))
    op.create_index('ix_hold_unreleased', 'hold', ['id'], unique=False, sqlite_where=sa.text(_UNRELEASED), postgresql_where=sa.text(_UNRELEASED))
    op.create_index('ix_hold_ended_at', 'hold', ['ended_at'], unique=False)
    # Constant defaults: neither database rewrites the table.
    op.add_column('message', sa.Column('account', sa.String(length=32), server_default='default', nullable=False))
    op.add_column('message', sa.Column('provider_fixed', sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column('message', sa.Column('sender_fixed', sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column('message', sa.Column('tries', sa.Integer(), server_default=sa.text('0'), nullable=False))
    op.add_column('message', sa.Column('tried_since', sa.DateTime(timezone=True), nullable=True))
    op.add_column('message', sa.Column('hold_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True))
    op.add_column('message', sa.Column('resent_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('attempt', sa.Column('account', sa.String(length=32), server_default='default', nullable=False))
    op.add_column('client', sa.Column('account', sa.String(length=32), nullable=True))
    op.add_column('status_event', sa.Column('attempt_number', sa.Integer(), nullable=True))
    op.create_index('ix_message_hold', 'message', ['hold_id', 'tries', 'id'], unique=False, sqlite_where=sa.text(_HELD), postgresql_where=sa.text(_HELD))
    _give_deadlines()


def _give_deadlines():
    bind, now, table = op.get_bind(), datetime.now(UTC), _MESSAGES.c
    # One statement for each index: together they would read the whole table.
    for column in (table.due_at, table.claimed_until, table.doubt_since):
        waits = sa.and_(column.is_not(None), table.expires_at.is_(None))
        later = sa.select(table.id, table.send_at).where(waits, table.send_at > now)
        rows = [{'key': row.id, 'expires_at': row.send_at + _PATIENCE} for row in bind.execute(later)]
        if rows:
            bind.execute(_MESSAGES.update().where(table.id == sa.bindparam('key')), rows)
        bind.execute(_MESSAGES.update().where(waits).values(expires_at=now + _PATIENCE))


def downgrade():
    op.drop_index('ix_message_hold', table_name='message')
    op.drop_column('status_event', 'attempt_number')
    op.drop_column('client', 'account')
    op.drop_column('attempt', 'account')
    for name in ('resent_at', 'hold_id', 'tried_since', 'tries', 'sender_fixed', 'provider_fixed', 'account'):
        op.drop_column('message', name)
    op.drop_table('hold')
