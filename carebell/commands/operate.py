"""Operations by hand, all audited: `hold`, `release`, `purge`, `db upgrade`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from carebell.bootstrap.components import environment_named, load, stop_for
from carebell.commands.interrupt import interruptible
from carebell.commands.open_store import OpenDatabase, Opened, opened, opened_without_keys
from carebell.commands.output import print_result
from carebell.commands.typed import read_number, typed_number
from carebell.exits import OK, REFUSED, UsageStop
from carebell.maintenance.retention import forget_now
from journal.events.gateway import HoldReleased, HoldStarted
from journal.events.service import OperatorActed
from journal.lines import plain
from parser.phone import PhoneNumber
from scheduler.sms import HoldScope
from store import audit, holds, schema
from store.engine import open_store
from store.faults import StoreFault
from store.holds import Hold
from store.phone_holders import PhoneHashes, PhoneHolder, PhoneSearch
from store.phone_scan import scan_files


def hold(config: Path | None, environment: str | None, reason: str, *, as_json: bool) -> None:
    """Keep texts back. Needs the database alone, and works where carebell.yaml or the key file is broken."""
    with interruptible() as progress, opened_without_keys(config) as database:
        scope, name = _hold_scope(database, environment)
        now = database.now()
        with database.store.write() as conn:
            placed = holds.hold(conn, Hold(scope=scope, name=name, reason=reason, actor=database.actor, since=now))
            audit.append(conn, actor=database.actor, action="hold.place", subject=name or "all", after=reason, at=now)
            progress.done = "the hold may have been stored; `carebell status` says"
        progress.done = f"{environment or 'everything'}: texts are held"
        database.log(HoldStarted(environment=environment, reason=reason, source="command", actor=database.actor))
    print_result(
        {"environment": environment, "held": True, "changed": placed},
        f"{environment or 'everything'}: texts are held"
        if placed
        else f"{environment or 'everything'} was held already",
        as_json=as_json,
    )


def _hold_scope(database: OpenDatabase, environment: str | None) -> tuple[HoldScope, str]:
    if environment is None:
        return HoldScope.ALL, ""
    if database.environments is None:
        print(
            f"carebell: warning: whether there is an environment {plain(environment)} could not be checked; "
            "`carebell hold` without -e holds everything",
            file=sys.stderr,
        )
    elif environment not in database.environments:
        raise UsageStop(f"no environment {environment!r}; there are {', '.join(database.environments)}")
    return HoldScope.ENVIRONMENT, environment


def release(config: Path | None, environment: str | None, *, as_json: bool) -> None:
    """Let texts leave again: end every hold, or an environment's own, and close breakers without waiting for their probes."""
    with interruptible() as progress, opened(config) as session:
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
            progress.done = "the holds may have been ended; `carebell status` says"
        progress.done = f"{environment or 'everything'}: its holds are ended"
        session.log(HoldReleased(environment=environment, source="command", actor=session.actor))
    still_held = any(entry.scope is HoldScope.ALL for entry in standing if entry not in ended_holds)
    if still_held:
        sentence = f"{environment}: still held, since everything is; `carebell release` ends that"
    else:
        sentence = f"{environment or 'everything'}: {'texts leave again' if released else 'was not held'}"
    row = {"environment": environment, "held": still_held, "changed": released}
    print_result(row, sentence, as_json=as_json)


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
    """Forget what is due; with `verify`, say where a number stands. 1 if it stands anywhere, or the files could not be cut."""
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
        session.log(OperatorActed(action="purge", actor=session.actor, source="command"))
        print(
            f"forgotten: {purged.appointments} appointments, {purged.messages} remembered messages, "
            f"{purged.keys} day keys; {purged.suppressed} waiting texts taken back"
        )
        if not purged.files_settled:
            print("the database's log could not be cut now, because somebody is reading; run purge again")
            return REFUSED
        return OK if search_number is None else _verify(session, search_number, now)


def _verify(session: Opened, number: PhoneNumber, now: datetime) -> int:
    """Print where a number stands: plain in a file, encrypted with a visit, or as a keyed hash. 1 where it can be had."""
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
    print(f"searched {len(present)} files for its digits: {'found' if traces else 'not found'}")
    search = PhoneSearch(session.store, session.vault, number, now)
    kept = 0
    for holder in search.holders():
        kept += 1
        print(f"kept encrypted for {holder.environment} {holder.reference}: {_kept_until(holder)}")
    if kept:
        print(f"kept encrypted for {kept} {'visit' if kept == 1 else 'visits'}, as listed")
    else:
        print("no visit keeps it")
    if search.unreadable:
        print(f"{search.unreadable} visits keep a number that opens with no key of the file: it may be this one")
    for line in _hashed(search.hashes()):
        print(line)
    return REFUSED if traces or kept or search.unreadable else OK


def _kept_until(holder: PhoneHolder) -> str:
    """`active, until it begins, 2026-12-03 14:00 PST; 2 texts wait`."""
    until = f"{holder.until.astimezone(ZoneInfo(holder.zone)):%Y-%m-%d %H:%M %Z}"
    when = (
        f"until its cancellation is settled, {until} at the latest" if holder.settles else f"until it begins, {until}"
    )
    waiting = f"; {holder.waiting} {'text waits' if holder.waiting == 1 else 'texts wait'}" if holder.waiting else ""
    return f"{holder.status}, {when}{waiting}"


def _hashed(hashes: PhoneHashes) -> Iterator[str]:
    """What stays of a number that is gone. It is no number, and so no reason for exit code 1."""
    if hashes.texts:
        until = "" if hashes.until is None else f", until {hashes.until:%Y-%m-%d %H:%M} UTC"
        counted = "1 text" if hashes.texts == 1 else f"{hashes.texts} texts"
        yield f"its keyed hash stands beside {counted} for the caps{until}"
    if hashes.opted_out:
        yield "its keyed hash stands in the opt-out list, until the patient texts START"


def upgrade(config: Path | None) -> None:
    """Bring the tables to this version."""
    loaded = load(config)
    try:
        with contextlib.closing(open_store(loaded.configuration.storage.url)) as store:
            before, after = schema.upgrade(store)
    except StoreFault as fault:
        raise stop_for(fault) from None
    print(f"the database is at version {after}" + ("" if before == after else f" (was {before or 'empty'})"))
