"""What a node's database holds, read without any code of ours (SQLite from a copy): the other side of a sender's ledger."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

FILES = ("carebell.db", "carebell.db-wal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Attributes:
    remembered: control ids whose answer is remembered. complete: those of them whose appointment and texts are there too.
    revisions: appointment number -> its revision. texts: appointment number -> rows in the outbox.
    confirmations: their state -> how many; they are due at once.
    """

    remembered: frozenset[str]
    complete: frozenset[str]
    revisions: Mapping[int, int]
    texts: Mapping[int, int]
    confirmations: Counter[str]


def read_rows(data: Path) -> Rows:
    """Of the SQLite database in this folder. Its integrity is asserted."""
    with tempfile.TemporaryDirectory(prefix="carebell-rows-") as copy:
        for name in FILES:
            if (data / name).exists():
                shutil.copy(data / name, copy)
        conn = sqlite3.connect(Path(copy) / FILES[0])
        try:
            assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return _rows(lambda query: conn.execute(query).fetchall())
        finally:
            conn.close()


def read_server_rows(url: str) -> Rows:
    """Of a PostgreSQL database; `url` as psycopg takes it."""
    with psycopg.connect(url) as conn:
        return _rows(lambda query: conn.execute(query.encode()).fetchall())


def _rows(ask: Callable[[str], Sequence[tuple[Any, ...]]]) -> Rows:
    remembered = {control_id for (control_id,) in ask("SELECT msh10 FROM messages")}
    appointments = ask("SELECT reference, revision FROM appointments")
    texts = Counter(_number(found) for (found,) in ask("SELECT reference FROM outbox"))
    revisions = {_number(reference): revision for reference, revision in appointments}
    assert len(revisions) == len(appointments), "an appointment is there twice"
    complete = {own for own in remembered if int(own[1:]) in revisions and texts[int(own[1:])] > 0}
    confirmations = Counter(state for (state,) in ask("SELECT state FROM outbox WHERE kind <> 'reminder'"))
    return Rows(
        remembered=frozenset(remembered), complete=frozenset(complete), revisions=revisions, texts=texts,
        confirmations=confirmations,
    )  # fmt: skip


def _number(reference: str) -> int:
    """`senders.Hospital` numbers its appointments; its ids end in P or F."""
    return int("".join(filter(str.isdigit, reference.split("^")[0])))


def texts_sent(file: Path) -> Counter[str]:
    """Outbox id -> how often the gateway was given it; none where the file is not there yet."""
    if not file.exists():
        return Counter()
    return Counter(json.loads(line)["id"] for line in file.read_text("utf-8").splitlines())
