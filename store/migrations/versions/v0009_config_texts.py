"""The text of each configuration as it was, sealed, so that it comes back exactly and other nodes can take it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of versions from before only the text without secrets is known."""
    op.add_column("config_versions", sa.Column("sealed", sa.LargeBinary(), nullable=True))
    op.add_column("config_versions", sa.Column("mark", sa.Text(), nullable=True))
    op.add_column("config_versions", sa.Column("base_mark", sa.Text(), nullable=True))


def downgrade() -> None:
    """Nothing depends on them."""
    for name in ("base_mark", "mark", "sealed"):
        op.drop_column("config_versions", name)
