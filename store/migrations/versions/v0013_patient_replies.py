"""Patients' replies, and which texts asked: `patient_replies`, `outbox.question` and `outbox.question_until`."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from store.instants import UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_KEPT = sa.text("key IS NOT NULL")


def upgrade() -> None:
    """No text that was sent before asked anything."""
    op.add_column("outbox", sa.Column("question", sa.Integer(), nullable=True))
    op.add_column("outbox", sa.Column("question_alone", sa.Boolean(), nullable=True))
    op.add_column("outbox", sa.Column("question_until", UtcDateTime(), nullable=True))
    op.create_table(
        "patient_replies",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("appointment", sa.Text(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.Column("question", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patient_replies")),
        sa.ForeignKeyConstraint(["appointment"], ["appointments.id"], name=op.f("fk_patient_replies_appointment")),
        sa.UniqueConstraint("key", name=op.f("uq_patient_replies_key")),
    )
    op.create_index("ix_patient_replies_appointment", "patient_replies", ["appointment", "at"])
    op.create_index("ix_patient_replies_kept", "patient_replies", ["at"], sqlite_where=_KEPT, postgresql_where=_KEPT)


def downgrade() -> None:
    """What patients answered is gone, and the texts that answered them, which an older program does not know."""
    op.get_bind().execute(sa.text("DELETE FROM outbox WHERE kind = 'answer'"))
    op.drop_table("patient_replies")
    op.drop_column("outbox", "question_until")
    op.drop_column("outbox", "question_alone")
    op.drop_column("outbox", "question")
