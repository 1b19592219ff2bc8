"""PID-3 from the message to what is kept of it: only where an environment keeps it, and no longer than it says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import select

from store import patient_ids
from store.patient_ids import KeptPatientId
from store.tables import appointments
from tests.carebell.pieces import Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import unsigned

NOW: Final = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
START: Final = datetime(2026, 3, 12, 21, 0, tzinfo=UTC)
END: Final = START + timedelta(minutes=30)
DAY: Final = timedelta(days=1)
SENT: Final = "MRN00042^^^LAMNA^MR"


def _writeback(patient_id: str) -> dict[str, Any]:
    engine = {"host": "127.0.0.1", "port": 6661, "sending_facility": "A", "receiving_application": "B"}
    section = {
        "patient_id": patient_id,
        "events": {"confirmed": "hl7"},
        "hl7": {**engine, "receiving_facility": "C"},
    }
    return {"environments": {"production": {"writeback": section}}}


@contextmanager
def _service(folder: Path, patient_id: str = "keep") -> Iterator[Pieces]:
    twilio = PocketTwilio(now=lambda: NOW)
    with pieces(folder, at=NOW, gateway=twilio, changes=_writeback(patient_id)) as service:
        twilio.now = service.clock.now
        yield service


def _hear(service: Pieces, event: str, written: str | None = None, **changes: Any) -> None:
    service.step(timedelta(seconds=1))
    start = changes.pop("start", START)
    content = unsigned(event, f"{event}{service.now:%d%H%M%S}", sent=service.now, start=start, **changes)
    if written is not None:
        content = content.replace(SENT.encode(), written.encode())
    service.hear(content)
    assert service.refused == []


def _kept(service: Pieces, reference: str = "900100") -> KeptPatientId | None:
    with service.store.read() as conn:
        owner = conn.execute(select(appointments.c.id).where(appointments.c.reference == reference)).scalar_one()
        return patient_ids.read(conn, service.vault, [owner], service.now).get(owner)


def _count(service: Pieces) -> int:
    with service.store.read() as conn:
        return patient_ids.kept(conn).visits


def test_it_follows_the_visit_and_the_newest_message(tmp_path: Path) -> None:
    with _service(tmp_path) as service:
        _hear(service, "S12")
        assert _kept(service) == KeptPatientId(repetitions=SENT, ends_at=END + DAY)
        _hear(service, "S13", start=START + 5 * DAY, written="MRN00043^^^LAMNA^MR~7")
        assert _kept(service) == KeptPatientId(repetitions="MRN00043^^^LAMNA^MR~7", ends_at=END + 6 * DAY)
        _hear(service, "S14", start=START, written="")
        assert _kept(service) == KeptPatientId(repetitions="MRN00043^^^LAMNA^MR~7", ends_at=END + DAY)
        _hear(service, "S14", written='""')
        assert _kept(service) is None


def test_where_it_is_not_kept_nothing_is(tmp_path: Path) -> None:
    with _service(tmp_path, "none") as service:
        _hear(service, "S12")
        assert _count(service) == 0


def test_a_canceled_visit_keeps_it_for_a_day(tmp_path: Path) -> None:
    with _service(tmp_path) as service:
        _hear(service, "S12")
        _hear(service, "S15", status="Cancelled")
        canceled_at = service.now
        service.step(timedelta(hours=1))
        _hear(service, "S15", status="Cancelled")
        kept = _kept(service)
        assert kept is not None
        assert kept.ends_at == canceled_at + DAY
        service.step(to=canceled_at + DAY)
        assert _kept(service) is None


def test_a_deleted_visit_keeps_none(tmp_path: Path) -> None:
    with _service(tmp_path) as service:
        _hear(service, "S12")
        _hear(service, "S17", status="Deleted")
        assert _count(service) == 0


def test_a_visit_that_goes_on_under_another_id_takes_it_along(tmp_path: Path) -> None:
    """The S13 is silent about PID-3, and shares only its placer number with the visit that it moves."""
    with _service(tmp_path) as service:
        _hear(service, "S12")
        service.step(timedelta(seconds=1))
        moved = unsigned("S13", "moved", sent=service.now, start=START + DAY).replace(SENT.encode(), b"")
        service.hear(moved.replace(b"SCH|900100^EPIC|900100^EPIC", b"SCH|900100^EPIC|900200^EPIC"))
        assert _count(service) == 1
        assert _kept(service, "900200") == KeptPatientId(repetitions=SENT, ends_at=END + 2 * DAY)


def test_two_visits_that_prove_to_be_one_keep_the_newest(tmp_path: Path) -> None:
    with _service(tmp_path) as service:
        for sch, written in (("|900100^EPIC", "1"), ("900100^EPIC|", "2"), ("900100^EPIC|900100^EPIC", "")):
            service.step(timedelta(seconds=1))
            content = unsigned("S14", f"m{written}", sent=service.now, start=START).replace(
                SENT.encode(), written.encode()
            )
            service.hear(content.replace(b"SCH|900100^EPIC|900100^EPIC", f"SCH|{sch}".encode()))
        assert service.refused == []
        assert _count(service) == 1
        with service.store.read() as conn:
            owners = conn.execute(select(appointments.c.id)).scalars().all()
            [kept] = patient_ids.read(conn, service.vault, owners, service.now).values()
        assert kept.repetitions == "2"


@pytest.mark.parametrize("event", ["S12", "S15", "S17"])
def test_after_forgetting_no_file_has_a_trace_of_it(tmp_path: Path, event: str) -> None:
    with _service(tmp_path) as service:
        _hear(service, "S12")
        if event != "S12":
            _hear(service, event, status="Cancelled")
        service.step(to=END + DAY + timedelta(minutes=20))
        for _ in range(3):
            service.retention.round()
            service.step(timedelta(minutes=20))
        assert _count(service) == 0
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    assert (tmp_path / "pieces.log") in files
    assert [path.name for path in files if b"MRN00042" in path.read_bytes()] == []
