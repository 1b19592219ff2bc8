"""What goes back to the EHR of a visit: a row for each of its steps, in the transaction of its event."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from store import visit_devices
from store.tables import writebacks
from tests.carebell.patients.room import MINUTE, SAME, START, Clinic, changes, clinic

EVENTS = {"waiting": "hl7", "connected": "hl7", "visit_ended": "hl7"}
HL7 = {
    "host": "127.0.0.1",
    "port": 6661,
    "sending_facility": "LAMNA",
    "receiving_application": "EPIC",
    "receiving_facility": "LAMNA",
}


@pytest.fixture
def day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clinic]:
    with_writeback = changes()
    with_writeback["environments"]["production"]["writeback"] = {"hl7": HL7, "events": EVENTS}
    monkeypatch.setattr("tests.carebell.patients.room.changes", lambda **_: with_writeback)
    with clinic(tmp_path / "clinic") as made:
        made.hear("S12")
        yield made


def _rows(day: Clinic) -> list[tuple[str, int]]:
    of = writebacks.c
    with day.service.store.read() as conn:
        return [(row.event, row.event_seq) for row in conn.execute(select(of.event, of.event_seq).order_by(of.id))]


def _facts(day: Clinic, event: str) -> str:
    with day.service.store.read() as conn:
        facts: str = conn.execute(select(writebacks.c.facts).where(writebacks.c.event == event)).scalar_one()
    return facts


def test_waiting_connecting_and_the_end_go_back_in_order(day: Clinic) -> None:
    token = day.token()
    day.service.step(to=START - 10 * MINUTE)
    day.here(token)
    assert _rows(day) == [("waiting", 1)]
    day.service.step(4 * MINUTE)
    with day.service.store.write() as conn:
        visit = day.recorder.begin(conn, day.visit().id)
        assert visit is not None
        visit_devices.admit(conn, visit.id, day.key(token), day.service.now)
    day.client.post(f"/j/{token}/go", data={"device": "d1"}, headers=SAME)
    day.service.step(to=START + timedelta(hours=3))
    day.upkeep.round()
    day.upkeep.round()
    assert [event for event, _ in _rows(day)] == ["waiting", "connected", "visit_ended"]
    assert '"by":"patient"' in _facts(day, "connected")
    ended = _facts(day, "visit_ended")
    assert f'"visit_code":"{day.visit().code}"' in ended
    assert '"lobby_wait":240' in ended
    assert '"duration":' not in ended, "a meeting that tells nothing: the report does not know it either"
    assert token not in ended


def test_what_is_not_configured_does_not_go_back(tmp_path: Path) -> None:
    with clinic(tmp_path / "clinic") as made:
        made.hear("S12")
        made.service.step(to=START - 10 * MINUTE)
        made.here(made.token())
        assert _rows(made) == []
