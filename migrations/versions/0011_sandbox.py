"""the provider of test keys is called sandbox

Revision ID: 0011
Revises: 0010
Create Date: 2026-11-26 11:00:00

"""
import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TABLES = ("message", "attempt", "opt_out", "overflow", "dead_letter")
_BATCH = 1000
# What the identity of an event is made of (service/domain/report.py), without ids and price.
_FIELDS = ("provider_sid", "error_code", "error_message", "provider_time", "segments")
_EVENTS = sa.table(
    "status_event",
    sa.column("id", sa.BigInteger),
    sa.column("identity", sa.LargeBinary),
    sa.column("message_id", sa.Uuid),
    sa.column("attempt_id", sa.Uuid),
    *(sa.column(name) for name in ("provider", "source", "word", *_FIELDS)),
)


def upgrade():
    _rename("test", "sandbox")


def downgrade():
    _rename("sandbox", "test")


def _rename(old, new):
    bind = op.get_bind()
    for name in _TABLES:
        table = sa.table(name, sa.column("provider"))
        bind.execute(table.update().where(table.c.provider == old).values(provider=new))
    _rename_in_events(bind, old, new)


def _rename_in_events(bind, old, new):
    """Also in the identities: a callback that is recorded again must be found as a repeat."""
    page = sa.select(_EVENTS).where(_EVENTS.c.provider == old).limit(_BATCH)
    changed = _EVENTS.update().where(_EVENTS.c.id == sa.bindparam("key"))
    while rows := bind.execute(page).all():
        values = [
            {"key": row.id, "provider": new, "identity": _new_identity(row, old, new)}
            for row in rows
        ]
        bind.execute(changed, values)


def _new_identity(row, old, new):
    """Return the identity under the new name; a random one, as of redacted events, stays."""
    for ids in (("", row.attempt_id or ""), ("", ""), (row.message_id or "", "")):
        if _identity(row, old, *ids) == bytes(row.identity):
            return _identity(row, new, *ids)
    return row.identity


def _identity(row, provider, message_id, attempt_id):
    fields = [provider, row.source, row.word, str(message_id), str(attempt_id)]
    fields += [getattr(row, name) for name in _FIELDS]
    digest = hashlib.sha256(json.dumps([*fields, None]).encode()).digest()
    about = attempt_id or message_id
    return about.bytes[:6] + digest[:26] if about else digest
