"""The configuration in force: its version with each node, its content for each host and file."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.instants import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nodes that run on an older version write no version: the columns stay empty for them."""
    op.add_column("nodes", sa.Column("configuration", sa.Text(), nullable=True))
    op.add_column("nodes", sa.Column("configured_at", UtcDateTime(), nullable=True))
    op.add_column("nodes", sa.Column("restart_for", sa.Text(), nullable=True))
    op.create_table(
        "configurations",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("noted_at", UtcDateTime(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("host", "file", name=op.f("pk_configurations")),
    )


def downgrade() -> None:
    """The first version's tables again."""
    op.drop_table("configurations")
    for name in ("restart_for", "configured_at", "configuration"):
        op.drop_column("nodes", name)
