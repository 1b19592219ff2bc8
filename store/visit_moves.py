"""Whether a visit has moved since its patient read of it: the page behind the link in an old text says so."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection, select

from scheduler.visit_life import VisitEventKind
from store.records import read_visible
from store.tables import appointments, visit_events
from store.visits import VideoVisit

Move = Literal["none", "untold", "told"]
"""none: it never moved. untold: the patient was last told another time. told: another time may stand in an older text."""


def move_of(conn: Connection, visit: VideoVisit) -> Move:
    """`told` also where only the duration, or when its link opens, was ever another: the events do not tell these apart."""
    written = conn.execute(
        select(appointments.c.told).where(appointments.c.id == visit.appointment)
    ).scalar_one_or_none()
    known = None if written is None else read_visible(written, None)
    has_time = known is not None and known.start is not None and not known.canceled
    if known is not None and has_time and (known.start, known.date_only) != (visit.start, visit.date_only):
        return "untold"
    of = visit_events.c
    moved = select(of.seq).where(of.visit == visit.id, of.what == VisitEventKind.MOVED.value).limit(1)
    return "none" if conn.execute(moved).scalar_one_or_none() is None else "told"
