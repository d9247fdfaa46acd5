"""inbound messages, senders of clients, opt-outs that end

Revision ID: 0015
Revises: 0014
Create Date: 2026-11-26 21:45:00

"""
from alembic import op
import sqlalchemy as sa


revision = '0015'
down_revision = "0014"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_OF_INBOUND = "type = 'message.received'"
_NEWEST = 'id DESC NULLS LAST'
_LAST_ADDRESS = 'from_address DESC NULLS LAST'
_INDEXES = (
    ('ix_inbound_message_client_id_id', ['client_id', _NEWEST], None),
    ('ix_inbound_message_client_id_from_id', ['client_id', 'from_address', _NEWEST], None),
    ('ix_inbound_message_client_id_to_id', ['client_id', 'to_address', _NEWEST], None),
    ('ix_inbound_message_from_address_id', [_LAST_ADDRESS, _NEWEST], None),
    ('ix_inbound_message_keyword', ['client_id', 'keyword', _NEWEST], 'keyword IS NOT NULL'),
    ('ix_inbound_message_reply', ['client_id', 'in_reply_to', _NEWEST], 'in_reply_to IS NOT NULL'),
    ('ix_inbound_message_unowned', ['id'], 'client_id IS NULL'),
    ('ix_inbound_message_unredacted', ['received_at'], 'redacted_at IS NULL'),
)


def _create_indexes():
    sqlite = op.get_context().dialect.name == 'sqlite'
    for name, columns, where in _INDEXES:
        # SQLite sorts nulls last in descending order, and refuses NULLS LAST in an index.
        columns = [
            sa.text(column.removesuffix(' NULLS LAST') if sqlite else column) if ' ' in column else column
            for column in columns
        ]
        only = {f'{dialect}_where': sa.text(where) for dialect in ('sqlite', 'postgresql') if where}
        op.create_index(name, 'inbound_message', columns, unique=False, **only)


def upgrade():
    op.create_table('inbound_message',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('provider', sa.String(length=32), nullable=False),
    sa.Column('account', sa.String(length=32), nullable=False),
    sa.Column('provider_sid', sa.String(length=64), nullable=False),
    sa.Column('from_address', sa.String(length=255), nullable=False),
    sa.Column('to_address', sa.String(length=255), nullable=False),
    sa.Column('messaging_service_sid', sa.String(length=64), nullable=True),
    sa.Column('body', sa.Text(), nullable=True),
    sa.Column('media', sa.JSON(), nullable=False),
    sa.Column('keyword', sa.String(length=8), nullable=True),
    sa.Column('raw', sa.JSON(), nullable=False),
    sa.Column('client_id', sa.Integer(), nullable=True),
    sa.Column('in_reply_to', sa.Uuid(), nullable=True),
    sa.Column('received_at', _TIME, nullable=False),
    sa.Column('provider_time', _TIME, nullable=True),
    sa.Column('redacted_at', _TIME, nullable=True),
    sa.ForeignKeyConstraint(['client_id'], ['client.id'], name=op.f('fk_inbound_message_client_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_inbound_message')),
    sa.UniqueConstraint('provider', 'provider_sid', name=op.f('uq_inbound_message_provider_provider_sid')),
    )
    _create_indexes()
    op.create_index('ix_event_inbound', 'event', ['message_id'], unique=False, sqlite_where=sa.text(_OF_INBOUND), postgresql_where=sa.text(_OF_INBOUND))
    op.create_table('client_sender',
    sa.Column('sender', sa.String(length=255), nullable=False),
    sa.Column('client_id', sa.Integer(), nullable=False),
    sa.Column('pool', sa.String(length=64), nullable=True),
    sa.Column('created_at', _TIME, nullable=False),
    sa.ForeignKeyConstraint(['client_id'], ['client.id'], name=op.f('fk_client_sender_client_id')),
    sa.PrimaryKeyConstraint('sender', name=op.f('pk_client_sender')),
    )
    op.create_index(op.f('ix_client_sender_client_id'), 'client_sender', ['client_id'], unique=False)
    op.create_table('inbound_list',
    sa.Column('provider', sa.String(length=32), nullable=False),
    sa.Column('account', sa.String(length=32), nullable=False),
    sa.Column('sender', sa.String(length=255), nullable=False),
    sa.Column('read_until', _TIME, nullable=False),
    sa.Column('window_end', _TIME, nullable=True),
    sa.Column('page', sa.Text(), nullable=True),
    sa.Column('next_at', _TIME, nullable=False),
    sa.PrimaryKeyConstraint('provider', 'account', 'sender', name=op.f('pk_inbound_list')),
    )
    # Defaults in the database: during an upgrade the old version inserts without these columns.
    with op.batch_alter_table('opt_out') as batch:
        batch.add_column(sa.Column('active', sa.Boolean(), server_default=sa.true(), nullable=False))
        batch.add_column(sa.Column('reason', sa.String(length=16), server_default='provider', nullable=False))
        batch.add_column(sa.Column('changed_by', sa.String(length=255), server_default='provider', nullable=False))
        batch.add_column(sa.Column('opted_in_at', _TIME, nullable=True))
        batch.add_column(sa.Column('refused_at', _TIME, nullable=True))
        batch.alter_column('error_code', existing_type=sa.String(length=64), nullable=True)
    # A person has one opt-out over SMS and RCS.
    op.execute(sa.text(
        'INSERT INTO opt_out ("to", sender, provider, error_code, since) '
        'SELECT substr("to", 5), sender, provider, error_code, since FROM opt_out '
        "WHERE \"to\" LIKE 'rcs:%' ON CONFLICT DO NOTHING"
    ))
    op.execute(sa.text("DELETE FROM opt_out WHERE \"to\" LIKE 'rcs:%'"))
    op.execute(sa.text("UPDATE opt_out SET refused_at = since"))
    active = {'sqlite_where': sa.text('active = 1'), 'postgresql_where': sa.text('active')}
    op.create_index('ix_opt_out_active', 'opt_out', ['to', 'sender', 'provider'], unique=False, **active)
    op.create_index('ix_opt_out_active_sender', 'opt_out', ['sender', 'to', 'provider'], unique=False, **active)


def downgrade():
    op.drop_index('ix_opt_out_active_sender', table_name='opt_out')
    op.drop_index('ix_opt_out_active', table_name='opt_out')
    op.execute(sa.text("DELETE FROM opt_out WHERE error_code IS NULL OR NOT active"))
    with op.batch_alter_table('opt_out') as batch:
        batch.alter_column('error_code', existing_type=sa.String(length=64), nullable=False)
        batch.drop_column('refused_at')
        batch.drop_column('opted_in_at')
        batch.drop_column('changed_by')
        batch.drop_column('reason')
        batch.drop_column('active')
    op.drop_table('inbound_list')
    op.drop_table('client_sender')
    op.drop_table('inbound_message')
    op.drop_index('ix_event_inbound', 'event')
