"""drop the index of unanswered messages

The index of messages without a SID serves its query.

Revision ID: 0012
Revises: 0011
Create Date: 2026-11-26 12:00:00

"""
from alembic import op
import sqlalchemy as sa


revision = '0012'
down_revision = "0011"
branch_labels = None
depends_on = None

_UNANSWERED = 'claimed_until IS NOT NULL OR doubt_since IS NOT NULL'


def upgrade():
    op.drop_index('ix_message_unanswered', table_name='message')


def downgrade():
    op.create_index('ix_message_unanswered', 'message', ['to'], unique=False, sqlite_where=sa.text(_UNANSWERED), postgresql_where=sa.text(_UNANSWERED))
