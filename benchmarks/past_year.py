"""A database as a busy year leaves it: appointments as the service stores them, and texts of the year before.

Each appointment has a sealed number, one confirmation and two reminders; the texts of the year have the outcomes that texts have.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Final

from sqlalchemy import func, insert, select

from benchmarks.growth import FILL, NOW, Clinic, book
from scheduler.sms import Reason, SmsKind, SmsState
from store.engine import Store
from store.tables import appointments
from store.tables import outbox as outbox_table
from store.vault import Vault
from tests.carebell.samples import row

YEAR: Final = timedelta(days=365)
_BATCH: Final = 10_000
_OUTCOMES: Final = (
    (SmsState.DELIVERED, None, 78), (SmsState.UNDELIVERED, 30003, 4), (SmsState.FAILED, 21610, 1), (SmsState.UNKNOWN, None, 1),
    (SmsState.SUPPRESSED, None, 16),
)  # fmt: skip
_SILENT: Final = (Reason.SUPERSEDED, Reason.QUIET_HOURS, Reason.LANDLINE, Reason.OPTED_OUT, Reason.LATE_BOOKING)


def fill(store: Store, vault: Vault, visits: int, texts: int) -> None:
    """Appointments, and texts of the year before until there are so many."""
    clinic = Clinic()
    while clinic.count < visits:
        book(store, vault, clinic, min(FILL, visits - clinic.count))
        sys.stderr.write(f"\r{clinic.count:>10,} appointments")
    with store.write() as conn:  # they were booked over a week, not in one instant
        week = "UPDATE outbox SET due = due - (rowid % 10080) * 60000000 WHERE kind = 'booked'"
        conn.exec_driver_sql(week)
    with store.read() as conn:
        owners = [
            (visit.id, visit.reference) for visit in conn.execute(select(appointments.c.id, appointments.c.reference))
        ]
        there = conn.execute(select(func.count()).select_from(outbox_table)).scalar_one()
    random.Random(7).shuffle(owners)
    made = _past_texts(owners, texts - there)
    while batch := [text for text, _ in zip(made, range(_BATCH), strict=False)]:
        with store.write() as conn:
            conn.execute(insert(outbox_table), batch)
        sys.stderr.write(f"\r{there:>10,} texts       ")
        there += len(batch)
    sys.stderr.write("\r" + " " * 40 + "\r")


def _past_texts(owners: Sequence[tuple[str, str]], count: int) -> Iterator[dict[str, object]]:
    """In the order of their time, as years make them."""
    rng = random.Random(11)
    states, weights = [outcome[:2] for outcome in _OUTCOMES], [outcome[2] for outcome in _OUTCOMES]
    for number in range(count):
        due = (NOW - YEAR + number * YEAR / max(count, 1)).replace(second=0, microsecond=0)
        state, code = rng.choices(states, weights)[0]
        taken = state in (SmsState.DELIVERED, SmsState.UNDELIVERED)
        owner, reference = owners[number % len(owners)]
        kind = rng.choice(tuple(SmsKind))
        text = row(
            id=f"{rng.getrandbits(128):032x}", appointment=owner, reference=reference, kind=kind, rule=f"p{number // len(owners)}",
            due=due, next_attempt_at=due, created_at=due - timedelta(days=3), claimed_at=due, state=state, code=code,
            reason=rng.choice(_SILENT) if state is SmsState.SUPPRESSED else Reason(kind.value), segments=1,
            sender="+14255550100", sent_at=due + timedelta(seconds=rng.randrange(90)) if taken else None,
            final_at=due + timedelta(minutes=1) if taken else None, attempts=1,
        )  # fmt: skip
        yield asdict(text)
