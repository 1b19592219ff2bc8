"""The index of reports holds no text that waits, so that a message does not pay for it; and the id, for minutes with many texts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_PLANNED_AT = sa.text("coalesce(due, created_at)")
_DECIDED = sa.text("state <> 'due'")


def upgrade() -> None:
    """Takes a second for a million texts."""
    op.drop_index("ix_outbox_planned_at", table_name="outbox")
    op.create_index(
        "ix_outbox_planned_at",
        "outbox",
        [_PLANNED_AT, "id"],
        sqlite_where=_DECIDED,
        postgresql_where=_DECIDED,
    )


def downgrade() -> None:
    """As version 0008 made it."""
    op.drop_index("ix_outbox_planned_at", table_name="outbox")
    op.create_index("ix_outbox_planned_at", "outbox", [_PLANNED_AT])
