"""operators, and indexes for their pages

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-21 12:05:00

"""
from alembic import op
import sqlalchemy as sa


revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('operator_key',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('hint', sa.String(length=16), nullable=False),
    sa.Column('digest', sa.LargeBinary(length=32), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_operator_key')),
    sa.UniqueConstraint('digest', name=op.f('uq_operator_key_digest'))
    )
    with op.batch_alter_table('status_event', schema=None) as batch_op:
        batch_op.add_column(sa.Column('recorded_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index('ix_status_event_received_at', ['received_at'], unique=False)
    with op.batch_alter_table('message', schema=None) as batch_op:
        batch_op.create_index('ix_message_unknown', ['unknown_since'], unique=False, sqlite_where=sa.text('unknown_since IS NOT NULL'), postgresql_where=sa.text('unknown_since IS NOT NULL'))


def downgrade():
    with op.batch_alter_table('message', schema=None) as batch_op:
        batch_op.drop_index('ix_message_unknown', sqlite_where=sa.text('unknown_since IS NOT NULL'), postgresql_where=sa.text('unknown_since IS NOT NULL'))
    with op.batch_alter_table('status_event', schema=None) as batch_op:
        batch_op.drop_index('ix_status_event_received_at')
        batch_op.drop_column('recorded_at')
    op.drop_table('operator_key')
