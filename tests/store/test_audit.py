"""The audit chain: what was altered, removed, cut off or rewritten is found, with and without heads that were noted elsewhere."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, update

from store import audit
from store.audit import AuditAction, AuditFilter, Author
from store.engine import Store
from store.instants import to_microseconds
from store.tables import audit as audit_table
from store.tables import meta
from tests.store.samples import NOW

SECOND = timedelta(seconds=1)
ANN = Author(who="cli:ann", origin="host=clinic uid=1000 tty=/dev/pts/3")
HOUSE = Author(who="housekeeping", origin="node=n1")


def _append(store: Store, *subjects: str, at: timedelta = timedelta()) -> None:
    with store.write() as conn:
        for subject in subjects:
            audit.append(
                conn, ANN, AuditAction.HOLD_PLACE, subject=subject, environment="test", after="on", at=NOW + at
            )


def test_an_untouched_chain_holds(store: Store) -> None:
    _append(store, "one", "two", "three")
    with store.read() as conn:
        verdict = audit.verify(conn)
        assert (verdict.entries, verdict.first, verdict.broken_at, verdict.why) == (3, 1, None, None)
        assert verdict.head == audit.head(conn)
        assert verdict.head.seq == 3
        [two] = audit.entries(conn, AuditFilter(subject="two"))
        assert (two.seq, two.actor, two.origin, two.environment) == (2, ANN.who, ANN.origin, "test")


@pytest.mark.parametrize(
    ("statement", "broken_at", "why"),
    [
        (update(audit_table).where(audit_table.c.seq == 2).values(actor="cli:bob"), 2, "altered"),
        (update(audit_table).where(audit_table.c.seq == 2).values(origin="host=other"), 2, "altered"),
        (update(audit_table).where(audit_table.c.seq == 2).values(origin=None), 2, "altered"),
        (update(audit_table).where(audit_table.c.seq == 2).values(environment=None), 2, "altered"),
        (update(audit_table).where(audit_table.c.seq == 1).values(at=NOW + SECOND), 1, "altered"),
        (delete(audit_table).where(audit_table.c.seq == 2), 2, "missing"),
        (delete(audit_table).where(audit_table.c.seq == 1), 1, "missing"),
        (delete(audit_table).where(audit_table.c.seq == 3), 3, "end_missing"),
        (delete(audit_table), 1, "end_missing"),
    ],
)
def test_tampering_is_found(store: Store, statement: object, broken_at: int, why: str) -> None:
    _append(store, "one", "two", "three")
    with store.write() as conn:
        conn.execute(statement)  # type: ignore[call-overload]
    with store.read() as conn:
        verdict = audit.verify(conn)
        assert (verdict.broken_at, verdict.why) == (broken_at, why)


def _rewrite(store: Store, subjects: list[str]) -> None:
    """What somebody does who can write the database and knows the chain: a new one, with its head."""
    with store.write() as conn:
        conn.execute(delete(audit_table))
        conn.execute(delete(meta).where(meta.c.name.like("audit%")))
    _append(store, *subjects)


@pytest.mark.parametrize(
    ("subjects", "broken_at", "why"),
    [(["one", "other", "three"], 2, "rewritten"), (["one"], 2, "end_missing"), ([], 1, "end_missing")],
)
def test_only_a_head_noted_elsewhere_shows_a_chain_that_was_made_anew(
    store: Store, subjects: list[str], broken_at: int, why: str
) -> None:
    _append(store, "one", "two", "three")
    with store.read() as conn:
        anchors = {entry.seq: entry.hash for entry in audit.entries(conn)}
        assert audit.verify(conn, anchors).broken_at is None
    _rewrite(store, subjects)
    with store.read() as conn:
        assert audit.verify(conn).broken_at is None
        verdict = audit.verify(conn, {seq: anchors[seq] for seq in (2, 3)})
        expected = broken_at if subjects != [] else 1
        assert (verdict.broken_at, verdict.why) == (expected, why)


def test_old_entries_go_and_the_rest_says_where_it_begins(store: Store) -> None:
    _append(store, "old 1", "old 2")
    with store.read() as conn:
        anchors = {entry.seq: entry.hash for entry in audit.entries(conn)}
    _append(store, "new", at=timedelta(days=10))
    with store.write() as conn:
        assert audit.prune(conn, HOUSE, before=NOW + timedelta(days=1), at=NOW + timedelta(days=10)) == 2
        assert audit.prune(conn, HOUSE, before=NOW + timedelta(days=1), at=NOW + timedelta(days=10)) == 0
    with store.read() as conn:
        verdict = audit.verify(conn, anchors)
        assert (verdict.entries, verdict.first, verdict.broken_at) == (2, 3, None)
        last = list(audit.entries(conn))[-1]
        assert (last.action, last.actor, last.subject, last.after) == ("audit.prune", "housekeeping", "2", anchors[2])
    with store.write() as conn:  # the entry about a removal goes in its time too
        assert audit.prune(conn, HOUSE, before=NOW + timedelta(days=11), at=NOW + timedelta(days=12)) == 2
    with store.read() as conn:
        verdict = audit.verify(conn)
        assert (verdict.entries, verdict.first, verdict.broken_at) == (1, 5, None)


def test_a_beginning_that_nobody_pruned_is_missed(store: Store) -> None:
    """The chain is made to begin later, and its start with it: no entry says that it was pruned."""
    _append(store, "one", "two", "three")
    with store.write() as conn:
        [first] = [entry for entry in audit.entries(conn) if entry.seq == 1]
        conn.execute(delete(audit_table).where(audit_table.c.seq == 1))
        conn.execute(insert(meta).values(name="audit_start", value=f"1:{first.hash}"))
    with store.read() as conn:
        verdict = audit.verify(conn)
        assert (verdict.broken_at, verdict.why) == (1, "start_missing")


def test_entries_of_version_0_1_keep_their_hashes(store: Store) -> None:
    content = ["0" * 64, 1, to_microseconds(NOW), "cli:ann", "hold.place", "all", None, "drill"]
    digest = hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()
    with store.write() as conn:
        conn.execute(
            insert(audit_table).values(
                seq=1, at=NOW, actor="cli:ann", action="hold.place", subject="all", after="drill", hash=digest
            )
        )
        conn.execute(insert(meta).values(name="audit_head", value=f"1:{digest}"))
    _append(store, "two")
    with store.read() as conn:
        verdict = audit.verify(conn)
        assert (verdict.entries, verdict.broken_at) == (2, None)


@pytest.mark.parametrize(
    ("only", "subjects"),
    [
        (AuditFilter(who="ann"), ["a", "b"]),
        (AuditFilter(who="cli:ann"), ["a", "b"]),
        (AuditFilter(who="nn"), []),
        (AuditFilter(action="optout"), ["b", "c"]),
        (AuditFilter(action="optout.add"), ["b"]),
        (AuditFilter(action="opt"), []),
        (AuditFilter(environment="test"), ["c"]),
        (AuditFilter(since=NOW + SECOND), ["c"]),
    ],
)
def test_a_filter_takes_whole_words(store: Store, only: AuditFilter, subjects: list[str]) -> None:
    with store.write() as conn:
        audit.append(conn, ANN, AuditAction.HOLD_PLACE, subject="a", at=NOW)
        audit.append(conn, ANN, AuditAction.OPTOUT_ADD, subject="b", at=NOW)
        audit.append(conn, HOUSE, AuditAction.OPTOUT_REMOVE, subject="c", environment="test", at=NOW + SECOND)
    with store.read() as conn:
        assert [entry.subject for entry in audit.entries(conn, only)] == subjects


def test_every_action_has_its_meaning() -> None:
    assert set(audit.MEANINGS) == set(AuditAction)


@pytest.mark.parametrize("scan", [1, 3, 5000])
def test_pages_of_the_newest_entries_lose_none(store: Store, scan: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "SCAN", scan)
    author = Author(who="portal:kim", origin="address=203.0.113.7")
    with store.write() as conn:
        for number in range(10):
            action = AuditAction.OPTOUT_ADD if number % 3 else AuditAction.HOLD_PLACE
            audit.append(conn, author, action, subject=str(number), at=NOW)
    for only, wanted in (
        (None, range(10)),
        (AuditFilter(action="hold"), range(0, 10, 3)),
        (AuditFilter(who="sam"), ()),
    ):
        walked: list[str] = []
        before: int | None = None
        with store.read() as conn:
            for _ in range(20):
                entries, before = audit.latest(conn, only, before=before, limit=2)
                walked += [entry.subject for entry in entries]
                if before is None:
                    break
        assert walked == [str(number) for number in reversed(wanted)]


def test_the_newest_entries_end_where_old_ones_were_pruned(store: Store) -> None:
    author = Author(who="housekeeping", origin="node=a")
    with store.write() as conn:
        for number in range(4):
            audit.append(conn, author, AuditAction.PURGE, subject=str(number), at=NOW + timedelta(days=number))
        audit.prune(conn, author, before=NOW + timedelta(days=2), at=NOW + timedelta(days=5))
    with store.read() as conn:
        entries, before = audit.latest(conn, limit=50)
    assert ([entry.seq for entry in entries], before) == ([5, 4, 3], None)
