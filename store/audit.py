"""The audit log: who changed or looked at what, from where, and when. Append-only; it never holds patient data.

Each entry's hash covers its content and the hash before it (`hashed_text`; docs/reference/audit.md says how to check it without
Carebell). So `verify` finds an entry that was altered, removed or inserted. With the head in `meta` it also finds entries that are
missing at the end. Somebody who can write the database can forge both: heads that were noted elsewhere show that (`verify`'s
`anchors`; the service writes each new head into its log).

Old entries are removed by `prune`. It records the last removed entry's number and hash as an entry of its own, so the rest of the
chain says where it begins and since when.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Literal

from sqlalchemy import Connection, Select, delete, func, select, update

from store.instants import to_microseconds
from store.tables import audit, meta
from store.upsert import insert_into

_HEAD: Final = "audit_head"
_START: Final = "audit_start"
BEGINNING: Final = "0" * 64
"""The hash before the first entry."""
RESTORED: Final = "the database was restored"
"""How the reason begins of a hold that the service places because it found an older database."""
_PAGE: Final = 500
SCAN: Final = 5_000
"""Entries that one page looks at."""


class AuditAction(StrEnum):
    """What was done; stable."""

    SERVICE_START = "service.start"
    SERVICE_STOP = "service.stop"
    CONFIG_ACTIVATE = "config.activate"
    CONFIG_WRITE = "config.write"
    CONFIG_CHANGE = "config.change"
    CONFIG_PATCH = "config.patch"
    CERTIFICATE_ADD = "certificate.add"
    CERTIFICATE_REMOVE = "certificate.remove"
    HOLD_PLACE = "hold.place"
    HOLD_RELEASE = "hold.release"
    BREAKER_OPEN = "breaker.open"
    BREAKER_CLOSE = "breaker.close"
    OPTOUT_ADD = "optout.add"
    OPTOUT_REMOVE = "optout.remove"
    WRITEBACK_RETRY = "writeback.retry"
    REPLY_DONE = "reply.done"
    PURGE = "purge"
    KEYS_ROTATE = "keys.rotate"
    KEYS_DROP = "keys.drop"
    DB_BACKUP = "db.backup"
    DB_UPGRADE = "db.upgrade"
    DB_DOWNGRADE = "db.downgrade"
    NUMBERS_BUY = "numbers.buy"
    NUMBERS_LINK = "numbers.link"
    VISIT_LET_IN = "visit.let_in"
    VISIT_PUT_OFF = "visit.put_off"
    VISIT_LINK = "visit.link"
    VISIT_REVOKE = "visit.revoke"
    TRACE = "trace"
    NUMBER_SEARCH = "number.search"
    VIEW_OUTBOX = "view.outbox"
    VIEW_APPOINTMENTS = "view.appointments"
    RECORD_EXPORT = "record.export"
    REPORT_EXPORT = "report.export"
    LOG_EXPORT = "log.export"
    AUDIT_EXPORT = "audit.export"
    AUDIT_PRUNE = "audit.prune"
    APPROVAL_ASK = "approval.ask"
    APPROVAL_PROVE = "approval.prove"
    APPROVAL_APPROVE = "approval.approve"
    APPROVAL_SEND_BACK = "approval.send_back"
    SIGN_IN = "sign_in"
    SIGN_IN_FAIL = "sign_in.fail"
    SIGN_IN_LOCK = "sign_in.lock"
    SIGN_IN_CONFIRM = "sign_in.confirm"
    SIGN_OUT = "sign_out"
    PAGE_DENIED = "page.denied"
    PERSON_INVITE = "person.invite"
    PERSON_SET_UP = "person.set_up"
    PERSON_ROLE = "person.role"
    PERSON_DISABLE = "person.disable"
    PERSON_ENABLE = "person.enable"
    PERSON_UNLOCK = "person.unlock"
    PERSON_SIGN_OUT = "person.sign_out"
    PERSON_PASSWORD = "person.password"  # noqa: S105 (the name of an act)
    PERSON_SECOND_FACTOR = "person.second_factor"


MEANINGS: Final[Mapping[AuditAction, str]] = {
    AuditAction.SERVICE_START: "the service started on a node; after: its version, roles and configuration",
    AuditAction.SERVICE_STOP: "the service ended on a node; after: why",
    AuditAction.CONFIG_ACTIVATE: "a configuration took effect; before and after: its version",
    AuditAction.CONFIG_WRITE: "somebody wrote carebell.yaml with `config set`, `config restore` or the portal, or the service "
    "wrote what was saved on another node; before and after: its version",
    AuditAction.CONFIG_CHANGE: "one key of it changed; subject: the key; before and after: its value, `changed` for a secret or a "
    "telephone number",
    AuditAction.CONFIG_PATCH: "somebody downloaded a proposed change of carebell.yaml as a patch, which may hold numbers; "
    "subject: the proposal",
    AuditAction.CERTIFICATE_ADD: "a sender's certificate came into use; subject: its thumbprint",
    AuditAction.CERTIFICATE_REMOVE: "a sender's certificate is used no more; subject: its thumbprint",
    AuditAction.HOLD_PLACE: "texts were held; after: the reason. Who `service`: it found a restored database",
    AuditAction.HOLD_RELEASE: "texts are sent again",
    AuditAction.BREAKER_OPEN: "the gateway refused an account or a sender, so sending stopped by itself; after: its code",
    AuditAction.BREAKER_CLOSE: "sending resumed, by itself or by `release`; before: the code",
    AuditAction.OPTOUT_ADD: "a number must not be texted; after: the sender",
    AuditAction.OPTOUT_REMOVE: "a number may be texted again; before: the sender",
    AuditAction.WRITEBACK_RETRY: "something is sent back to the EHR after all; before: its state",
    AuditAction.REPLY_DONE: "somebody saw to a patient's reply, and it waits no more; subject: the reply; before: its kind",
    AuditAction.PURGE: "numbers were deleted; after: how many. Who `housekeeping`: the sum of an hour",
    AuditAction.KEYS_ROTATE: "the master key was replaced",
    AuditAction.KEYS_DROP: "day keys that no key could unwrap were deleted",
    AuditAction.DB_BACKUP: "the database was copied; after: the file, or that it was done by other means",
    AuditAction.DB_UPGRADE: "the tables were brought to another version",
    AuditAction.DB_DOWNGRADE: "the tables were brought back to an older version, for an older program",
    AuditAction.NUMBERS_BUY: "a number was bought at the gateway",
    AuditAction.NUMBERS_LINK: "a number at the gateway was linked; after: to what",
    AuditAction.VISIT_LET_IN: "somebody was let into a video visit; subject: the appointment",
    AuditAction.VISIT_PUT_OFF: "somebody in the waiting room was asked for more minutes; subject: the appointment",
    AuditAction.VISIT_LINK: "a join link was made; subject: the appointment; after: for whom",
    AuditAction.VISIT_REVOKE: "a join link was revoked; subject: the appointment; before: whose it was",
    AuditAction.TRACE: "somebody looked at an appointment's life; subject: its id, a message's control id, or a masked number",
    AuditAction.NUMBER_SEARCH: "somebody searched where a number is stored",
    AuditAction.VIEW_OUTBOX: "somebody listed texts with masked numbers; after: how many",
    AuditAction.VIEW_APPOINTMENTS: "somebody listed appointments with masked numbers; after: how many",
    AuditAction.RECORD_EXPORT: "somebody downloaded an environment's integration records; after: their check codes",
    AuditAction.REPORT_EXPORT: "somebody read or exported the report of texts; after: how many rows",
    AuditAction.LOG_EXPORT: "somebody saved lines of the service's log from the portal; subject: which",
    AuditAction.AUDIT_EXPORT: "somebody exported this log; after: how many entries",
    AuditAction.APPROVAL_ASK: "what an environment is connected to must be approved, and was not; its texts wait; subject: the "
    "beginning of the facts' fingerprint",
    AuditAction.APPROVAL_PROVE: "somebody proved access to an environment's EHR; after: how",
    AuditAction.APPROVAL_APPROVE: "an approver approved what an environment is connected to; its texts leave again",
    AuditAction.APPROVAL_SEND_BACK: "an approver sent it back; after: why",
    AuditAction.SIGN_IN: "somebody signed in to the portal; after: how: `password`, `password and code`, `link`, or the address of "
    "the provider",
    AuditAction.SIGN_IN_FAIL: "a sign-in to the portal was refused; after: why. Attempts that came too soon are not looked at, and "
    "not recorded",
    AuditAction.SIGN_IN_LOCK: "so many sign-ins of one user name failed in a row that it is locked where it never signed in before",
    AuditAction.SIGN_IN_CONFIRM: "somebody gave the password or a code again before an act that is hard to undo; after: whether it "
    "was right",
    AuditAction.SIGN_OUT: "somebody signed out of the portal, or ended other sessions of theirs; after: how many",
    AuditAction.PAGE_DENIED: "somebody asked the portal for what their role may not; subject: the page",
    AuditAction.PERSON_INVITE: "a set-up link was made; subject: for whom; after: the role",
    AuditAction.PERSON_SET_UP: "somebody used a set-up link; after: what was set up",
    AuditAction.PERSON_ROLE: "somebody's role or environments changed; before and after: both",
    AuditAction.PERSON_DISABLE: "somebody was switched off and signed out everywhere",
    AuditAction.PERSON_ENABLE: "somebody may sign in again",
    AuditAction.PERSON_UNLOCK: "a user name that was locked after too many failures may be tried again",
    AuditAction.PERSON_SIGN_OUT: "an administrator ended all of somebody's sessions; after: how many",
    AuditAction.PERSON_PASSWORD: "somebody changed their own password",
    AuditAction.PERSON_SECOND_FACTOR: "somebody's new second factor counts; after: which kind",
    AuditAction.AUDIT_PRUNE: "entries older than `audit.keep` were deleted; subject: the last one; after: its hash",
}
"""For docs/reference/audit.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who acts.

    Attributes:
        who: `cli:<account>`, `portal:<user name>`, `file:<owner of carebell.yaml>`, `service`, `gateway`, `housekeeping`.
        origin: from where: `host=clinic-a uid=1000 tty=/dev/pts/3`, `peer=192.0.2.7`, `node=clinic-a-812`.
    """

    who: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Attributes:
    seq: 1, 2, 3 ...
    actor: who did it (`Author.who`). origin: from where (`Author.origin`); None: written before version 0.2.
    action: an `AuditAction`; text, because a newer version may know more.
    environment: the one that it concerns; None: all, or none.
    subject: what it was done to: a sender, a key of the configuration, a masked number.
    before, after: the change in short; None if it has no such value.
    """

    seq: int
    at: datetime
    actor: str
    origin: str | None
    action: str
    environment: str | None
    subject: str
    before: str | None
    after: str | None
    hash: str


Break = Literal["altered", "missing", "end_missing", "start_missing", "rewritten"]
"""How a chain is broken: the entry's hash is wrong; entries before it are missing; entries at the end are missing; it begins
later than it says; a head that was noted elsewhere has another hash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest entry's number and hash."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainVerdict:
    """Attributes:
    entries: how many were read. first: number of the first one; 1 unless old ones were pruned.
    broken_at: `seq` of the first entry that is wrong; for missing ones of the first missing; None: the chain is intact.
    why: how it is broken.
    head: the newest entry that was read.
    anchors: how many heads noted elsewhere were compared.
    """

    entries: int
    first: int = 1
    broken_at: int | None
    why: Break | None = None
    head: Head = field(default=Head(seq=0, hash=BEGINNING))
    anchors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries to read; None: all.

    Attributes:
        since, until: instants; `until` itself is not part.
        who: `cli:ann`, or without its first part `ann`.
        action: `optout.add`, or all that begin with `optout`.
    """

    since: datetime | None = None
    until: datetime | None = None
    who: str | None = None
    action: str | None = None
    environment: str | None = None
    subject: str | None = None


def append(
    conn: Connection,
    author: Author,
    action: AuditAction,
    *,
    subject: str,
    environment: str | None = None,
    before: str | None = None,
    after: str | None = None,
    at: datetime,
) -> AuditEntry:
    """Add an entry in the transaction of the change that it records. Writers wait for each other at the head."""
    last = lock(conn)
    values = {
        "seq": last.seq + 1,
        "at": at.astimezone(UTC),
        "actor": author.who,
        "origin": author.origin,
        "action": action.value,
        "environment": environment,
        "subject": subject,
        "before": before,
        "after": after,
    }
    unsealed = AuditEntry(**values, hash="")  # type: ignore[arg-type]
    digest = _digest(last.hash, unsealed)
    conn.execute(audit.insert().values(**values, hash=digest))
    conn.execute(update(meta).where(meta.c.name == _HEAD).values(value=f"{unsealed.seq}:{digest}"))
    return AuditEntry(**values, hash=digest)  # type: ignore[arg-type]


def lock(conn: Connection) -> Head:
    """The head, locked until the transaction ends, so that no other writer comes between a look and what follows from it."""
    conn.execute(insert_into(conn, meta).values(name=_HEAD, value=f"0:{BEGINNING}").on_conflict_do_nothing())
    return _head(conn, locked=True)


def entries(conn: Connection, only: AuditFilter | None = None) -> Generator[AuditEntry, None, None]:
    """The entries in order."""
    with conn.execute(_selected(only or AuditFilter()), execution_options={"yield_per": _PAGE}) as result:
        for row in result.mappings():
            yield AuditEntry(**row)


def latest(
    conn: Connection, only: AuditFilter | None = None, *, before: int | None = None, limit: int
) -> tuple[list[AuditEntry], int | None]:
    """A page of entries, the newest first, and where the next page begins (None: this is the last one).

    A page looks at `SCAN` entries at most, so it may hold fewer than `limit`, and go on nevertheless.

    Args:
        before: the number before which the page ends; None: at the newest entry.
    """
    of = audit.c
    newest = head(conn).seq if before is None else before - 1
    oldest = max(newest - SCAN, start_of(conn).seq)
    wanted = _selected(only or AuditFilter()).where(of.seq <= newest, of.seq > oldest)
    rows = conn.execute(wanted.order_by(None).order_by(of.seq.desc()).limit(limit + 1)).mappings()
    entries_there = [AuditEntry(**row) for row in rows]
    if len(entries_there) > limit:
        return entries_there[:limit], entries_there[limit - 1].seq
    return entries_there, oldest + 1 if oldest > start_of(conn).seq else None


def has_activated(conn: Connection, version: str, *, since: datetime) -> bool:
    """Whether a service put this version of the configuration in force since then."""
    of = audit.c
    wanted = (
        select(of.seq).where(of.action == AuditAction.CONFIG_ACTIVATE, of.after == version, of.at >= since).limit(1)
    )
    return conn.execute(wanted).first() is not None


def head(conn: Connection) -> Head:
    """The newest entry's number and hash; (0, zeros) before the first."""
    return _head(conn, locked=False)


def verify(conn: Connection, anchors: Mapping[int, str] | None = None) -> ChainVerdict:
    """Check the whole chain.

    Args:
        anchors: number -> hash of heads that were noted elsewhere. Those of pruned entries are not compared.
    """
    start = start_of(conn)
    noted = {seq: digest for seq, digest in (anchors or {}).items() if seq >= max(start.seq, 1)}
    count, previous, begun_honestly = 0, start, start.seq == 0

    def broken(seq: int, why: Break) -> ChainVerdict:
        return ChainVerdict(
            entries=count, first=start.seq + 1, broken_at=seq, why=why, head=previous, anchors=len(noted)
        )

    if noted.get(start.seq, start.hash) != start.hash:
        return broken(start.seq, "rewritten")
    with closing(entries(conn)) as chain:
        for entry in chain:
            count += 1
            expected = previous.seq + 1
            if entry.seq != expected:
                return broken(expected, "missing")
            if entry.hash != _digest(previous.hash, entry):
                return broken(entry.seq, "altered")
            if noted.get(entry.seq, entry.hash) != entry.hash:
                return broken(entry.seq, "rewritten")
            previous = Head(seq=entry.seq, hash=entry.hash)
            if entry.action == AuditAction.AUDIT_PRUNE and (entry.subject, entry.after) == (
                str(start.seq),
                start.hash,
            ):
                begun_honestly = True
    if not begun_honestly:
        return broken(1, "start_missing")
    if _head(conn, locked=False) != previous or max(noted, default=0) > previous.seq:
        return broken(previous.seq + 1, "end_missing")
    return ChainVerdict(entries=count, first=start.seq + 1, broken_at=None, why=None, head=previous, anchors=len(noted))


def prune(conn: Connection, author: Author, *, before: datetime, at: datetime) -> int:
    """Delete the oldest entries that are all older than `before`, and record that; how many were deleted."""
    of = audit.c
    lock(conn)
    kept = conn.execute(select(func.min(of.seq)).where(of.at >= before)).scalar_one()
    old = select(of.seq, of.hash).order_by(of.seq.desc()).limit(1)
    last = conn.execute(old if kept is None else old.where(of.seq < kept)).first()
    if last is None:
        return 0
    checkpoint = Head(seq=last.seq, hash=last.hash)
    append(conn, author, AuditAction.AUDIT_PRUNE, subject=str(checkpoint.seq), after=checkpoint.hash, at=at)
    gone = conn.execute(delete(audit).where(of.seq <= checkpoint.seq)).rowcount
    conn.execute(insert_into(conn, meta).values(name=_START, value="").on_conflict_do_nothing())
    value = f"{checkpoint.seq}:{checkpoint.hash}"
    conn.execute(update(meta).where(meta.c.name == _START).values(value=value))
    return gone


def hashed_text(previous: str, entry: AuditEntry) -> str:
    """The text whose SHA-256 is the entry's hash: a JSON array in ASCII that begins with the hash before it.

    Entries from before version 0.2 have no origin and no environment, and write the time in microseconds since 1970.
    """
    if entry.origin is None:
        first = [previous, entry.seq, to_microseconds(entry.at), entry.actor, entry.action, entry.subject]
        return json.dumps([*first, entry.before, entry.after], ensure_ascii=True)
    content = [
        previous,
        entry.seq,
        exact(entry.at),
        entry.actor,
        entry.origin,
        entry.action,
        entry.environment,
        entry.subject,
        entry.before,
        entry.after,
    ]
    return json.dumps(content, ensure_ascii=True, separators=(",", ":"))


def exact(instant: datetime) -> str:
    """`2026-03-02T15:04:00.000000Z`."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def start_of(conn: Connection) -> Head:
    """The last pruned entry's number and hash; (0, zeros) if none was pruned."""
    return _read_head(conn.execute(select(meta.c.value).where(meta.c.name == _START)).scalar_one_or_none())


def _head(conn: Connection, *, locked: bool) -> Head:
    wanted = select(meta.c.value).where(meta.c.name == _HEAD)
    return _read_head(conn.execute(wanted.with_for_update() if locked else wanted).scalar_one_or_none())


def _read_head(value: str | None) -> Head:
    if value is None:
        return Head(seq=0, hash=BEGINNING)
    seq, _, digest = value.partition(":")
    return Head(seq=int(seq), hash=digest)


def _selected(only: AuditFilter) -> Select[tuple[object, ...]]:
    of = audit.c
    wanted: Select[tuple[object, ...]] = select(audit).order_by(of.seq)
    if only.since is not None:
        wanted = wanted.where(of.at >= only.since)
    if only.until is not None:
        wanted = wanted.where(of.at < only.until)
    if only.who is not None:
        wanted = wanted.where((of.actor == only.who) | of.actor.endswith(f":{only.who}", autoescape=True))
    if only.action is not None:
        wanted = wanted.where((of.action == only.action) | of.action.startswith(f"{only.action}.", autoescape=True))
    if only.environment is not None:
        wanted = wanted.where(of.environment == only.environment)
    if only.subject is not None:
        wanted = wanted.where(of.subject == only.subject)
    return wanted


def _digest(previous: str, entry: AuditEntry) -> str:
    return hashlib.sha256(hashed_text(previous, entry).encode("ascii")).hexdigest()
