"""How exact the time of an appointment's newest message is: `appointments.event_until`; NULL: to the second, as before."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from store.instants import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Stamps that are a number alone stay as they are: they are exact to the second."""
    op.add_column("appointments", sa.Column("event_until", UtcDateTime(), nullable=True))


def downgrade() -> None:
    """The earliest instant of each stamp alone, and no `event_until`."""
    rows = op.get_bind().execute(sa.text("SELECT id, stamps FROM appointments WHERE stamps LIKE '%[%'")).all()
    for own_id, stamps in rows:
        earliest = {name: stamp[0] if isinstance(stamp, list) else stamp for name, stamp in json.loads(stamps).items()}
        op.get_bind().execute(
            sa.text("UPDATE appointments SET stamps = :stamps WHERE id = :id"),
            {"stamps": json.dumps(earliest), "id": own_id},
        )
    # Not alembic's batch mode: it drops the table and makes it again, which rows that refer to it forbid on SQLite.
    op.drop_column("appointments", "event_until")
