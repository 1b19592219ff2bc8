"""Indexes for people who look at reports and at refused messages: by when a text was planned for, and by a refusal's age."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Takes a second for a million texts."""
    op.create_index("ix_outbox_planned_at", "outbox", [sa.text("coalesce(due, created_at)")])
    refused = sa.text("code IS NOT NULL")
    op.create_index(
        "ix_messages_refused",
        "messages",
        ["environment", "forget_after"],
        sqlite_where=refused,
        postgresql_where=refused,
    )


def downgrade() -> None:
    """Nothing depends on them."""
    op.drop_index("ix_messages_refused", table_name="messages")
    op.drop_index("ix_outbox_planned_at", table_name="outbox")
