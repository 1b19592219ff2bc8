"""What messages said after a visit had begun, which no round would empty: facility, provider, location, and its links' tokens."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Version 0017 wrote them without a time at which they are forgotten."""
    op.execute(
        "UPDATE appointments SET facility = NULL, provider = NULL, location = NULL WHERE forget_at IS NULL"
        " AND (facility IS NOT NULL OR provider IS NOT NULL OR location IS NOT NULL)"
    )
    op.execute(
        "UPDATE visit_links SET sealed = NULL WHERE sealed IS NOT NULL AND visit IN (SELECT visits.id FROM visits"
        " JOIN appointments ON appointments.id = visits.appointment WHERE appointments.forget_at IS NULL)"
    )


def downgrade() -> None:
    """The tables are the same."""
