"""What one transaction reads and writes for a batch of verified messages.

    remembered = known(conn, messages)              # replays: the same answer, no second effect
    found = find(conn, vault, wanted, now)          # appointments and their rows, locked until the commit
    save(conn, vault, saves, memories, now)         # final states, once per appointment

Each function takes a list and runs a few statements, whatever the batch's size. If a batch has two messages of one appointment,
the caller applies both in memory; `save` gets the final state once, and all changes.

Two nodes on PostgreSQL: `find` locks the appointments in the order of their ids (READ COMMITTED with row locks rather than
SERIALIZABLE: conflicts wait instead of failing, and the claims take the same locks). If two nodes handle the same new
appointment or the same replay at once, the primary key makes the second transaction fail with IntegrityError. The committer
retries it message by message, and the retry finds what the first node wrote.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import Column, Connection, Table, bindparam, literal_column, select
from sqlalchemy.sql import ClauseElement, ColumnElement

from scheduler.appointment import Appointment
from scheduler.sms import PlannedRow, SmsState
from store import records, visit_links
from store.crypto import Undecipherable
from store.outbox_row import read_past
from store.prepared import Given, Prepared, PreparedRows, any_of, codec, insert_given, list_value, together
from store.records import Reader
from store.tables import aliases, appointments, messages, outbox
from store.vault import Vault


class MessageKey(NamedTuple):
    """Identifies a message: the environment, and MSH-3, MSH-4, MSH-10 as text (any one-to-one decoding of the bytes)."""

    environment: str
    msh3: str
    msh4: str
    msh10: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A message that was answered. The same bytes get the same answer; other bytes are a reused control id.

    Attributes:
        digest: SHA-256 of the signed bytes.
        answer: AA, AE or AR. code: Carebell's failure code, None if accepted. err3: HL7 table 0357. text: MSA-3.
        forget_after: received_at + window + skew, UTC.
        event: S12 ...; reference: of the appointment that it is about. For people who look for it; never read back here.
        reuses: the control id was used for another content before, and the configuration permits this: both are remembered.
    """

    key: MessageKey
    digest: bytes
    answer: str
    code: str | None = None
    err3: str = "0"
    text: str = ""
    warning: str | None = None
    received_at: datetime
    forget_after: datetime
    event: str | None = None
    reference: str | None = None
    reuses: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAppointment:
    """An appointment and all its outbox rows, oldest plan first."""

    appointment: Appointment
    history: tuple[PlannedRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Save:
    """The result of a batch for one appointment.

    Attributes:
        appointment: its final state.
        changes: `scheduler.plan.diff` of all its messages in order; a row that was attempted meanwhile is not changed.
        new_aliases: those of `appointment.aliases` that `find` did not find.
        moved_aliases: those that belonged to another appointment, which proved to be the same one.
        is_new: the table has no row for it yet.
        config_version: version of the configuration that it was planned with.
    """

    appointment: Appointment
    changes: Sequence[PlannedRow]
    new_aliases: Sequence[str]
    moved_aliases: Sequence[str] = ()
    is_new: bool
    config_version: str


def known(conn: Connection, wanted: Collection[tuple[MessageKey, bytes]]) -> dict[MessageKey, list[Remembered]]:
    """Earlier answers under the control ids of these messages, each given with its digest.

    For each known control id: the first content that used it; and the given content, if that differs and was answered too.
    """
    answers: dict[MessageKey, list[Remembered]] = defaultdict(list)
    asked = [(_clean_key(key), digest) for key, digest in wanted]
    _look_up(conn, [(key, "") for key, _ in asked], answers)
    others = [(key, digest.hex()) for key, digest in asked if key in answers and answers[key][0].digest != digest]
    _look_up(conn, others, answers)
    return {key: answers[clean] for key, _ in wanted if (clean := _clean_key(key)) in answers} if answers else {}


def _look_up(
    conn: Connection, wanted: Sequence[tuple[MessageKey, str]], answers: dict[MessageKey, list[Remembered]]
) -> None:
    """Add to `answers` what is remembered for these variants of control ids."""
    groups: defaultdict[tuple[str, str, str], dict[str, dict[str, None]]] = defaultdict(
        lambda: {"ids": {}, "variants": {}}
    )
    for key, variant in wanted:
        groups[key[:3]]["ids"][key.msh10] = groups[key[:3]]["variants"][variant] = None
    instants = codec(conn)
    for group, of in groups.items():
        lists = (list_value(conn, list(of["ids"])), list_value(conn, list(of["variants"])))
        for row in _KNOWN.fetch(conn, (*group, *lists)):
            msh10, _, digest, answer, code, err3, text, warning, received_at, forget_after = row
            key = MessageKey(*group, msh10)
            answers[key].append(
                Remembered(
                    key=key,
                    digest=bytes(digest),
                    answer=answer,
                    code=code,
                    err3=err3,
                    text=text,
                    warning=warning,
                    received_at=instants.get(received_at),
                    forget_after=instants.get(forget_after),
                )
            )


def find(
    conn: Connection, vault: Vault, wanted: Sequence[tuple[str, Sequence[str]]], now: datetime
) -> list[tuple[StoredAppointment, ...]]:
    """For each (environment, aliases): the appointments that have one of them, in the order of the aliases.

    More than one is found if a message shows that two stored appointments are the same visit; the first is the one to keep.
    PostgreSQL: the rows are locked FOR UPDATE. SQLite: the transaction must be a writing one.
    """
    groups: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for environment, names in wanted:
        groups[environment].update(dict.fromkeys(map(_storable, names)))
    owners: dict[tuple[str, str], str] = {}
    for environment, listed in groups.items():
        for alias, owner in _OWNERS.fetch(conn, (environment, list_value(conn, list(listed)))):
            owners[environment, alias] = owner
    if not owners:
        return [()] * len(wanted)
    stored = load(conn, vault, set(owners.values()), now, lock=True)
    answer = []
    for environment, names in wanted:
        ids = dict.fromkeys(owner for name in names if (owner := owners.get((environment, _storable(name)))))
        answer.append(tuple(stored[owner] for owner in ids))
    return answer


def load(
    conn: Connection,
    vault: Vault,
    ids: Collection[str],
    now: datetime,
    *,
    lock: bool | Literal["skip"],
    unreadable: set[str] | None = None,
) -> dict[str, StoredAppointment]:
    """Appointments by id with their rows.

    Args:
        lock: nobody else can change them until the commit; "skip" leaves out rows that another transaction has locked.
        unreadable: appointments whose encrypted values cannot be decrypted are left out and added to it; None: the first one raises
            `crypto.Undecipherable`.
    """
    if not ids:
        return {}
    listed = list_value(conn, sorted(ids))
    rows = {True: _LOCKED, False: _APPOINTMENTS, "skip": _UNLOCKED}[lock].fetch(conn, (listed,))
    reader = Reader.over(conn, vault, rows, now)
    read = {}
    for row in rows:
        try:
            read[row[0]] = reader.read(row)
        except Undecipherable:
            if unreadable is None:
                raise
            unreadable.add(row[0])
    history: defaultdict[str, list[PlannedRow]] = defaultdict(list)
    for owner, attempts, *past in _HISTORY.fetch(conn, (listed,)):
        row = read_past(past, reader.instants)
        if attempts and _is_told(row, read.get(owner)):
            row = replace(row, state=SmsState.SENDING)
        history[owner].append(row)
    return {
        own_id: StoredAppointment(appointment=appointment, history=tuple(history[own_id]))
        for own_id, appointment in read.items()
    }


def _is_told(past: PlannedRow, of: Appointment | None) -> bool:
    """Whether a waiting text counts as told, because its delivery failed and is tried again. The claim decides about it. The
    plan must treat it as sent, or it would withdraw it as `no_visible_change`."""
    waits = past.state is SmsState.DUE and past.kind.is_confirmation
    return waits and of is not None and of.window_revision != past.revision


def resave(conn: Connection, vault: Vault, changed: Sequence[Appointment], now: datetime) -> None:
    """Write appointments that exist and are locked, each once."""
    rows = records.to_rows(conn, vault, sorted(changed, key=lambda appointment: appointment.id), now)
    _UPDATE.run(conn, [(*row[1:], row[0]) for row in rows])
    visit_links.forget_late(conn, changed, now)


def save(
    conn: Connection,
    vault: Vault,
    saves: Sequence[Save],
    remembered: Sequence[Remembered],
    now: datetime,
    *,
    new_id: Callable[[], str] = lambda: secrets.token_hex(16),
) -> None:
    """Write appointments, aliases, outbox rows and replay memory; the commit is the caller's.

    IntegrityError: another node was first (see the module's docstring); roll back and repeat from `known` on.
    """
    # Every node uses the same order of keys, so two batches with the same index entries wait and never deadlock.
    saves = sorted(saves, key=lambda save: save.appointment.id)
    rows = records.to_rows(conn, vault, [save.appointment for save in saves], now)
    with together(conn):
        _FIRST.run(conn, [row for save, row in zip(saves, rows, strict=True) if save.is_new])
        _UPDATE.run(conn, [(*row[1:], row[0]) for save, row in zip(saves, rows, strict=True) if not save.is_new])
        _ALIASES.run(
            conn,
            sorted(
                (save.appointment.environment, _storable(alias), save.appointment.id)
                for save in saves
                for alias in save.new_aliases
            ),
        )
        _MOVED.run(
            conn,
            [
                (save.appointment.id, save.appointment.environment, _storable(alias))
                for save in saves
                for alias in save.moved_aliases
            ],
        )
        _outbox(conn, saves, now, new_id)
        _remember(conn, remembered)


def _outbox(conn: Connection, saves: Sequence[Save], now: datetime, new_id: Callable[[], str]) -> None:
    instants = codec(conn)
    created, maybe = instants.put(now), instants.put_maybe
    rows: list[tuple[Any, ...]] = []
    for save in saves:
        of = save.appointment
        start = maybe(of.start)
        # Two messages of a batch may plan the same row; the later plan counts.
        for change in {change.identity: change for change in save.changes}.values():
            due = maybe(change.due)
            rows.append(
                (
                    new_id(),
                    of.environment,
                    of.id,
                    of.reference,
                    change.kind._value_,
                    change.rule,
                    change.revision,
                    due,
                    maybe(change.expires),
                    start,
                    change.state._value_,
                    change.reason._value_,
                    0,
                    due if change.state is SmsState.DUE else None,
                    save.config_version,
                    created,
                )
            )
    _PLANNED.run(conn, rows)


def _remember(conn: Connection, remembered: Sequence[Remembered]) -> None:
    put = codec(conn).put
    rows: list[tuple[Any, ...]] = []
    outlived: dict[MessageKey, tuple[Any, ...]] = {}
    for message in sorted(remembered, key=lambda message: (message.key, message.reuses, message.forget_after)):
        key = _clean_key(message.key)
        row = (
            message.digest,
            message.answer,
            message.code,
            message.err3,
            message.text,
            message.warning,
            put(message.received_at),
            put(message.forget_after),
            message.event,
            message.reference,
        )
        rows.append((*key, message.digest.hex() if message.reuses else "", *row))
        if message.reuses:
            outlived[key] = (*key, "", *row)
    _REMEMBER.run(conn, rows)
    _REMEMBER_LONGER.run(conn, list(outlived.values()))


def _storable(name: str) -> str:
    """The name without NUL, which PostgreSQL cannot store. Only an attacker sends NUL, and it must not make a batch fail."""
    return name.replace("\0", "\ufffd") if "\0" in name else name


def _clean_key(key: MessageKey) -> MessageKey:
    return MessageKey(*map(_storable, key)) if "\0" in "".join(key) else key


# The statements, built from the tables and compiled once per database.

_MESSAGE_COLUMNS = tuple(column.name for column in messages.columns)
_PLANNED_COLUMNS = (
    "id", "environment", "appointment", "reference", "kind", "rule", "revision", "due", "expires", "start", "state",
    "reason", "attempts", "next_attempt_at", "config_version", "created_at",
)  # fmt: skip
_REPLANNED_COLUMNS = ("due", "expires", "start", "state", "reason", "next_attempt_at", "config_version")


def _known(dialect: str) -> ClauseElement:
    columns = messages.c
    return select(*(columns[name] for name in _MESSAGE_COLUMNS[3:-2])).where(
        columns.environment == bindparam("environment"),
        columns.msh3 == bindparam("msh3"),
        columns.msh4 == bindparam("msh4"),
        any_of(dialect, columns.msh10, "ids"),
        any_of(dialect, columns.variant, "variants"),
    )


def _owners(dialect: str) -> ClauseElement:
    wanted = any_of(dialect, aliases.c.alias, "aliases")
    return select(aliases.c.alias, aliases.c.appointment).where(
        aliases.c.environment == bindparam("environment"), wanted
    )


def _appointments(dialect: str) -> Any:
    return select(appointments).where(any_of(dialect, appointments.c.id, "ids")).order_by(appointments.c.id)


def _history(dialect: str) -> ClauseElement:
    wanted = any_of(dialect, outbox.c.appointment, "ids")
    of = outbox.c
    columns = (of.appointment, of.attempts, of.kind, of.rule, of.revision, of.due, of.expires, of.state, of.reason)
    return select(*columns).where(wanted).order_by(outbox.c.created_at, outbox.c.revision, outbox.c.due, outbox.c.id)


def _update(_: str, given: Given) -> ClauseElement:
    kept: dict[str, Any] = {name: given[f"new_{name}"] for name in records.COLUMNS[1:]}
    return appointments.update().where(appointments.c.id == given["row_id"]).values(kept)


def _moved(_: str, given: Given) -> ClauseElement:
    own_alias = (aliases.c.environment == given["of_environment"]) & (aliases.c.alias == given["of_alias"])
    return aliases.update().where(own_alias).values(appointment=given["new_appointment"])


def _planned(dialect: str, given: Given) -> ClauseElement:
    insert = insert_given(dialect, outbox, given)
    return insert.on_conflict_do_update(  # type: ignore[no-any-return]
        index_elements=["appointment", "kind", "rule", "revision"],
        set_={name: insert.excluded[name] for name in _REPLANNED_COLUMNS},
        where=outbox.c.state.in_(_replaceable()),
    )


def _replaceable() -> list[ColumnElement[str]]:
    """The states in which no attempt was made. They are literals in the SQL, so that the parameters are only one row's values."""
    return [literal_column(f"'{state.value}'") for state in (SmsState.DUE, SmsState.SUPPRESSED)]


def _remember_longer(dialect: str, given: Given) -> ClauseElement:
    """Keep the first content of a control id as long as the last one, because the others are found through it."""
    insert = insert_given(dialect, messages, given)
    return insert.on_conflict_do_update(  # type: ignore[no-any-return]
        index_elements=_MESSAGE_COLUMNS[:5],
        set_={"forget_after": insert.excluded.forget_after},
        where=messages.c.forget_after < insert.excluded.forget_after,
    )


def _inserted(table: Table) -> Callable[[str, Given], ClauseElement]:
    return lambda dialect, given: insert_given(dialect, table, given)


def _columns(table: Table, names: Sequence[str]) -> dict[str, Column[Any]]:
    return {name: table.c[name] for name in names}


_NEW = {f"new_{name}": appointments.c[name] for name in records.COLUMNS[1:]}

_KNOWN = Prepared(_known, ("environment", "msh3", "msh4", "ids", "variants"))
_OWNERS = Prepared(_owners, ("environment", "aliases"))
_APPOINTMENTS = Prepared(_appointments, ("ids",))
_LOCKED = Prepared(lambda dialect: _appointments(dialect).with_for_update(), ("ids",))
_UNLOCKED = Prepared(lambda dialect: _appointments(dialect).with_for_update(skip_locked=True), ("ids",))
_HISTORY = Prepared(_history, ("ids",))
_FIRST = PreparedRows(_inserted(appointments), dict(appointments.c))
_UPDATE = PreparedRows(_update, {**_NEW, "row_id": appointments.c.id})
_ALIASES = PreparedRows(_inserted(aliases), dict(aliases.c))
_MOVED = PreparedRows(
    _moved,
    {
        "new_appointment": aliases.c.appointment,
        "of_environment": aliases.c.environment,
        "of_alias": aliases.c.alias,
    },
)
_PLANNED = PreparedRows(_planned, _columns(outbox, _PLANNED_COLUMNS))
_REMEMBER = PreparedRows(_inserted(messages), dict(messages.c))
_REMEMBER_LONGER = PreparedRows(_remember_longer, dict(messages.c))
