"""the database is the queue of sends

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-21 12:14:20.654849

`due_at` replaces two columns that were NOT NULL. Columns are added and dropped, never altered:
SQLite would copy the table, which fails while foreign keys refer to it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The old conditions had the status. Without it no index has a column that every callback changes.
_OLD = {
    "ix_message_due": ("enqueue_at", "status = 'pending'"),
    "ix_message_claimed": ("claimed_until", "status = 'submitting'"),
    "ix_message_without_sid": ("to", "status IN ('in_doubt', 'submitting')"),
}
_NEW = {
    "ix_message_due": ("due_at", "due_at IS NOT NULL"),
    "ix_message_claimed": ("claimed_until", "claimed_until IS NOT NULL"),
    "ix_message_without_sid": ("to", "provider_sid IS NULL"),
}
_LONG_AGO = "1970-01-01 00:00:00.000000"


def upgrade():
    _drop(_OLD)
    op.add_column("message", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE message SET due_at = next_attempt_at WHERE status = 'pending'")
    op.execute("UPDATE message SET claimed_until = NULL WHERE status <> 'submitting'")
    op.drop_column("message", "enqueue_at")
    op.drop_column("message", "next_attempt_at")
    _create(_NEW)
    _fill("SET (fillfactor = 80)")


def downgrade():
    _drop(_NEW)
    for name in ("next_attempt_at", "enqueue_at"):
        moment = sa.Column(
            name, sa.DateTime(timezone=True), nullable=False, server_default=_LONG_AGO
        )
        op.add_column("message", moment)
        op.execute(f"UPDATE message SET {name} = coalesce(due_at, created_at)")
    op.drop_column("message", "due_at")
    _create(_OLD)
    _fill("RESET (fillfactor)")


def _drop(indexes):
    for name in indexes:
        op.drop_index(name, "message")


def _create(indexes):
    for name, (column, where) in indexes.items():
        options = {"sqlite_where": sa.text(where), "postgresql_where": sa.text(where)}
        op.create_index(name, "message", [column], **options)


def _fill(how):
    """Set the fill factor: PostgreSQL needs room in a page for the next version of a row."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE message {how}")
