"""What a message costs the store, and what a claim costs, while the database grows.

    python -m benchmarks.growth sqlite:///growth.db --sizes 10000,100000,1000000 -o growth.json
    python -m benchmarks.growth postgresql+psycopg://user@host/empty --sizes 10000,100000

Takes an empty database and fills it the way the service does: `store.appointment_repository` in batches of 100, one commit each.
A message is one appointment with one alias, its sealed number, three texts (a confirmation and two reminders) and the replay
memory; verifying, parsing and planning are not in here, since they do not know how large the database is. At each size are
measured, in microseconds a message, the median of the batches' wall clock and, beside it, the mean CPU of this process and of the
server's one backend that serves it (0 where that is elsewhere), and the bytes written (SQLite: log and checkpoints; PostgreSQL:
its log), both of which a loaded machine disturbs less:

    booked   appointments seen for the first time
    moved    appointments chosen at random, loaded with their history and planned anew (the cache-unfriendly half of a day)

and of the claim, with every text but the confirmations still waiting:

    claim    a text, in full rounds of 200, with its commit
    idle     a round that finds nothing due, as it runs every second, in milliseconds
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event

from carebell.ids import RandomIds
from parser.phone_number import PhoneNumber
from scheduler.appointment import Appointment, AppointmentStatus
from scheduler.sms import PlannedRow, Reason, SmsKind, SmsState
from store import schema
from store.appointment_repository import MessageKey, Remembered, Save, find, known, save
from store.claims import ClaimCandidate, Decision, Send, claim
from store.engine import Store, open_store
from store.keys import KeyRing
from store.vault import Vault

BATCH: Final = 100
FILL: Final = 1000
"""Messages a commit between two sizes: the same statements, fewer fsyncs."""
_FILLING: Final = ("cache_size=-4000000", "synchronous=OFF", "wal_autocheckpoint=100000")
"""On SQLite between two sizes: the same rows and pages, written once. Afterwards the file is opened as the service opens it."""
ROUNDS: Final = 40
CLAIMS: Final = 10
LIMIT: Final = 200
NOW: Final = datetime(2026, 3, 2, 15, tzinfo=UTC)
DAYS: Final = 60
"""Visits lie this many days ahead, evenly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What was measured at one size; see the module's docstring."""

    backend: str
    appointments: int
    pending: int
    booked_us: float
    booked_cpu_us: float
    booked_bytes: int
    moved_us: float
    moved_cpu_us: float
    moved_bytes: int
    claim_us: float
    claim_cpu_us: float
    idle_ms: float
    bytes_each: int
    when: str
    load: float


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall clock and of CPU; bytes written."""

    wall: float
    cpu: float
    written: float


class Clinic:
    """Makes appointments and messages; keeps the ids of a sample of them, to move later.

    Args:
        seed: of starts, numbers and choices.
    """

    def __init__(self, seed: int = 5) -> None:
        self._rng = random.Random(seed)
        self.count = 0
        self._messages = 0
        self.new_id = RandomIds()

    def booked(self, count: int) -> tuple[list[Save], list[Remembered]]:
        saves = [self._book(self.count + index) for index in range(count)]
        self.count += count
        return saves, [self._remember() for _ in saves]

    def some(self, count: int) -> list[tuple[str, tuple[str]]]:
        """Environment and alias of appointments, chosen at random."""
        return [("production", (_alias(number),)) for number in self._rng.sample(range(self.count), count)]

    def moved(self, stored: Appointment, history: tuple[PlannedRow, ...]) -> Save:
        start = self._start()
        revision = stored.revision + 1
        taken = [
            replace(past, state=SmsState.SUPPRESSED, reason=Reason.SUPERSEDED, expires=None)
            for past in history
            if past.state is SmsState.DUE
        ]
        return Save(
            appointment=replace(stored, start=start, revision=revision),
            changes=[*taken, *_texts(start, revision)],
            new_aliases=(),
            is_new=False,
            config_version="c1",
        )

    def remembered(self, count: int) -> list[Remembered]:
        return [self._remember() for _ in range(count)]

    def _book(self, number: int) -> Save:
        start = self._start()
        visit = Appointment(
            id=self.new_id(),
            environment="production",
            reference=str(number),
            aliases=(_alias(number),),
            revision=1,
            event_at=NOW,
            status=AppointmentStatus.ACTIVE,
            start=start,
            zone="America/Los_Angeles",
            language="en",
            changed_at=NOW,
            phone=PhoneNumber(f"+1202555{self._rng.randrange(100, 200):04d}", "mobile"),
            planned_at=NOW,
        )
        return Save(
            appointment=visit,
            changes=_texts(start, 1),
            new_aliases=visit.aliases,
            is_new=True,
            config_version="c1",
        )

    def _start(self) -> datetime:
        return NOW + timedelta(days=9, minutes=self._rng.randrange(DAYS * 1440))

    def _remember(self) -> Remembered:
        self._messages += 1
        return Remembered(
            key=MessageKey("production", "EPIC", "LAMNA", f"{self._messages:012d}"),
            digest=os.urandom(32),
            answer="AA",
            text="stored",
            received_at=NOW,
            forget_after=NOW + timedelta(days=8),
        )


def _alias(number: int) -> str:
    return f"EPIC|LAMNA|filler|{number}|"


def _texts(start: datetime, revision: int) -> list[PlannedRow]:
    """A confirmation that has had its chance, and two reminders that wait."""
    last_notified = PlannedRow(
        kind=SmsKind.BOOKED,
        rule="scheduled",
        revision=revision,
        due=NOW,
        expires=None,
        state=SmsState.SUPPRESSED,
        reason=Reason.NO_CONSENT,
    )
    waiting = [
        PlannedRow(
            kind=SmsKind.REMINDER,
            rule=rule,
            revision=revision,
            due=start - before,
            expires=start,
            state=SmsState.DUE,
            reason=Reason.REMINDER,
        )
        for rule, before in (("7d@10:00", timedelta(days=7)), ("24h", timedelta(hours=24)))
    ]
    return [last_notified, *waiting]


def book(store: Store, vault: Vault, clinic: Clinic, count: int) -> None:
    """One batch of first sights, as the way in does it."""
    saves, remembered = clinic.booked(count)
    with store.write() as conn:
        known(conn, [(message.key, message.digest) for message in remembered])
        find(conn, vault, [(booking.appointment.environment, booking.new_aliases) for booking in saves], NOW)
        save(conn, vault, saves, remembered, NOW, new_id=clinic.new_id)


def move(store: Store, vault: Vault, clinic: Clinic, count: int) -> None:
    """One batch of changes to appointments that are there."""
    remembered = clinic.remembered(count)
    with store.write() as conn:
        known(conn, [(message.key, message.digest) for message in remembered])
        stored = find(conn, vault, clinic.some(count), NOW)
        moved = [clinic.moved(appointment.appointment, appointment.history) for (appointment,) in stored]
        save(conn, vault, moved, remembered, NOW, new_id=clinic.new_id)


def measure(store: Store, vault: Vault, clinic: Clinic, rounds: int = ROUNDS) -> Point:
    """Everything at the present size."""
    size, pending = clinic.count, _count(store, "SELECT count(*) FROM outbox WHERE state = 'due'")
    booked = _cost(store, lambda: book(store, vault, clinic, BATCH), rounds)
    moved = _cost(store, lambda: move(store, vault, clinic, BATCH), rounds)
    idle = _cost(store, lambda: _claim(store, vault, NOW), rounds)
    # Everything is due by then: each round takes the oldest.
    claimed = _cost(store, lambda: _claim(store, vault, NOW + timedelta(days=DAYS + 9)), CLAIMS)
    return Point(
        backend=store.backend,
        appointments=size,
        pending=pending,
        booked_us=_micro(booked.wall, BATCH),
        booked_cpu_us=_micro(booked.cpu, BATCH),
        booked_bytes=round(booked.written / BATCH),
        moved_us=_micro(moved.wall, BATCH),
        moved_cpu_us=_micro(moved.cpu, BATCH),
        moved_bytes=round(moved.written / BATCH),
        claim_us=_micro(claimed.wall, LIMIT),
        claim_cpu_us=_micro(claimed.cpu, LIMIT),
        idle_ms=round(idle.wall * 1e3, 2),
        bytes_each=_size(store) // clinic.count,
        when=datetime.now(UTC).strftime("%Y-%m-%d"),
        load=round(os.getloadavg()[0], 1),
    )


def _cost(store: Store, work: Callable[[], object], rounds: int) -> Cost:
    """The median round's wall clock, the mean round's CPU and bytes."""
    server, written = _server_process(store), _written(store)
    times, worked = [], time.process_time() + _cpu_of(server)
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    cpu = time.process_time() + _cpu_of(server) - worked
    return Cost(statistics.median(times), cpu / rounds, (_written(store) - written) / rounds)


def _written(store: Store) -> int:
    """Bytes so far: handed to the kernel by this process, see proc(5), or PostgreSQL's log."""
    if store.backend == "postgresql":
        return _count(store, "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def _micro(seconds: float, of: int) -> float:
    return round(seconds / of * 1e6, 1)


def _server_process(store: Store) -> int | None:
    """The backend behind the pool's one connection, where it runs on this machine."""
    if store.backend == "sqlite":
        return None
    process = _count(store, "SELECT pg_backend_pid()")
    return process if Path(f"/proc/{process}/stat").exists() else None


def _cpu_of(process: int | None) -> float:
    """Seconds so far, in steps of a clock tick; see proc(5), fields 14 and 15."""
    if process is None:
        return 0.0
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _claim(store: Store, vault: Vault, now: datetime) -> int:
    with store.write() as conn:
        # The phones' day keys are asked for as of `now`; a visit that is over has none, so the number is given.
        claims = claim(
            conn,
            vault,
            now,
            node="benchmark",
            limit=LIMIT,
            lease=timedelta(minutes=2),
            senders={"production": "+14255550100"},
            decide=_send,
            recipient=lambda _: _PHONE,
        )
    return len(claims.claimed)


_PHONE: Final = PhoneNumber("+12025550143", "mobile")


def _send(_: ClaimCandidate) -> Decision:
    return Send(segments=1)


def _count(store: Store, query: str) -> int:
    with store.read() as conn:
        return int(conn.exec_driver_sql(query).scalar_one())


def _size(store: Store) -> int:
    if store.file is not None:
        return store.file.stat().st_size
    return _count(store, "SELECT pg_database_size(current_database())")


def grow(url: str, sizes: list[int], rounds: int = ROUNDS) -> Iterator[Point]:
    """Fill up to each size and measure there."""
    vault = Vault(KeyRing(current=1, masters={1: b"k" * 32}, pepper=b"p" * 32))
    clinic = Clinic()
    with closing(open_store(url)) as store:
        schema.upgrade(store)
        if _count(store, "SELECT count(*) FROM appointments"):
            raise SystemExit("the database is not empty")
    for size in sizes:
        with closing(open_store(url)) as store:
            _fill(store, vault, clinic, size)
        with closing(open_store(url)) as store:
            point = measure(store, vault, clinic, rounds)
        sys.stderr.write("\r" + " " * 40 + "\r")
        yield point


def _fill(store: Store, vault: Vault, clinic: Clinic, size: int) -> None:
    """Up to so many appointments."""
    if store.backend == "sqlite":
        event.listen(store.engine, "connect", _write_fast)
        store.engine.dispose()  # whoever was connected already is not told
    while clinic.count < size:
        book(store, vault, clinic, min(FILL, size - clinic.count))
        sys.stderr.write(f"\r{clinic.count:>10,} appointments")
    if store.backend == "postgresql":  # as autovacuum would have done on a database that took years to grow
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.exec_driver_sql("VACUUM ANALYZE")


def _write_fast(connection: Any, _record: Any) -> None:
    for pragma in _FILLING:
        connection.execute(f"PRAGMA {pragma}").close()


def main(arguments: list[str]) -> None:
    given = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__.splitlines()[0])
    given.add_argument("url", help="of an empty database; an SQLite file is made")
    given.add_argument("--sizes", default="10000,30000,100000", help="appointments, comma-separated, rising")
    given.add_argument("--rounds", type=int, default=ROUNDS)
    given.add_argument("-o", "--output", type=Path, help="JSON, a point a line")
    chosen = given.parse_args(arguments)
    print(" ".join(f"{field.name:>13}" for field in fields(Point)))
    points = []
    for point in grow(chosen.url, [int(size) for size in chosen.sizes.split(",")], chosen.rounds):
        points.append(point)
        print(" ".join(f"{value:>13}" for value in asdict(point).values()), flush=True)
        if chosen.output is not None:
            chosen.output.write_text("".join(json.dumps(asdict(point)) + "\n" for point in points), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
