"""`hold`, `release`, `db upgrade` and `db downgrade`. Each is recorded in the audit log."""

from __future__ import annotations

import contextlib
import sys
from datetime import UTC, datetime
from pathlib import Path

from carebell import authors
from carebell.bootstrap.components import environment_named, load, stop_for
from carebell.commands.interrupt import interruptible
from carebell.commands.open_store import OpenDatabase, Opened, opened, opened_without_keys
from carebell.commands.output import print_result
from carebell.commands.progress import working
from carebell.exits import Stop, UsageStop
from journal.events.gateway import HoldReleased, HoldStarted
from journal.lines import plain
from scheduler.sms import HoldScope
from store import audit, holds, leases, schema, simulated_clock
from store.audit import AuditAction
from store.engine import Transaction, open_store
from store.faults import StoreFault
from store.holds import Hold


def hold(config: Path | None, environment: str | None, reason: str, *, as_json: bool) -> None:
    """Hold texts. Needs only the database, so it works even if carebell.yaml or the key file is broken."""
    with interruptible() as progress, opened_without_keys(config) as database:
        scope, name = _hold_scope(database, environment)
        now = database.now()
        with database.store.write() as conn:
            placed = holds.hold(conn, Hold(scope=scope, name=name, reason=reason, actor=database.actor, since=now))
            audit.append(
                conn,
                database.author,
                AuditAction.HOLD_PLACE,
                subject=name or "all",
                environment=environment,
                after=reason,
                at=now,
            )
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
            f"carebell: warning: could not check whether there is an environment {plain(environment)}; "
            "`carebell hold` without -e holds everything",
            file=sys.stderr,
        )
    elif environment not in database.environments:
        raise UsageStop(f"no environment {environment!r}; there are {', '.join(database.environments)}")
    return HoldScope.ENVIRONMENT, environment


def release(config: Path | None, environment: str | None, *, as_json: bool) -> None:
    """Send texts again: end every hold, or one environment's hold, and close breakers without waiting for their probes."""
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
            closed = [
                breaker
                for breaker in holds.open_breakers(conn)
                if environment is None or (breaker.scope, breaker.name) in _breakers(session, environment)
            ]
            for breaker in closed:
                released = holds.reset(conn, breaker.scope, breaker.name) or released
            audit.append(
                conn,
                session.author,
                AuditAction.HOLD_RELEASE,
                subject=name or "all",
                environment=environment,
                before="; ".join(entry.reason for entry in ended_holds) or None,
                at=now,
            )
            for breaker in closed:
                audit.append(
                    conn,
                    session.author,
                    AuditAction.BREAKER_CLOSE,
                    subject=f"{breaker.scope} {breaker.name}",
                    environment=breaker.name if breaker.scope is HoldScope.ENVIRONMENT else None,
                    before=str(breaker.code),
                    at=now,
                )
            progress.done = "the holds may have been ended; `carebell status` says"
        progress.done = f"{environment or 'everything'}: its holds are ended"
        session.log(HoldReleased(environment=environment, source="command", actor=session.actor))
    still_held = any(entry.scope is HoldScope.ALL for entry in standing if entry not in ended_holds)
    if still_held:
        sentence = f"{environment}: still held, because everything is held; `carebell release` ends that"
    else:
        sentence = f"{environment or 'everything'}: {'texts are sent again' if released else 'was not held'}"
    row = {"environment": environment, "held": still_held, "changed": released}
    print_result(row, sentence, as_json=as_json)


def _breakers(session: Opened, environment: str) -> set[tuple[HoldScope, str]]:
    """The breakers that stop an environment's texts."""
    sender = environment_named(session.loaded, environment).sms.sender
    return {(HoldScope.ENVIRONMENT, environment), (HoldScope.SENDER, sender)}


def _scope(session: Opened, environment: str | None) -> tuple[HoldScope, str]:
    if environment is None:
        return HoldScope.ALL, ""
    environment_named(session.loaded, environment)
    return HoldScope.ENVIRONMENT, environment


def upgrade(config: Path | None, *, as_json: bool) -> None:
    """Upgrade the tables to this version."""
    loaded = load(config)
    with interruptible() as progress:
        progress.done = "the tables may be between two versions; run `carebell db upgrade` again"
        try:
            with (
                working("Upgrading the database"),
                contextlib.closing(open_store(loaded.configuration.storage.url)) as store,
            ):
                before, after = schema.upgrade(store)
                if before != after:
                    with store.write() as conn:
                        now = simulated_clock.now(conn, datetime.now(UTC))
                        audit.append(
                            conn,
                            authors.person(),
                            AuditAction.DB_UPGRADE,
                            subject=store.backend,
                            before=before,
                            after=after,
                            at=now,
                        )
        except StoreFault as fault:
            raise stop_for(fault) from None
    sentence = f"the database is at version {after}" + ("" if before == after else f" (was {before or 'empty'})")
    print_result({"version": after, "was": before, "changed": before != after}, sentence, as_json=as_json)


def downgrade(config: Path | None, version: str, *, as_json: bool) -> None:
    """Bring the tables back to an older version. Refused while a node runs, which would meet tables that it does not know."""
    with interruptible() as progress, opened_without_keys(config) as session:
        now = session.now()
        with session.store.read() as conn:
            running = [node.name for node in leases.seen(conn, since=now - leases.ALIVE)]
        if running:
            raise Stop(f"a node runs, {running[0]}: stop every node, then go back (nothing was changed)")

        def note(conn: Transaction) -> None:
            audit.append(
                conn,
                session.author,
                AuditAction.DB_DOWNGRADE,
                subject=session.store.backend,
                before=schema.head(),
                after=version,
                at=now,
            )

        before, after = schema.downgrade(session.store, version, note=note)
        progress.done = f"the tables are at version {after}"
    sentence = f"the database is at version {after} (was {before}); install the older program before you start it again"
    print_result({"version": after, "was": before, "changed": True}, sentence, as_json=as_json)
