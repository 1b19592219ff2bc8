"""Operations by hand, all audited: `hold`, `release`, `purge`, `keys rotate`, `db upgrade`."""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path

from carebell.bootstrap.components import environment_named, load, stop_for
from carebell.commands.open_store import Opened, opened
from carebell.commands.typed import read_number, typed_number
from carebell.exits import OK, REFUSED, UsageStop
from carebell.maintenance.retention import forget_now
from journal.events import Event
from parser.phone import PhoneNumber
from scheduler.sms import HoldScope
from store import audit, holds, schema
from store.engine import open_store
from store.faults import StoreFault
from store.holds import Hold
from store.keys import retire_old_keys, rotate_key_file
from store.phone_scan import scan_files


def hold(config: Path | None, environment: str | None, reason: str) -> None:
    """Keep texts back."""
    with opened(config) as session:
        scope, name = _scope(session, environment)
        now = session.now()
        with session.store.write() as conn:
            placed = holds.hold(conn, Hold(scope=scope, name=name, reason=reason, actor=session.actor, since=now))
            audit.append(conn, actor=session.actor, action="hold.place", subject=name or "all", after=reason, at=now)
        session.tell(Event.HOLD_STARTED, environment=environment, reason=reason, source=session.actor)
    print(
        f"{environment or 'everything'}: texts are held"
        if placed
        else f"{environment or 'everything'} was held already"
    )


def release(config: Path | None, environment: str | None) -> None:
    """Let texts leave again: end every hold, or an environment's own, and close breakers without waiting for their probes."""
    with opened(config) as session:
        scope, name = _scope(session, environment)
        now = session.now()
        with session.store.write() as conn:
            standing = holds.held(conn)
            ended_holds = [
                entry for entry in standing if environment is None or (entry.scope, entry.name) == (scope, name)
            ]
            released = bool(ended_holds)
            for entry in ended_holds:
                holds.release(conn, entry.scope, entry.name)
            audit.append(conn, actor=session.actor, action="hold.release", subject=name or "all", at=now)
            for breaker in holds.open_breakers(conn):
                if environment is None or (breaker.scope, breaker.name) in _breakers(session, environment):
                    released = holds.reset(conn, breaker.scope, breaker.name) or released
                    audit.append(
                        conn, actor=session.actor, action="breaker.close", subject=f"{breaker.scope} {breaker.name}",
                        before=str(breaker.code), at=now,
                    )  # fmt: skip
        session.tell(Event.HOLD_RELEASED, environment=environment, source=session.actor)
    if any(entry.scope is HoldScope.ALL for entry in standing if entry not in ended_holds):
        print(f"{environment}: still held, since everything is; `carebell release` ends that")
    else:
        print(f"{environment or 'everything'}: {'texts leave again' if released else 'was not held'}")


def _breakers(session: Opened, environment: str) -> set[tuple[HoldScope, str]]:
    """Those that keep an environment's texts back."""
    sender = environment_named(session.loaded, environment).sms.sender
    return {(HoldScope.ENVIRONMENT, environment), (HoldScope.SENDER, sender)}


def _scope(session: Opened, environment: str | None) -> tuple[HoldScope, str]:
    if environment is None:
        return HoldScope.ALL, ""
    environment_named(session.loaded, environment)
    return HoldScope.ENVIRONMENT, environment


def purge(config: Path | None, number: str | None, *, at: datetime | None, verify: bool) -> int:
    """Forget what is due; with `verify`, search every file for a number. 1 if it is found, or the files could not be cut."""
    if number is not None and not verify:
        raise UsageStop("a number goes with --verify; nothing was done")
    search_number = None
    if verify:
        search_number = read_number(number) if number is not None else typed_number("Number to search for")
    with opened(config) as session:
        now = at or session.now()
        if at is not None and at > session.now():
            raise UsageStop("--at lies in the future: that would forget numbers that are still needed")
        purged = forget_now(session.store, session.vault, now)
        with session.store.write() as conn:
            audit.append(
                conn,
                actor=session.actor,
                action="purge",
                subject="all",
                after=f"{purged.appointments} appointments",
                at=now,
            )
        session.tell(Event.OPERATOR_ACTED, action="purge", actor=session.actor)
        print(
            f"forgotten: {purged.appointments} appointments, {purged.messages} remembered messages, "
            f"{purged.keys} day keys; {purged.suppressed} waiting texts taken back"
        )
        if not purged.files_settled:
            print("the database's log could not be cut now, because somebody is reading; run purge again")
            return REFUSED
        return OK if search_number is None else _verify(session, search_number)


def _verify(session: Opened, number: PhoneNumber) -> int:
    """Where a number stands in the database's files and the log."""
    log, gateway = session.loaded.configuration.log.file, session.loaded.configuration.gateway
    files = [
        *session.store.files,
        *([log] if log is not None else []),
        *([gateway.file] if gateway.kind == "file" else []),
    ]
    present = [file for file in files if file.exists()]
    traces = scan_files(present, number)
    for trace in traces:
        print(f"{trace.path}: found at byte {trace.offset} ({trace.spelling})")
    print(f"searched {len(present)} files: {'found' if traces else 'not found'}")
    return REFUSED if traces else OK


def rotate(config: Path | None) -> None:
    """A new master key; every day key is wrapped under it, then the old one is taken out of the file."""
    with opened(config) as session:
        key_file = session.loaded.configuration.storage.key_file
        session.vault.ring = rotate_key_file(key_file)
        now = session.now()
        with session.store.write() as conn:
            moved = session.vault.rewrap(conn)
            audit.append(
                conn, actor=session.actor, action="keys.rotate", subject=f"key {session.vault.ring.current}", at=now
            )
        retire_old_keys(key_file)
        session.tell(Event.KEY_ROTATED, key=session.vault.ring.current, count=moved, actor=session.actor)
    print(f"key {session.vault.ring.current} is in use, {moved} day keys were moved to it")
    print(
        "a running service takes the new key up by itself; the one before it stays in the file until the next rotation"
    )


def upgrade(config: Path | None) -> None:
    """Bring the tables to this version."""
    loaded = load(config)
    try:
        with contextlib.closing(open_store(loaded.configuration.storage.url)) as store:
            before, after = schema.upgrade(store)
    except StoreFault as fault:
        raise stop_for(fault) from None
    print(f"the database is at version {after}" + ("" if before == after else f" (was {before or 'empty'})"))
