"""How long the server takes for each page of the portal, with many appointments and texts in the database.

    python -m benchmarks.staff_pages FOLDER --appointments 100000 --texts 1000000

Makes a configuration and a database in FOLDER, or uses the ones that are there: appointments as the service stores them, with
sealed numbers, one confirmation and two reminders each, and texts of the year before with the outcomes that texts have. A page is
asked for as a browser does, through the gate and the templates, by an administrator; what is measured is the time until its last
byte, the median of some rounds, and beside it the CPU of this process, which a loaded machine disturbs less. `first` is the time
where nothing was asked before: the sums of past days are counted then, and kept.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import func, insert, select

from benchmarks.growth import FILL, NOW, Clinic, book
from carebell.bootstrap import components
from carebell.inquiries.day_sums import DaySums
from carebell.inquiries.overview import OverviewReader
from carebell.staff.messages import MessagesInquiry
from carebell.staff.outbox import OutboxInquiry
from carebell.staff.sms_report import SmsReports
from carebell.staff.why import WhyInquiry
from config.load import Loaded
from portal.pages import messages, outbox, sms_report, why
from portal.people import Browser as Peer
from portal.people import Session
from portal.roles import Role
from scheduler.sms import Reason, SmsKind, SmsState
from store import schema
from store.audit import Author
from store.engine import Store, open_store
from store.tables import appointments
from store.tables import outbox as outbox_table
from store.vault import Vault
from tests.carebell.samples import row
from tests.portal.pages.staff import Browser, browsing
from tests.story.folder import load, make

ROUNDS: Final = 9
YEAR: Final = timedelta(days=365)
_BATCH: Final = 10_000
_OUTCOMES: Final = (
    (SmsState.DELIVERED, None, 78), (SmsState.UNDELIVERED, 30003, 4), (SmsState.FAILED, 21610, 1), (SmsState.UNKNOWN, None, 1),
    (SmsState.SUPPRESSED, None, 16),
)  # fmt: skip
_SILENT: Final = (Reason.SUPERSEDED, Reason.QUIET_HOURS, Reason.LANDLINE, Reason.OPTED_OUT, Reason.LATE_BOOKING)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledSource:
    """`carebell.inquiries.source.KeyedSource` at a fixed time."""

    store: Store
    loaded: Loaded
    vault: Vault
    log_file: Path | None = None

    def now(self) -> datetime:
        return NOW


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


def measure(source: FilledSource) -> Iterator[tuple[str, float, float, float, int]]:
    """(page, first ms, median ms, CPU ms, bytes)."""

    def author(by: Session, browser: Peer) -> Author:
        return Author(who=f"portal:{by.person.login}", origin=f"address={browser.address}")

    with source.store.read() as conn:
        reference = conn.execute(select(appointments.c.reference).limit(1)).scalar_one()
    sums = DaySums(store=source.store, now=source.now)
    pages = (
        *sms_report.pages(SmsReports(source=source, sums=sums, author=author)),
        *why.pages(WhyInquiry(source=source, author=author)),
        *outbox.pages(OutboxInquiry(source=source)),
        *messages.pages(MessagesInquiry(source=source)),
    )
    with browsing(pages, now=NOW) as browser:
        browser.sign_in(Role.ADMINISTRATOR)
        browser.get("/why")  # templates are compiled at their first use
        for path in (
            "/reports/sms", "/reports/sms?range=90", "/reports/sms?range=90&status=Unknown&environment=production",
            "/reports/silences?range=90", "/outbox", "/outbox?environment=production", "/outbox?state=unknown", "/messages",
            "/messages?answer=code",
        ):  # fmt: skip
            yield path, *_timed(partial(_page, browser, path))
        yield "/why (an appointment)", *_timed(lambda: _why(browser, reference))
        yield "/why (a telephone number)", *_timed(lambda: _why(browser, "+12025550299"), rounds=1)
        assert browser.failures == []
    reader = OverviewReader(source)
    yield "the facts of the overview", *_timed(lambda: str(reader.read()).encode())


def _page(browser: Browser, path: str) -> bytes:
    answer = browser.get(path)
    assert answer.status_code == 200
    return answer.content


def _why(browser: Browser, wanted: str) -> bytes:
    answer = browser.post("/why", {"telephone": wanted})
    assert answer.status_code == 200
    return answer.content


def _timed(work: Callable[[], bytes], rounds: int = ROUNDS) -> tuple[float, float, float, int]:
    times, cpu = [], []
    for _ in range(rounds + 1):
        began, worked = time.perf_counter(), time.process_time()
        content = work()
        times.append((time.perf_counter() - began) * 1e3)
        cpu.append((time.process_time() - worked) * 1e3)
    return times[0], statistics.median(times[1:]), statistics.median(cpu[1:]), len(content)


def main(arguments: list[str]) -> None:
    given = argparse.ArgumentParser(prog="python -m benchmarks.staff_pages", description=__doc__.splitlines()[0])
    given.add_argument("folder", type=Path)
    given.add_argument("--appointments", type=int, default=100_000)
    given.add_argument("--texts", type=int, default=1_000_000)
    chosen = given.parse_args(arguments)
    path = chosen.folder / "carebell.yaml"
    is_new = not path.exists()
    loaded = load(make(chosen.folder) if is_new else path)
    vault = components.open_vault(loaded)
    store = open_store(loaded.configuration.storage.url)
    schema.upgrade(store)
    if is_new:
        fill(store, vault, chosen.appointments, chosen.texts)
    print(f"{datetime.now(UTC):%Y-%m-%d}, {chosen.appointments:,} appointments, {chosen.texts:,} texts; milliseconds")
    print(f"{'page':64}{'first':>9}{'median':>9}{'CPU':>9}{'bytes':>9}")
    for page, first, median, cpu, size in measure(FilledSource(store=store, loaded=loaded, vault=vault)):
        print(f"{page:64}{first:9.1f}{median:9.1f}{cpu:9.1f}{size:9}", flush=True)
    store.close()


if __name__ == "__main__":
    main(sys.argv[1:])
