"""PID-3 for what goes back to the EHR, where it is kept: `patient_ids`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.instants import UtcDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Nothing was kept before; the next message of a visit gives it."""
    op.create_table(
        "patient_ids",
        sa.Column("appointment", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("appointment", name=op.f("pk_patient_ids")),
        sa.ForeignKeyConstraint(["appointment"], ["appointments.id"], name=op.f("fk_patient_ids_appointment")),
    )
    op.create_index("ix_patient_ids_ends_at", "patient_ids", ["ends_at"])


def downgrade() -> None:
    """What was kept is gone."""
    op.drop_table("patient_ids")
