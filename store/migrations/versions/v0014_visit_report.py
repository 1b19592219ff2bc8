"""What reports say of video visits: `visits.report_start`, `lobby_wait`, `lasted` and `outcome`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.instants import UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_HAPPENED = sa.text("report_start IS NOT NULL")


def upgrade() -> None:
    """No release has visits without these: one that is there is reported from its next event on."""
    op.add_column("visits", sa.Column("report_start", UtcDateTime(), nullable=True))
    op.add_column("visits", sa.Column("lobby_wait", sa.BigInteger(), nullable=True))
    op.add_column("visits", sa.Column("lasted", sa.BigInteger(), nullable=True))
    op.add_column("visits", sa.Column("outcome", sa.Text(), nullable=True))
    op.create_index(
        "ix_visits_report_start",
        "visits",
        ["report_start", "id", "environment", "outcome", "lasted", "lobby_wait"],
        sqlite_where=_HAPPENED,
        postgresql_where=_HAPPENED,
    )


def downgrade() -> None:
    """An older version has no report of visits."""
    op.drop_index("ix_visits_report_start", "visits")
    for name in ("outcome", "lasted", "lobby_wait", "report_start"):
        op.drop_column("visits", name)
