"""lists and look-ups on large tables

Two computed columns, and indexes on columns that change once. PostgreSQL rewrites the table under a
lock: about half a minute for a million messages.

Revision ID: 0007
Revises: 0006
Create Date: 2026-11-26 08:00:00

"""
from alembic import op
import sqlalchemy as sa


revision = '0007'
down_revision = "0006"
branch_labels = None
depends_on = None

_COMPUTED = (
    ('doubt_since', {'postgresql': 'TIMESTAMP WITH TIME ZONE', 'sqlite': 'DATETIME'},
     "CASE WHEN status = 'in_doubt' THEN updated_at END"),
    ('listed_as', {'postgresql': 'VARCHAR(16)', 'sqlite': 'VARCHAR(16)'},
     "CASE WHEN final_at IS NOT NULL OR status IN ('pending', 'submitting', 'in_doubt')"
     " THEN status ELSE 'open' END"),
)
_ENDED = '(final_at IS NOT NULL OR unknown_since IS NOT NULL)'

_NEWEST = 'id DESC NULLS LAST'

_OLD = (
    ('ix_message_client_id_id', ['client_id', 'id'], None),
    ('ix_message_client_id_to', ['client_id', 'to'], None),
    ('ix_message_client_id_reference', ['client_id', 'reference'], None),
    ('ix_message_forget', ['id'], 'forget_as IS NOT NULL'),
)
_NEW = (
    ('ix_message_client_id_id', ['client_id', _NEWEST], None),
    ('ix_message_client_id_to_id', ['client_id', 'to', _NEWEST], None),
    ('ix_message_client_id_listed_as_id', ['client_id', 'listed_as', _NEWEST], None),
    ('ix_message_client_id_reference_id', ['client_id', 'reference', _NEWEST], 'reference IS NOT NULL'),
    ('ix_message_forget', ['id'], f'forget_as IS NOT NULL AND {_ENDED}'),
    ('ix_message_doubt', ['doubt_since'], 'doubt_since IS NOT NULL'),
    ('ix_message_doubt_person', ['doubt_since'], 'doubt_since IS NOT NULL AND check_at IS NULL'),
    ('ix_message_unanswered', ['to'], 'claimed_until IS NOT NULL OR doubt_since IS NOT NULL'),
)


def _create(indexes):
    sqlite = op.get_context().dialect.name == 'sqlite'
    for name, columns, where in indexes:
        # SQLite sorts nulls last in descending order, and refuses NULLS LAST in an index.
        newest = sa.text('id DESC' if sqlite else _NEWEST)
        columns = [newest if column == _NEWEST else column for column in columns]
        only = {f'{dialect}_where': sa.text(where) for dialect in ('sqlite', 'postgresql') if where}
        op.create_index(name, 'message', columns, unique=False, **only)


def _drop(indexes):
    for name, *_ in indexes:
        op.drop_index(name, table_name='message')


def upgrade():
    _drop(_OLD)
    dialect = op.get_context().dialect.name
    storage = {'postgresql': 'STORED', 'sqlite': 'VIRTUAL'}[dialect]
    # SQLAlchemy reflects the expression from SQLite's text of the table, up to the end of a line.
    added = [f'ADD COLUMN {name} {types[dialect]} GENERATED ALWAYS AS ({value})\n{storage}'
             for name, types, value in _COMPUTED]
    # PostgreSQL rewrites the table for each statement; SQLite adds one column in a statement.
    for columns in ([', '.join(added)] if dialect == 'postgresql' else added):
        op.execute(f'ALTER TABLE message {columns}')
    _create(_NEW)


def downgrade():
    _drop(_NEW)
    for name, *_ in _COMPUTED:
        op.execute(f'ALTER TABLE message DROP COLUMN {name}')
    _create(_OLD)
