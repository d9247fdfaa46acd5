"""normalised addresses, estimated segments

Revision ID: 0009
Revises: 0008
Create Date: 2026-11-26 08:00:00

"""
import re

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Rows in one batch.
_BATCH = 1000
_ADDRESS = re.compile(r"\s*(?:(whatsapp|rcs)\s*:)?\s*(\+[0-9()\-./\s]+)", re.IGNORECASE)
_OLD_MEXICAN = re.compile(r"\+521([0-9]{10})")

_message = sa.table("message", sa.column("id", sa.Uuid), sa.column("to", sa.String), sa.column("sender", sa.String))
_opt_out = sa.table(
    "opt_out", sa.column("to", sa.String), sa.column("sender", sa.String), sa.column("provider", sa.String)
)


def upgrade():
    connection = op.get_bind()
    # SQLite recreates the table: computed columns are reflected only from a separate line.
    recreate = "always" if connection.dialect.name == "sqlite" else "never"
    with op.batch_alter_table("message", recreate=recreate) as batch:
        batch.add_column(sa.Column("smart_encoding", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch.add_column(sa.Column("encoding", sa.String(length=8), nullable=True))
        batch.add_column(sa.Column("estimated_segments", sa.Integer(), nullable=True))
    _respell_messages(connection)
    _respell_opt_outs(connection)


def downgrade():
    # The earlier version accepts the new spelling as well as the old ones.
    op.drop_column("message", "estimated_segments")
    op.drop_column("message", "encoding")
    op.drop_column("message", "smart_encoding")


def _respell_messages(connection):
    after = None
    while True:
        query = sa.select(_message).order_by(_message.c.id).limit(_BATCH)
        rows = connection.execute(query if after is None else query.where(_message.c.id > after)).all()
        for row in rows:
            to, sender = _one_spelling(row.to), _one_spelling(row.sender)
            if (to, sender) != (row.to, row.sender):
                change = sa.update(_message).where(_message.c.id == row.id)
                connection.execute(change.values({"to": to, "sender": sender}))
        if len(rows) < _BATCH:
            return
        after = rows[-1].id


def _respell_opt_outs(connection):
    """Merge rows that become the same pair; there are few of them."""
    for row in connection.execute(sa.select(_opt_out)).all():
        to, sender = _one_spelling(row.to), _one_spelling(row.sender)
        if (to, sender) == (row.to, row.sender):
            continue
        this, same = _pair(row.to, row.sender, row.provider), _pair(to, sender, row.provider)
        if connection.execute(sa.select(_opt_out.c.to).where(same)).first():
            connection.execute(sa.delete(_opt_out).where(this))
        else:
            connection.execute(sa.update(_opt_out).where(this).values({"to": to, "sender": sender}))


def _pair(to, sender, provider):
    return sa.and_(_opt_out.c.to == to, _opt_out.c.sender == sender, _opt_out.c.provider == provider)


def _one_spelling(address):
    """Return the channel in lower case and the number in E.164 form; other values unchanged."""
    match = address and _ADDRESS.fullmatch(address)
    if not match:
        return address
    number = _OLD_MEXICAN.sub(r"+52\1", "+" + re.sub("[^0-9]", "", match[2]))
    return f"{match[1].lower()}:{number}" if match[1] else number
