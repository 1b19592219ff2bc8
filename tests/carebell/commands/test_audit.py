"""`audit`: what an auditor reads, checks and takes along, and what they find of somebody who writes the database directly."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from store import audit, schema
from store.audit import RESTORED, AuditAction, Author
from store.engine import Store, Transaction, open_store
from store.tables import audit as audit_table
from store.tables import meta
from tests.carebell.conftest import Carebell

ANN = Author(who="cli:ann", origin="host=clinic uid=1000")
SERVICE = Author(who="service", origin="node=n1")
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


def _with(configuration: Path, act: Callable[[Transaction], None]) -> None:
    store = open_store(f"sqlite:///{configuration.with_name('carebell.db')}")
    with closing(store), store.write() as conn:
        act(conn)


BETWEEN = [(ANN, AuditAction.VIEW_OUTBOX), (SERVICE, AuditAction.DB_UPGRADE)]


@pytest.fixture
def audited(configuration: Path) -> Path:
    """Three entries, whose heads the service has written into its log."""
    store = open_store(f"sqlite:///{configuration.with_name('carebell.db')}")
    with closing(store):
        schema.upgrade(store)
        _append(store, configuration, ANN, AuditAction.HOLD_PLACE, after="=cmd|' /C calc'!A0", environment="test")
        _append(store, configuration, ANN, AuditAction.OPTOUT_ADD, subject="***0143", after="+14255550100")
        _append(store, configuration, SERVICE, AuditAction.SERVICE_START, subject="n1")
    return configuration


def _append(
    store: Store,
    configuration: Path,
    author: Author,
    action: AuditAction,
    *,
    subject: str = "all",
    environment: str | None = None,
    after: str | None = None,
    at: datetime = NOW,
) -> None:
    with store.write() as conn:
        entry = audit.append(conn, author, action, subject=subject, environment=environment, after=after, at=at)
    line = {"time": audit.exact(at), "level": "info", "event": "audit_head", "seq": entry.seq, "hash": entry.hash}
    with configuration.with_name("carebell.log").open("a") as log:
        log.write(json.dumps(line) + "\n")


def test_an_entry_says_who_what_and_from_where(carebell: Carebell, audited: Path) -> None:
    first = carebell("-c", audited, "audit", "--json").rows[0]
    assert list(first) == ["seq", "time", "who", "from", "what", "environment", "subject", "before", "after", "hash"]
    assert [first[key] for key in ("seq", "time", "who", "from", "what", "environment")] == [
        1, "2026-03-02T08:00:00.000000Z", "cli:ann", "host=clinic uid=1000", "hold.place", "test",
    ]  # fmt: skip
    shown = carebell("-c", audited, "audit").out
    assert "2026-03-02 08:00:00" in shown
    assert "optout.add" in shown


@pytest.mark.parametrize(
    ("words", "seqs"),
    [
        ("--who ann", [1, 2]),
        ("--what optout", [2]),
        ("--environment test", [1]),
        ("--who ann --what service", []),
        ("--since 2026-03-02", [1, 2, 3]),
        ("--since 1h", []),
    ],
)
def test_entries_are_selected(carebell: Carebell, audited: Path, words: str, seqs: list[int]) -> None:
    assert [row["seq"] for row in carebell("-c", audited, "audit", *words.split(), "--json").rows] == seqs


def test_a_wrong_time_is_a_wrong_call(carebell: Carebell, audited: Path) -> None:
    ended = carebell("-c", audited, "audit", "--since", "soon")
    assert (ended.code, ended.sentence) == (
        2, "--since: 'soon' is neither a duration such as 7d nor a date such as 2026-03-02",
    )  # fmt: skip


def test_an_unbroken_chain_answers_0(carebell: Carebell, audited: Path) -> None:
    ended = carebell("-c", audited, "audit", "verify", "--json")
    [row] = ended.rows
    assert ended.code == 0
    assert (row["intact"], row["entries"], row["broken_at"], row["compared"]) == (True, 3, None, 3)
    assert "unbroken: 3 entries (1 to 3)" in carebell("-c", audited, "audit", "verify").out


def _cut(conn: Transaction) -> None:
    """Cut the end off, as somebody does who knows where the head stands."""
    conn.execute(delete(audit_table).where(audit_table.c.seq == 3))
    [last] = [entry for entry in audit.entries(conn) if entry.seq == 2]
    conn.execute(update(meta).where(meta.c.name == "audit_head").values(value=f"2:{last.hash}"))


def _make_anew(conn: Transaction) -> None:
    conn.execute(delete(audit_table))
    conn.execute(delete(meta).where(meta.c.name.like("audit%")))
    for subject in ("all", "other", "n1", "n2"):
        audit.append(conn, ANN, AuditAction.HOLD_PLACE, subject=subject, at=NOW)


def _alter(conn: Transaction) -> None:
    conn.execute(update(audit_table).where(audit_table.c.seq == 2).values(actor="cli:bob"))


@pytest.mark.parametrize(
    ("tamper", "seq", "why"),
    [(_alter, 2, "altered"), (_cut, 3, "end_missing"), (_make_anew, 1, "rewritten")],
)
def test_a_broken_chain_answers_1_with_the_first_bad_entry(
    carebell: Carebell, audited: Path, tamper: Callable[[Transaction], None], seq: int, why: str
) -> None:
    _with(audited, tamper)
    ended = carebell("-c", audited, "audit", "verify", "--json")
    [row] = ended.rows
    assert (ended.code, row["intact"], row["broken_at"], row["why"]) == (1, False, seq, why)
    assert carebell("-c", audited, "audit", "verify").out.startswith(f"broken at entry {seq}: ")


def test_a_noted_head_shows_what_log_and_database_together_hide(carebell: Carebell, audited: Path) -> None:
    """Whoever can write both leaves no trace but in a head that somebody else noted."""
    [row] = carebell("-c", audited, "audit", "verify", "--json").rows
    _with(audited, _cut)
    audited.with_name("carebell.log").unlink()
    assert carebell("-c", audited, "audit", "verify").code == 0
    ended = carebell("-c", audited, "audit", "verify", "--head", row["head"], "--json")
    assert (ended.code, ended.rows[0]["broken_at"], ended.rows[0]["why"]) == (1, 3, "end_missing")
    ended = carebell("-c", audited, "audit", "verify", "--head", "3")
    assert (ended.code, ended.sentence) == (2, "--head: '3' is not SEQ:HASH, as `carebell audit verify` prints it")


def test_a_restored_backup_is_told_from_tampering(carebell: Carebell, audited: Path) -> None:
    """The service that found the older database says so in the chain; what was lost stands in the log alone."""
    _with(audited, _cut)
    later = NOW + timedelta(days=1)

    def restored(conn: Transaction) -> None:
        audit.append(conn, SERVICE, AuditAction.HOLD_PLACE, subject="all", after=f"{RESTORED}: restored", at=later)

    _with(audited, restored)
    ended = carebell("-c", audited, "audit", "verify", "--json")
    assert (ended.code, ended.rows[0]["before_restore"], ended.rows[0]["compared"]) == (0, 1, 2)
    assert "lost when an older database was restored" in carebell("-c", audited, "audit", "verify").out.replace(
        "\n", " "
    )


@pytest.mark.parametrize(("author", "action"), BETWEEN)
def test_what_was_done_between_a_restore_and_the_start_is_no_tampering(
    author: Author, action: AuditAction, carebell: Carebell, audited: Path
) -> None:
    """Whoever restored a backup looked at it, or upgraded it, before the service started and found out."""
    _with(audited, _cut)
    later = NOW + timedelta(days=1)

    def restored(conn: Transaction) -> None:
        audit.append(conn, author, action, subject="all", at=later)
        audit.append(
            conn, SERVICE, AuditAction.HOLD_PLACE, subject="all", after=f"{RESTORED}: x", at=later + timedelta(hours=1)
        )

    _with(audited, restored)
    ended = carebell("-c", audited, "audit", "verify", "--json")
    assert (ended.code, ended.rows[0]["before_restore"], ended.rows[0]["compared"]) == (0, 1, 2), ended.out


def test_a_person_named_service_restores_nothing(carebell: Carebell, audited: Path) -> None:
    _with(audited, _cut)

    def forged(conn: Transaction) -> None:
        author = Author(who="cli:service", origin="host=clinic")
        after = f"{RESTORED}: or so I say"
        audit.append(conn, author, AuditAction.HOLD_PLACE, subject="all", after=after, at=NOW + timedelta(days=1))

    _with(audited, forged)
    assert carebell("-c", audited, "audit", "verify").code == 1


def test_an_export_is_checked_without_carebell(carebell: Carebell, audited: Path, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    ended = carebell("-c", audited, "audit", "export", "-o", file)
    assert (ended.code, ended.out, ended.err) == (0, "", f"{file}: 3 entries\n")
    previous = "0" * 64
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for row in rows:
        assert hashlib.sha256(row["hashed"].encode()).hexdigest() == row["hash"]
        assert json.loads(row["hashed"]) == [previous, *(row[key] for key in (
            "seq", "time", "who", "from", "what", "environment", "subject", "before", "after"))]  # fmt: skip
        previous = row["hash"]
    assert [row["seq"] for row in rows] == [1, 2, 3]
    again = carebell("-c", audited, "audit", "export", "-o", file)
    assert (again.code, again.sentence) == (1, f"{file}: exists already and is not overwritten; nothing was written")
    assert carebell("-c", audited, "audit", "--json").rows[-1]["what"] == "audit.export"


def test_a_spreadsheet_runs_nothing_of_an_export(carebell: Carebell, audited: Path) -> None:
    rows = list(csv.DictReader(StringIO(carebell("-c", audited, "audit", "export", "--csv").out)))
    assert rows[0]["after"] == "'=cmd|' /C calc'!A0"
    assert rows[1]["after"] == "'+14255550100"
    assert [row["seq"] for row in rows] == ["1", "2", "3"]


def test_a_broken_chain_is_exported_as_it_is(carebell: Carebell, audited: Path) -> None:
    _with(audited, _alter)
    ended = carebell("-c", audited, "audit", "export")
    assert (ended.code, len(ended.rows)) == (0, 3)
    assert ended.sentence == "warning: the chain is broken at entry 2; everything is exported as it is"


def test_the_auditor_needs_neither_configuration_nor_key(carebell: Carebell, audited: Path) -> None:
    audited.with_name("carebell.key").unlink()
    audited.write_text("storage: {url: sqlite:///carebell.db}\nenviroments: {}\n")
    assert [row["seq"] for row in carebell("-c", audited, "audit", "--json").rows] == [1, 2, 3]
    assert carebell("-c", audited, "audit", "verify").code == 0
