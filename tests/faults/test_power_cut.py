"""F3: what was acknowledged is there after the power went, at any moment; and the harness notices when it is not."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Tally
from tests.faults.disk import Cut, Disk, Note, power_cuts
from tests.faults.writer import ACKS, DATABASE

_MESSAGES = 300
_SEED = 20260301


def _run(disk: Disk, *synchronous: str) -> list[Note]:
    command = [sys.executable, "-m", "tests.faults.writer", str(disk.folder), str(_MESSAGES), "8", *synchronous]
    done = subprocess.run(command, env=disk.environment(), capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return disk.notes()


def _acknowledgements(notes: list[Note]) -> list[tuple[int, str]]:
    """(how many notes came before, control id) for each acknowledgement."""
    return [
        (at, f"M{line.split()[1]}")
        for at, note in enumerate(notes)
        if (note.op, note.name) == ("W", ACKS)
        for line in note.data.decode().splitlines()
    ]


def _moments(notes: list[Note], count: int, rng: random.Random) -> list[int]:
    """Anywhere after the tables stand, half of them right after an acknowledgement."""
    acknowledged = [at + 1 for at, _ in _acknowledgements(notes)]
    anywhere = range(acknowledged[0], len(notes) + 1)
    return [rng.choice(acknowledged) if number % 2 else rng.choice(anywhere) for number in range(count)]


def _survivors(cut: Cut, folder: Path) -> Iterator[str]:
    """Control ids of the messages that are there in full: memory, appointment and both outbox rows."""
    folder.mkdir()
    for name, content in cut.files.items():
        (folder / name).write_bytes(content)
    conn = sqlite3.connect(folder / DATABASE)
    try:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        yield from (
            msh10
            for (msh10,) in conn.execute(
                "SELECT m.msh10 FROM messages m JOIN appointments a ON a.reference = 'R' || substr(m.msh10, 2)"
                " WHERE (SELECT count(*) FROM outbox o WHERE o.appointment = a.id) = 2"
            )
        )
    finally:
        conn.close()


def _cut_again_and_again(notes: list[Note], tally: Tally, place: Path) -> tuple[int, int]:
    """How many acknowledged messages were lost, of how many, over all cuts."""
    rng = random.Random(_SEED)
    acknowledged = _acknowledgements(notes)
    lost = texts = 0
    cuts = power_cuts(notes, at=_moments(notes, tally.fault.rounds, rng), rng=rng)
    for number, cut in zip(tally.rounds(), cuts, strict=True):
        before = {control_id for at, control_id in acknowledged if at < cut.at}
        lost += len(before - set(_survivors(cut, place / f"cut-{number}")))
        texts += len(before)
    return lost, texts


@pytest.mark.faults("F3")
def test_an_acknowledged_message_survives_a_power_cut(disk: Disk, tally: Tally, tmp_path: Path) -> None:
    lost, texts = _cut_again_and_again(_run(disk), tally, tmp_path)
    tally.seen.update({"acknowledged": texts, "lost": lost})
    assert lost == 0


@pytest.mark.faults("F3", proof=True)
def test_the_harness_sees_what_synchronous_normal_loses(disk: Disk, tally: Tally, tmp_path: Path) -> None:
    lost, _ = _cut_again_and_again(_run(disk, "NORMAL"), tally, tmp_path)
    tally.seen["lost with synchronous=NORMAL"] = lost
    assert lost > 0
