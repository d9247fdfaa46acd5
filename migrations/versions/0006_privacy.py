"""redaction, retention, opt-outs

Revision ID: 0006
Revises: 0005
Create Date: 2026-11-21 14:00:00

"""
from alembic import op
import sqlalchemy as sa


revision = '0006'
down_revision = "0005"
branch_labels = None
depends_on = None

_INDEXES = (
    ('message', 'ix_message_unredacted', 'final_at', 'final_at IS NOT NULL AND redacted_at IS NULL'),
    ('message', 'ix_message_unheard', 'unknown_since', 'unknown_since IS NOT NULL AND redacted_at IS NULL'),
    ('message', 'ix_message_forget', 'id', 'forget_as IS NOT NULL'),
    ('status_event', 'ix_status_event_orphan_id', 'id', 'message_id IS NULL'),
)

_STATUSES = ('pending', 'submitting', 'in_doubt', 'accepted', 'scheduled', 'queued', 'canceled', 'sending', 'sent', 'failed', 'undelivered', 'delivered', 'read')
_SOURCES = ('api', 'callback', 'reconciliation', 'client')


def _ledger():
    # SQLite recreates the table, and would lose the check constraints.
    checks = (
        sa.CheckConstraint(f'status IN {_STATUSES}', name=op.f('ck_status_event_status')),
        sa.CheckConstraint(f'source IN {_SOURCES}', name=op.f('ck_status_event_source')),
    )
    return op.batch_alter_table('status_event', schema=None, table_args=checks)


def upgrade():
    op.create_table('opt_out',
    sa.Column('to', sa.String(length=255), nullable=False),
    sa.Column('sender', sa.String(length=255), nullable=False),
    sa.Column('provider', sa.String(length=32), nullable=False),
    sa.Column('error_code', sa.String(length=64), nullable=False),
    sa.Column('since', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('to', 'sender', 'provider', name=op.f('pk_opt_out'))
    )
    with op.batch_alter_table('message', schema=None) as batch_op:
        batch_op.add_column(sa.Column('redacted_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('forget_as', sa.String(length=64), nullable=True))
    with _ledger() as batch_op:
        batch_op.drop_constraint(op.f('fk_status_event_attempt_id'), type_='foreignkey')
    for table, name, column, where in _INDEXES:
        op.create_index(name, table, [column], unique=False, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def downgrade():
    for table, name, _, where in reversed(_INDEXES):
        op.drop_index(name, table_name=table, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    with _ledger() as batch_op:
        batch_op.create_foreign_key(op.f('fk_status_event_attempt_id'), 'attempt', ['attempt_id'], ['id'])
    with op.batch_alter_table('message', schema=None) as batch_op:
        batch_op.drop_column('forget_as')
        batch_op.drop_column('redacted_at')
    op.drop_table('opt_out')
