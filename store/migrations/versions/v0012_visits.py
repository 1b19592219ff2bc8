"""Video visits: their links, who waits, what happened in them, and tests of patients' devices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.instants import UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_NOT_OVER = sa.text("state NOT IN ('ended', 'canceled', 'no_show')")


def upgrade() -> None:
    """Appointments from before get a visit when they are planned again, with `visits.join: ours`."""
    op.create_table(
        "visits",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("appointment", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("meeting_ref", sa.LargeBinary(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("opens_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("department", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visits")),
        sa.ForeignKeyConstraint(["appointment"], ["appointments.id"], name=op.f("fk_visits_appointment")),
        sa.UniqueConstraint("appointment", name=op.f("uq_visits_appointment")),
        sa.UniqueConstraint("code", name=op.f("uq_visits_code")),
    )
    op.create_index("ix_visits_ends_at", "visits", ["ends_at"], sqlite_where=_NOT_OVER, postgresql_where=_NOT_OVER)
    op.create_table(
        "visit_links",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("visit", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("admitted_at", UtcDateTime(), nullable=True),
        sa.Column("put_off_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_visit_links")),
        sa.ForeignKeyConstraint(["visit"], ["visits.id"], name=op.f("fk_visit_links_visit")),
    )
    op.create_index("ix_visit_links_visit", "visit_links", ["visit"])
    op.create_index("ix_visit_links_ends_at", "visit_links", ["ends_at"])
    op.create_table(
        "visit_devices",
        sa.Column("link", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("link", "device", name=op.f("pk_visit_devices")),
        sa.ForeignKeyConstraint(["link"], ["visit_links.key"], name=op.f("fk_visit_devices_link"), ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_visit_devices_until", "visit_devices", ["until"])
    op.create_table(
        "visit_events",
        sa.Column("visit", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("visit", "seq", name=op.f("pk_visit_events")),
        sa.ForeignKeyConstraint(["visit"], ["visits.id"], name=op.f("fk_visit_events_visit")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_visit_events_at", "visit_events", ["at"])
    op.create_table(
        "device_tests",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("visit", sa.Text(), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("results", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_tests")),
        sa.ForeignKeyConstraint(["visit"], ["visits.id"], name=op.f("fk_device_tests_visit")),
    )
    op.create_index("ix_device_tests_visit", "device_tests", ["visit"])


def downgrade() -> None:
    """An older version knows no visits; links in texts that left lead nowhere."""
    for name in ("device_tests", "visit_events", "visit_devices", "visit_links", "visits"):
        op.drop_table(name)
