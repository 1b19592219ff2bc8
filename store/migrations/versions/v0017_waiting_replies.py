"""Replies that wait for a person: `patient_replies.done_at`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.instants import UtcDateTime

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_WAITING = sa.text("done_at IS NULL AND kind <> 'confirm'")


def upgrade() -> None:
    """Those that came before wait, as long as their number is not forgotten: nobody could see them."""
    op.add_column("patient_replies", sa.Column("done_at", UtcDateTime(), nullable=True))
    op.create_index(
        "ix_patient_replies_waiting", "patient_replies", ["at"], sqlite_where=_WAITING, postgresql_where=_WAITING
    )


def downgrade() -> None:
    """Which of them are done is forgotten."""
    op.drop_index("ix_patient_replies_waiting", "patient_replies")
    op.drop_column("patient_replies", "done_at")
