"""What a node's SQLite database holds, read from a copy and without any code of ours: the other side of a sender's ledger."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILES = ("carebell.db", "carebell.db-wal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Attributes:
    remembered: control ids whose answer is remembered. complete: those of them whose appointment and texts are there too.
    revisions: appointment number -> its revision. texts: appointment number -> rows in the outbox.
    states: outbox state -> rows.
    """

    remembered: frozenset[str]
    complete: frozenset[str]
    revisions: Mapping[int, int]
    texts: Mapping[int, int]
    states: Counter[str]


def read_rows(data: Path) -> Rows:
    """Of the database in this folder. Its integrity is asserted."""
    with tempfile.TemporaryDirectory(prefix="carebell-rows-") as copy:
        for name in FILES:
            if (data / name).exists():
                shutil.copy(data / name, copy)
        conn = sqlite3.connect(Path(copy) / FILES[0])
        try:
            assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            remembered = {control_id for (control_id,) in conn.execute("SELECT msh10 FROM messages")}
            appointments = conn.execute("SELECT reference, revision FROM appointments").fetchall()
            texts = Counter(_number(found) for (found,) in conn.execute("SELECT reference FROM outbox"))
            states = Counter(state for (state,) in conn.execute("SELECT state FROM outbox"))
        finally:
            conn.close()
    revisions = {_number(reference): revision for reference, revision in appointments}
    assert len(revisions) == len(appointments), "an appointment is there twice"
    complete = {own for own in remembered if int(own[1:]) in revisions and texts[int(own[1:])] > 0}
    return Rows(
        remembered=frozenset(remembered), complete=frozenset(complete), revisions=revisions, texts=texts, states=states
    )


def _number(reference: str) -> int:
    """`senders.Hospital` numbers its appointments; its ids end in P or F."""
    return int("".join(filter(str.isdigit, reference.split("^")[0])))


def texts_sent(file: Path) -> Counter[str]:
    """Outbox id -> how often the gateway was given it; none where the file is not there yet."""
    if not file.exists():
        return Counter()
    return Counter(json.loads(line)["id"] for line in file.read_text("utf-8").splitlines())
