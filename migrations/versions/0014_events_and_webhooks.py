"""events, webhook endpoints and deliveries, version of messages

Revision ID: 0014
Revises: 0013
Create Date: 2026-11-26 18:30:00

"""
from alembic import op
import sqlalchemy as sa


revision = '0014'
down_revision = "0013"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
_TIME = sa.DateTime(timezone=True)
_DUE = 'due_at IS NOT NULL'
_FAILED = 'due_at IS NULL AND delivered_at IS NULL'


def upgrade():
    op.create_table('event',
    sa.Column('id', _SERIAL, nullable=False),
    sa.Column('transaction_id', sa.BigInteger(), nullable=False),
    sa.Column('client_id', sa.Integer(), nullable=False),
    sa.Column('type', sa.String(length=32), nullable=False),
    sa.Column('message_id', sa.Uuid(), nullable=True),
    sa.Column('status', sa.String(length=16), nullable=True),
    sa.Column('version', sa.Integer(), nullable=True),
    sa.Column('created_at', _TIME, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_event')),
    sqlite_autoincrement=True,
    )
    op.create_index('ix_event_feed', 'event', ['client_id', 'transaction_id', 'id'], unique=False)
    op.create_table('webhook_endpoint',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('client_id', sa.Integer(), nullable=False),
    sa.Column('url', sa.Text(), nullable=False),
    sa.Column('description', sa.String(length=255), nullable=True),
    sa.Column('types', sa.JSON(), nullable=False),
    sa.Column('statuses', sa.JSON(), nullable=False),
    sa.Column('include_body', sa.Boolean(), nullable=False),
    sa.Column('secrets', sa.JSON(), nullable=False),
    sa.Column('created_at', _TIME, nullable=False),
    sa.Column('updated_at', _TIME, nullable=False),
    sa.Column('deleted_at', _TIME, nullable=True),
    sa.Column('disabled_at', _TIME, nullable=True),
    sa.Column('disabled_reason', sa.String(length=64), nullable=True),
    sa.Column('failures', sa.Integer(), nullable=False),
    sa.Column('failing_since', _TIME, nullable=True),
    sa.Column('retry_at', _TIME, nullable=True),
    sa.Column('succeeded_at', _TIME, nullable=True),
    sa.ForeignKeyConstraint(['client_id'], ['client.id'], name=op.f('fk_webhook_endpoint_client_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_webhook_endpoint')),
    )
    op.create_index(op.f('ix_webhook_endpoint_client_id'), 'webhook_endpoint', ['client_id'], unique=False)
    op.create_table('webhook_delivery',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('endpoint_id', sa.Uuid(), nullable=False),
    sa.Column('event_id', _SERIAL, nullable=False),
    sa.Column('message_id', sa.Uuid(), nullable=True),
    sa.Column('created_at', _TIME, nullable=False),
    sa.Column('due_at', _TIME, nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('attempted_at', _TIME, nullable=True),
    sa.Column('answer_status', sa.Integer(), nullable=True),
    sa.Column('error', sa.String(length=200), nullable=True),
    sa.Column('delivered_at', _TIME, nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_webhook_delivery')),
    sa.UniqueConstraint('endpoint_id', 'event_id', name=op.f('uq_webhook_delivery_endpoint_id_event_id')),
    )
    op.create_index('ix_webhook_delivery_endpoint_id_id', 'webhook_delivery', ['endpoint_id', 'id'], unique=False)
    op.create_index('ix_webhook_delivery_event_id', 'webhook_delivery', ['event_id'], unique=False)
    op.create_index('ix_webhook_delivery_message_id', 'webhook_delivery', ['message_id'], unique=False)
    op.create_index('ix_webhook_delivery_due', 'webhook_delivery', ['endpoint_id', 'due_at', 'id'], unique=False, sqlite_where=sa.text(_DUE), postgresql_where=sa.text(_DUE))
    op.create_index('ix_webhook_delivery_failed', 'webhook_delivery', ['endpoint_id', 'id'], unique=False, sqlite_where=sa.text(_FAILED), postgresql_where=sa.text(_FAILED))
    # A constant default: neither database rewrites the table.
    op.add_column('message', sa.Column('version', sa.Integer(), server_default=sa.text('1'), nullable=False))
    op.add_column('client', sa.Column('events_since', _TIME, nullable=True))
    op.add_column('client', sa.Column('events_complete', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column('message', sa.Column('webhook_endpoint_id', sa.Uuid(), nullable=True))


def downgrade():
    op.drop_column('client', 'events_complete')
    op.drop_column('client', 'events_since')
    op.drop_column('message', 'webhook_endpoint_id')
    op.drop_column('message', 'version')
    op.drop_table('webhook_delivery')
    op.drop_table('webhook_endpoint')
    op.drop_table('event')

