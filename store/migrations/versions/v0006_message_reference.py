"""Which appointment a remembered message was about, for those who look for it where its log line is not at hand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Messages from before have neither; they are forgotten within the freshness window."""
    op.add_column("messages", sa.Column("event", sa.Text(), nullable=True))
    op.add_column("messages", sa.Column("reference", sa.Text(), nullable=True))


def downgrade() -> None:
    """Nothing depends on them."""
    op.drop_column("messages", "reference")
    op.drop_column("messages", "event")
