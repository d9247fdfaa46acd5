"""priorities and an index for fair claims

Revision ID: 0005
Revises: 0004
Create Date: 2026-11-21 13:45:00

"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_WAITS = sa.text("due_at IS NOT NULL")


def upgrade():
    priority = sa.Column("priority", sa.SmallInteger(), nullable=False, server_default="1")
    op.add_column("message", priority)
    op.create_index(
        "ix_message_turn",
        "message",
        ["client_id", "priority", "due_at", "id"],
        sqlite_where=_WAITS,
        postgresql_where=_WAITS,
    )


def downgrade():
    op.drop_index("ix_message_turn", "message")
    op.drop_column("message", "priority")
