"""an index for look-ups of messages without a SID

Revision ID: 0010
Revises: 0009
Create Date: 2026-11-26 08:00:00

"""
from alembic import op
import sqlalchemy as sa


revision = '0010'
down_revision = "0009"
branch_labels = None
depends_on = None

_WITHOUT_SID = 'provider_sid IS NULL'
_TO_LOOK_UP = f'check_at IS NOT NULL AND {_WITHOUT_SID}'


def _create(name, columns, where):
    op.create_index(name, 'message', columns, unique=False, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade():
    _create('ix_message_look_up', ['check_at'], _TO_LOOK_UP)
    op.drop_index('ix_message_without_sid', table_name='message')
    # With the id, to read the newest messages to a recipient first: there can be very many.
    _create('ix_message_without_sid', ['to', 'id'], _WITHOUT_SID)


def downgrade():
    op.drop_index('ix_message_without_sid', table_name='message')
    _create('ix_message_without_sid', ['to'], _WITHOUT_SID)
    op.drop_index('ix_message_look_up', table_name='message')
