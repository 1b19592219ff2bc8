"""F6: another process holds the database's lock: nothing is answered without a commit, and all of it when the lock is gone."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.conftest import Tally
from tests.faults.node import Node, write_configuration
from tests.faults.rows import FILES, read_rows
from tests.faults.senders import Hospital, send_all

_HOLD = """
import sqlite3, sys, time
conn = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
conn.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
conn.execute("ROLLBACK")
"""
_LONGER_THAN_WE_WAIT = 7.0


@pytest.mark.faults("F6")
@pytest.mark.timeout(3600)
def test_a_held_lock_delays_answers_and_loses_none(tally: Tally, tmp_path: Path, workers: int) -> None:
    hospital, rng = Hospital(), random.Random(6)
    ledger = hospital.ledger
    node = Node(write_configuration(tmp_path, [hospital.identity.certificate]), workers=workers)
    database = tmp_path / "data" / FILES[0]
    for number in tally.rounds_with(workers):
        fresh = [hospital.write(len(ledger.sent)) for _ in range(20)]
        # Once longer than the service waits for a lock: senders are cut off, without an answer.
        seconds = _LONGER_THAN_WE_WAIT if number == 0 else rng.uniform(0.1, 0.5)
        answered_meanwhile = asyncio.run(_send_while_locked(node.port, hospital, fresh, database, seconds))
        tally.seen.update({"sent": len(fresh), "answered while locked": answered_meanwhile})
        assert answered_meanwhile == 0
        assert ledger.in_doubt == []
        assert read_rows(tmp_path / "data").complete == ledger.sent.keys()
    assert node.stop() == 0
    assert ledger.refused == {}
    log = (tmp_path / "carebell.log").read_text("utf-8")
    tally.seen["cut off"] = log.count('"message_failed"')
    assert tally.seen["cut off"] > 0, "the lock was never held long enough"


async def _send_while_locked(port: int, hospital: Hospital, fresh: list[str], database: Path, seconds: float) -> int:
    """How many answers came while the other process held the lock; all have come in the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _HOLD, str(database), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"held\n"
    before = len(hospital.ledger.acknowledged)
    sending = asyncio.create_task(send_all(port, hospital, fresh))
    await asyncio.sleep(seconds)
    meanwhile = len(hospital.ledger.acknowledged) - before
    process.stdin.write(b"\n")
    await process.stdin.drain()
    await process.wait()
    await sending
    return meanwhile
