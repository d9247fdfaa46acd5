"""messages without a SID have an index of what is to be asked

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

_WHERE = sa.text('check_at IS NOT NULL AND provider_sid IS NULL')


def upgrade():
    op.create_index('ix_message_look_up', 'message', ['check_at'], unique=False, sqlite_where=_WHERE, postgresql_where=_WHERE)


def downgrade():
    op.drop_index('ix_message_look_up', table_name='message', sqlite_where=_WHERE, postgresql_where=_WHERE)
