"""`hold`, `release`, `db upgrade` and `db downgrade`. Each is recorded in the audit log."""

from __future__ import annotations

import contextlib
import sys
from datetime import UTC, datetime
from pathlib import Path

from carebell import authors
from carebell.bootstrap.components import environment_named, load, stop_for
from carebell.commands.interrupt import interruptible
from carebell.commands.open_store import OpenDatabase, opened, opened_without_keys
from carebell.commands.output import print_result
from carebell.commands.progress import working
from carebell.exits import Stop, UsageStop
from carebell.outbound import manual_holds
from journal.events.gateway import HoldReleased, HoldStarted
from journal.lines import plain
from store import audit, leases, schema, simulated_clock
from store.audit import AuditAction
from store.engine import Transaction, open_store
from store.faults import StoreFault


def hold(config: Path | None, environment: str | None, reason: str, *, as_json: bool) -> None:
    """Hold texts. Needs only the database, so it works even if carebell.yaml or the key file is broken."""
    with interruptible() as progress, opened_without_keys(config) as database:
        _warn_of_unknown(database, environment)
        now = database.now()
        with database.store.write() as conn:
            placed = manual_holds.place(conn, database.author, environment, reason, by=database.actor, at=now)
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


def _warn_of_unknown(database: OpenDatabase, environment: str | None) -> None:
    if environment is None:
        return
    if database.environments is None:
        print(
            f"carebell: warning: could not check whether there is an environment {plain(environment)}; "
            "`carebell hold` without -e holds everything",
            file=sys.stderr,
        )
    elif environment not in database.environments:
        raise UsageStop(f"no environment {environment!r}; there are {', '.join(database.environments)}")


def release(config: Path | None, environment: str | None, *, as_json: bool) -> None:
    """Send texts again: end every hold, or one environment's hold, and close breakers without waiting for their probes."""
    with interruptible() as progress, opened(config) as session:
        if environment is not None:
            environment_named(session.loaded, environment)
        now, configured = session.now(), session.loaded.configuration.environments
        with session.store.write() as conn:
            released = manual_holds.release(conn, session.author, environment, configured, at=now)
            progress.done = "the holds may have been ended; `carebell status` says"
        progress.done = f"{environment or 'everything'}: its holds are ended"
        session.log(HoldReleased(environment=environment, source="command", actor=session.actor))
    if released.still_held:
        sentence = f"{environment}: still held, because everything is held; `carebell release` ends that"
    else:
        sentence = f"{environment or 'everything'}: {'texts are sent again' if released.changed else 'was not held'}"
    row = {"environment": environment, "held": released.still_held, "changed": released.changed}
    print_result(row, sentence, as_json=as_json)


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
