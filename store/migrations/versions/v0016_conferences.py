"""Group visits: `conferences`, and which visits and links belong to one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.instants import UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_NOT_OVER = sa.text("reference IS NOT NULL")
_IN_A_GROUP = sa.text("conference IS NOT NULL")


def upgrade() -> None:
    """No visit was in a group before; the next message of one says so."""
    op.create_table(
        "conferences",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("meeting_ref", sa.LargeBinary(), nullable=True),
        sa.Column("opens_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conferences")),
        sa.UniqueConstraint("environment", "reference", "day", name=op.f("uq_conferences_environment_reference_day")),
        sa.UniqueConstraint("code", name=op.f("uq_conferences_code")),
    )
    op.create_index(
        "ix_conferences_ends_at", "conferences", ["ends_at"], sqlite_where=_NOT_OVER, postgresql_where=_NOT_OVER
    )
    for table in ("appointments", "visits", "visit_links"):
        op.add_column(table, sa.Column("conference", sa.Text(), nullable=True))
    op.create_index(
        "ix_visits_conference", "visits", ["conference"], sqlite_where=_IN_A_GROUP, postgresql_where=_IN_A_GROUP
    )


def downgrade() -> None:
    """Each visit is one by itself again."""
    op.drop_index("ix_visits_conference", "visits")
    for table in ("visit_links", "visits", "appointments"):
        op.drop_column(table, "conference")
    op.drop_table("conferences")
