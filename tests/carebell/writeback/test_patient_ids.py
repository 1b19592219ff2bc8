"""PID-3 in what goes back: as it was sent, while it is kept; and its bytes are kept no longer than it is."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from scheduler.writeback import WritebackState
from simulator.inbound import EngineAct
from store import patient_ids
from store.crypto import day_of, sealed_day
from store.patient_ids import PatientIdPlan
from store.sealing import SealedColumn
from store.tables import writebacks as table
from tests.carebell.writeback.bench import Bench, bench
from tests.store.samples import NOW

HOUR = timedelta(hours=1)
CONTENT = SealedColumn(table="writebacks", column="content")
SENT = "MRN00042^^^LAMNA&1.2&ISO^MR~A\\T\\B^^^X\\F\\Y"


def _keeping(made: Bench, setting: str = "keep") -> str:
    """A visit of an environment with this setting, whose PID-3 is kept for an hour."""
    environment = made.loaded.configuration.environments["prod"]
    section = environment.writeback.model_copy(update={"patient_id": setting})
    environments = {"prod": environment.model_copy(update={"writeback": section})}
    configuration = made.loaded.configuration
    changed = configuration.model_copy(update={"environments": {**configuration.environments, **environments}})
    made.loaded = replace(made.loaded, configuration=changed)
    [owner] = made.visits(1)
    plan = PatientIdPlan(appointment=owner, ends_at=NOW + HOUR, given=SENT, sent_at=NOW)
    with made.store.write() as conn:
        patient_ids.keep(conn, made.vault, [plan], NOW)
    return owner


def _kept_bytes(made: Bench) -> tuple[bytes, int]:
    """Of the only row, and the day of their key."""
    with made.store.read() as conn:
        own_id, sealed = conn.execute(select(table.c.id, table.c.content)).one()
        content = CONTENT.unseal(conn, made.vault, own_id, bytes(sealed))
    assert content is not None
    return content, sealed_day(sealed)


async def test_its_repetitions_go_back_as_they_were_sent_and_end_with_it(tmp_path: Path) -> None:
    async with bench(tmp_path, [EngineAct.NONE]) as made:
        made.add(_keeping(made), lasts=timedelta(days=9))
        await made.turn()
        content, day = _kept_bytes(made)
        assert f"\rPID|||{SENT}\r".encode() in content
        assert day == day_of(NOW + HOUR)
        log = made.log.read_text("utf-8")
        assert "writeback_retried" in log
        assert not any(part in log for part in ("MRN00042", "LAMNA&1.2"))
        assert all("MRN00042" not in json.dumps(str(row)) for row in made.rows())


@pytest.mark.parametrize(("setting", "later"), [("none", timedelta()), ("keep", HOUR)])
async def test_without_it_the_message_has_no_pid(tmp_path: Path, setting: str, later: timedelta) -> None:
    async with bench(tmp_path, [EngineAct.NONE]) as made:
        owner = _keeping(made, setting)
        made.clock.move_to(NOW + later)
        made.add(owner)
        await made.turn()
        content, _ = _kept_bytes(made)
        assert b"\rPID|" not in content
        assert b"MRN00042" not in content


async def test_bytes_with_it_that_nobody_took_are_refused_when_its_day_is_over(tmp_path: Path) -> None:
    async with bench(tmp_path, [EngineAct.NONE]) as made:
        made.add(_keeping(made), lasts=timedelta(days=9))
        await made.turn()
        tomorrow = NOW + timedelta(days=1)
        with made.store.write() as conn:
            made.vault.destroy_before(conn, tomorrow)
        made.clock.move_to(tomorrow)
        await made.turn()
        [row] = made.rows()
        assert (row.state, row.code) == (WritebackState.REFUSED, "CONTENT_GONE")
