"""A rehearsal's clock in the database, so that commands use the same time."""

from __future__ import annotations

from datetime import UTC, datetime

from scheduler.clock import AcceleratedClock, Clock
from store import simulated_clock
from store.engine import Store


def note_clock(store: Store, clock: Clock) -> None:
    """Store what `clock` shows, or that it is the real one. Blocking."""
    with store.write() as conn:
        if isinstance(clock, AcceleratedClock):
            simulated_clock.note(conn, shown=clock.now(), real=datetime.now(UTC), speed=clock.speed)
        else:
            simulated_clock.clear(conn)
