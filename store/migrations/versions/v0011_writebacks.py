"""What goes back to the EHR: one row for each event that it is told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.instants import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_DUE = sa.text("state = 'due'")
_OPEN = sa.text("state IN ('due', 'sending')")
_REFUSED = sa.text("state = 'refused'")


def upgrade() -> None:
    """A table of its own; nothing else changes."""
    op.create_table(
        "writebacks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("appointment", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("event_seq", sa.Integer(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("node", sa.Text(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("err3", sa.Text(), nullable=True),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("final_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["appointment"], ["appointments.id"], name=op.f("fk_writebacks_appointment")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_writebacks")),
        sa.UniqueConstraint("appointment", "event", "event_seq", name="uq_writebacks_event"),
    )
    for name, columns, where in (
        ("ix_writebacks_due", ["next_attempt_at"], _DUE),
        ("ix_writebacks_open", ["environment", "channel", "id"], _OPEN),
        ("ix_writebacks_refused", ["environment", "channel", "id"], _REFUSED),
    ):
        op.create_index(name, "writebacks", columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """What has not gone back by then does not."""
    op.drop_table("writebacks")
