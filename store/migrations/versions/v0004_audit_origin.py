"""From where an audited act came, and which environment it concerns. Entries from before have neither, and keep their hashes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """NULL in `origin` marks an entry whose hash was made by version 0.1. After a downgrade the columns are there already."""
    present = {column["name"] for column in sa.inspect(op.get_bind()).get_columns("audit")}
    for name in ("origin", "environment"):
        if name not in present:
            op.add_column("audit", sa.Column(name, sa.Text(), nullable=True))


def downgrade() -> None:
    """The columns stay: an older version neither reads nor writes them, and without them no later entry could be checked."""
