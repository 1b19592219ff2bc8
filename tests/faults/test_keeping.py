"""F20 and F21: the service was off over a deadline, and an old backup is put in its place."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from scheduler.sms import HoldScope
from simulator.account import AccountSettings
from simulator.patients import fictitious_number
from store import holds
from tests.carebell.pieces import Pieces, pieces
from tests.carebell.pieces import signed as sign_it
from tests.carebell.pocket_twilio import PocketTwilio
from tests.faults.conftest import Tally
from tests.faults.playing import SENDER
from tests.story.clinic import opened
from tests.story.ehr import signed, unsigned
from tests.story.folder import CLOCK, make

NOW: Final = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
DAY: Final = timedelta(days=1)
FAST: Final = AccountSettings(segments_per_second={SENDER: 1000})
AT_ONCE: Final = 50


@pytest.mark.faults("F20")
@pytest.mark.timeout(3600)
def test_no_number_outlives_its_visit_also_when_the_service_was_off(tally: Tally, tmp_path: Path) -> None:
    """Half of the visits begin while the service runs, half while it is off."""
    folder, count = tmp_path / "clinic", tally.fault.rounds
    soon, later = NOW + DAY, NOW + 3 * DAY
    with pieces(folder, at=NOW, gateway=PocketTwilio(now=lambda: NOW, settings=FAST)) as service:
        for first in range(0, count, AT_ONCE):
            book(service, range(first, first + AT_ONCE), soon, later)
            tally.progress(first + AT_ONCE, count)
        secrets = sealed(folder)
        assert len(secrets) == count
        service.step(to=soon + timedelta(minutes=15))
        service.retention.round()
        assert found(folder, secrets[: count // 2]) == 0
        assert found(folder, secrets[count // 2 :]) == count // 2, "a visit to come was forgotten"
        assert digits(folder, count) == 0
    off = later + 2 * DAY
    with pieces(folder, at=off, gateway=PocketTwilio(now=lambda: off, settings=FAST)) as service:
        service.retention.round()
        assert found(folder, secrets) == 0
    assert digits(folder, count) == 0
    keys = sqlite3.connect(folder / "carebell.db").execute("SELECT COUNT(*) FROM day_keys").fetchone()
    assert keys == (0,), "a key of a past day is still there"
    tally.seen.update({"numbers in files": 0, "ciphertexts left": 0})


def book(service: Pieces, visits: range, soon: datetime, later: datetime) -> None:
    """In one transaction, as a backlog comes in."""
    contents = [
        unsigned(
            "S12",
            f"c{visit}",
            sent=service.now,
            start=soon if _is_early(visit) else later,
            reference=f"K{visit}",
            phone=fictitious_number(visit),
        )
        for visit in visits
    ]
    validated = [service.validator.validate(sign_it(content), service.now) for content in contents]
    assert [one.refused for one in validated if one.refused is not None] == []
    with service.store.write() as conn:
        service.registry.commit_group(conn, validated)


def _is_early(visit: int) -> bool:
    return visit % 2 == 0


def sealed(folder: Path) -> list[bytes]:
    """The ciphertexts of all numbers, the early visits' first."""
    conn = sqlite3.connect(folder / "carebell.db")
    try:
        rows = conn.execute("SELECT phone, reference FROM appointments").fetchall()
    finally:
        conn.close()
    return [phone for phone, _ in sorted(rows, key=lambda row: not _is_early(int(row[1].strip("K"))))]


def found(folder: Path, secrets: list[bytes]) -> int:
    """How many ciphertexts the database's files still hold: what a key that leaks would open."""
    held = b"".join(file.read_bytes() for file in sorted(folder.glob("carebell.db*")))
    return sum(secret in held for secret in secrets)


def digits(folder: Path, count: int) -> int:
    """How many numbers stand in any file, plain. The configuration names a telephone of its own for tests."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name != "carebell.yaml"]
    held = b"".join(file.read_bytes() for file in files)
    return sum(fictitious_number(visit).removeprefix("+1").encode() in held for visit in range(count))


@pytest.mark.faults("F21")
@pytest.mark.timeout(3600)
async def test_an_old_backup_waits_for_a_person(tally: Tally, tmp_path: Path) -> None:
    rng = random.Random(21)
    for number in tally.rounds():
        twilio = PocketTwilio(now=lambda: CLOCK, settings=FAST)
        folder, backup = tmp_path / str(number), tmp_path / f"backup-{number}"
        path = make(folder, {"gateway": {"segments_per_second": {SENDER: 1000}}})
        start = CLOCK + timedelta(hours=rng.randint(3, 6))
        async with opened(path, at=start, gateway=twilio) as clinic:
            twilio.now = clinic.clock.now
            visit, now = start + 8 * DAY, clinic.clock.now()
            acks = await clinic.send(
                *(
                    signed("S12", f"m{one}", sent=now, start=visit, reference=f"B{one}", phone=fictitious_number(one))
                    for one in range(6)
                )
            )
            assert {ack.code for ack in acks} == {"AA"}
            await asyncio.to_thread(clinic.service.retention.round)
        shutil.copytree(folder, backup)
        at = start + timedelta(minutes=rng.randint(2, 60))
        async with opened(path, at=at, gateway=twilio) as clinic:
            twilio.now = clinic.clock.now
            await asyncio.to_thread(clinic.service.retention.round)
            assert await clinic.service.dispatcher.tick() == 6
        for file in folder.glob("carebell.db*"):
            file.unlink()
        for file in backup.glob("carebell.db*"):
            shutil.copy(file, folder)
        async with opened(path, at=at + timedelta(minutes=5), gateway=twilio) as clinic:
            twilio.now = clinic.clock.now
            for _ in range(3):
                await clinic.service.dispatcher.tick()
                clinic.clock.move_to(clinic.clock.now() + timedelta(minutes=1))
            assert len(twilio.ledger.received) == 6, "a text of the backup left again"
            with clinic.service.store.read() as conn:
                assert [hold.scope for hold in holds.held(conn)] == ["all"]
            with clinic.service.store.write() as conn:
                assert holds.release(conn, HoldScope.ALL)
            clinic.clock.move_to(clinic.clock.now() + timedelta(hours=3))
            await clinic.service.dispatcher.tick()
            assert len(twilio.ledger.received) == 6
            assert {row[3] for row in clinic.outbox() if row[0] == "booked"} == {"expired"}
        got = Counter(taken.to for taken in twilio.ledger.accepted)
        assert got == {fictitious_number(one): 1 for one in range(6)}
        tally.seen.update({"texts in the ledger": got.total(), "doubled": 0})
