"""A day with video visits in a meeting that tells who comes and goes, as it is stored."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from scheduler.visit_life import VisitEventKind, VisitEventSource, VisitRole, end_by_clock
from store import visits
from tests.carebell.patients.room import MINUTE, START, Clinic, clinic

SPAN: Final = ("--from", "2026-03-12", "--to", "2026-03-12")
HELD: Final = (
    "-7 waiting patient page", "-3 admitted staff page", "-3 connected provider meeting", "-2 connected patient meeting",
    "17 disconnected patient meeting", "18 disconnected provider meeting", "60 ended carebell clock",
)  # fmt: skip
ALONE: Final = ("-7 waiting patient page", "-3 left_lobby patient page", "60 ended carebell clock")
MISSED: Final = ("-2 connected provider meeting", "8 disconnected provider meeting", "60 ended carebell clock")
RUNS: Final = ("-1 connected patient meeting",)


def lived(folder: Path, **settings: Any) -> Path:
    """The configuration: `alone` had no staff, `missed` no patient, `=RUNS` still runs, and nobody came to `nobody`."""
    with clinic(folder, **settings) as day:
        for reference in ("held", "alone", "missed", "=RUNS", "nobody"):
            day.hear("S12", reference=reference)
        day.service.step(timedelta(minutes=2))
        day.service.tick()
        for reference, signs in {"held": HELD, "alone": ALONE, "missed": MISSED, "=RUNS": RUNS}.items():
            for sign in signs:
                note(day, reference, sign)
    return folder / "carebell.yaml"


def note(day: Clinic, reference: str, sign: str) -> None:
    """`minute what who source`, the minute from the booked start."""
    minute, what, who, source = sign.split()
    with day.service.store.write() as conn:
        visit = day.recorder.begin(conn, day.visit(reference).id)
        assert visit is not None
        ended = VisitEventKind(what) is VisitEventKind.ENDED
        day.recorder.note(
            conn,
            visit,
            VisitEventKind(what),
            at=START + int(minute) * MINUTE,
            who=VisitRole(who),
            source=VisitEventSource(source),
            ref=who,
            state=end_by_clock(visit.state, visits.ever_connected(conn, visit.id)) if ended else None,
        )
