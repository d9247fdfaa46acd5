"""clients for tests

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-21 12:00:00

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table('client', schema=None) as batch_op:
        batch_op.add_column(sa.Column('test', sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.drop_constraint(batch_op.f('uq_client_name'), type_='unique')
        batch_op.create_unique_constraint(batch_op.f('uq_client_name_test'), ['name', 'test'])


def downgrade():
    # Delete the data of test clients: in the older tables their names would not be unique.
    for statement in (
        "DELETE FROM status_event WHERE provider = 'test'",
        "DELETE FROM attempt WHERE provider = 'test'",
        "DELETE FROM message WHERE provider = 'test'",
        "DELETE FROM api_key WHERE client_id IN (SELECT id FROM client WHERE test)",
        "DELETE FROM client WHERE test",
    ):
        op.execute(statement)
    with op.batch_alter_table('client', schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f('uq_client_name_test'), type_='unique')
        batch_op.create_unique_constraint(batch_op.f('uq_client_name'), ['name'])
        batch_op.drop_column('test')
