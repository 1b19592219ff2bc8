"""P25: a FHIR server that changes, refuses, stalls, loses answers and forgets tokens; in the end the rows say what the EHR has."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from scheduler.writeback import WritebackChannel, WritebackEvent, WritebackState
from simulator.fhir.faults import ResourceAct
from simulator.fhir.records import RecordAnswer, SimulatedRecords
from simulator.fhir.server import FhirSimulator
from store.writeback_rows import WritebackRow
from tests.carebell.writeback.web_bench import web_bench
from tests.faults.conftest import Tally

EVENTS: Final = (WritebackEvent.CONFIRMED, WritebackEvent.WAITING, WritebackEvent.DEVICE_TEST)
WEIGHTS: Final = {act: 1 if act is ResourceAct.SLOW else 60 if act is ResourceAct.OK else 6 for act in ResourceAct}
PATIENCE: Final = timedelta(milliseconds=400)
"""Of a request; the configuration allows a second."""
_BATCH: Final = 40


@pytest.mark.faults("P25")
@pytest.mark.timeout(3600)
def test_rows_say_what_the_ehr_has(tally: Tally, tmp_path: Path) -> None:
    rng = random.Random(25)
    waiting = 0
    for number in tally.rounds():
        waiting += 1
        if waiting == _BATCH or number + 1 == tally.fault.rounds:
            folder = tmp_path / str(number)
            folder.mkdir()
            asyncio.run(_batch(folder, rng, waiting, tally.seen))
            waiting = 0
    assert tally.seen["acknowledged"] > 0
    assert tally.seen["refused"] > 0


@pytest.mark.faults("P25", proof=True)
def test_a_server_that_makes_everything_twice_is_found(
    tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = SimulatedRecords._create

    def twice(records: SimulatedRecords, kind: str, body: bytes, condition: str | None) -> RecordAnswer:
        create(records, kind, body, None)
        return create(records, kind, body, None)

    monkeypatch.setattr(SimulatedRecords, "_create", twice)
    with pytest.raises(AssertionError, match="made twice"):
        asyncio.run(_batch(tmp_path, random.Random(26), 12, tally.seen))
    tally.seen.clear()


@pytest.mark.faults("P25", proof=True)
def test_a_server_that_says_yes_and_does_nothing_is_found(
    tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SimulatedRecords, "_patch", lambda *_: RecordAnswer(status=200, document={}, version=2))
    with pytest.raises(AssertionError, match="arrived"):
        asyncio.run(_batch(tmp_path, random.Random(27), 12, tally.seen))
    tally.seen.clear()


async def _batch(folder: Path, rng: random.Random, count: int, seen: Counter[str]) -> None:
    async with web_bench(folder, patience=PATIENCE) as (made, fhir):
        fhir.resources.backend.lasts = timedelta(seconds=40)
        visits = made.visits(count)
        for number, visit in enumerate(visits):
            fhir.resources.records.put(str(number), status=rng.choice(["booked", "booked", "booked", "cancelled"]))
            made.add(visit, rng.choice(EVENTS), channel=WritebackChannel.FHIR)
        fhir.resources.acts.extend(rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=3 * count))
        await made.until_settled()
        assert not made.open_rows()
        for row in made.rows():
            number = visits.index(row.appointment)
            _agrees(row, fhir, str(number))
            seen[row.state.value] += 1


def _agrees(row: WritebackRow, fhir: FhirSimulator, own_id: str) -> None:
    records = fhir.resources.records
    if row.event is WritebackEvent.WAITING:
        status = records.appointments[own_id]["status"]
        # A change whose answer was lost may be followed by a refusal to read: the EHR then has what was asked.
        assert row.state in (WritebackState.ACKNOWLEDGED, WritebackState.REFUSED)
        if row.state is WritebackState.ACKNOWLEDGED:
            assert status == "arrived"
        elif row.code == "APPOINTMENT_STATE":
            assert status == "cancelled"
        return
    kind = "AppointmentResponse" if row.event is WritebackEvent.CONFIRMED else "Observation"
    copies = [resource for resource in records.created.get(kind, ()) if resource["identifier"][0]["value"] == row.id]
    assert len(copies) <= 1, "made twice"
    if row.state is WritebackState.ACKNOWLEDGED:
        assert len(copies) == 1
    elif row.state is WritebackState.UNKNOWN:
        assert row.event is WritebackEvent.DEVICE_TEST, "a conditional create can always be asked again"
    else:
        assert row.state is WritebackState.REFUSED
        assert row.code is not None
        assert row.code.startswith("HTTP_4")
        assert not copies or row.attempts > 1, (
            "made and refused at once"
        )  # an answer was lost, and the next one refuses
