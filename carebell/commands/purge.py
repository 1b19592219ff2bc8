"""`purge`: forget now what is due to be forgotten. With `--verify`, say where a number is still stored."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from carebell.commands.interrupt import interruptible
from carebell.commands.open_store import Opened, opened
from carebell.commands.output import print_json, print_result, print_sentence
from carebell.commands.progress import working
from carebell.commands.typed import read_number, typed_number
from carebell.exits import OK, REFUSED, UsageStop
from carebell.maintenance.retention import forget_now
from carebell.times import iso
from journal.events.service import OperatorActed
from journal.rotated import rotated_names
from parser.phone_number import PhoneNumber
from store import audit, patient_ids
from store.audit import AuditAction
from store.phone_holders import PhoneHashes, PhoneHolder, PhoneSearch
from store.phone_scan import scan_files


def purge(config: Path | None, number: str | None, *, at: datetime | None, verify: bool, as_json: bool) -> int:
    """Forget what is due. With `verify`, say where a number is stored. 1 if it is stored, or a file could not be truncated."""
    if number is not None and not verify:
        raise UsageStop("a number needs --verify; nothing was done")
    with interruptible() as progress:
        search_number = None
        if verify:
            search_number = read_number(number) if number is not None else typed_number("Number to search for")
        with opened(config) as session:
            now = at or session.now()
            if at is not None and at > session.now():
                raise UsageStop("--at is in the future: this would forget numbers that are still needed")
            progress.done = "only a part may have been forgotten; run `carebell purge` again"
            purged = forget_now(session.store, session.vault, now)
            done_at = session.now()  # whatever --at says
            with session.store.write() as conn:
                if search_number is not None:
                    audit.append(
                        conn, session.author, AuditAction.NUMBER_SEARCH, subject=search_number.masked, at=done_at
                    )
                audit.append(
                    conn,
                    session.author,
                    AuditAction.PURGE,
                    subject="all",
                    after=f"{purged.appointments} appointments, {purged.suppressed} waiting texts withdrawn, "
                    f"{purged.keys} day keys",
                    at=done_at,
                )
            session.log(OperatorActed(action="purge", actor=session.actor, source="command"))
            progress.done = "what was due is forgotten" + (
                "; the search for the number was not finished" if verify else ""
            )
            print_result(
                {
                    "appointments": purged.appointments, "messages": purged.messages, "day_keys": purged.keys,
                    "suppressed": purged.suppressed, "files_settled": purged.files_settled,
                },
                f"forgotten: {purged.appointments} appointments, {purged.messages} remembered messages, "
                f"{purged.keys} day keys; {purged.suppressed} waiting texts withdrawn",
                as_json=as_json,
            )  # fmt: skip
            if not purged.files_settled:
                if not as_json:
                    print_sentence(
                        "the database's log could not be truncated now, because another process is reading it or writing "
                        "it back; run purge again"
                    )
                return REFUSED
            return OK if search_number is None else _verify(session, search_number, now, as_json=as_json)


def _verify(session: Opened, number: PhoneNumber, now: datetime, *, as_json: bool) -> int:
    """Print where a number is stored: plain in a file, encrypted with a visit, or as a keyed hash. 1 if it can be read
    somewhere."""
    files = _files(session)
    with working(f"Searching {len(files)} files"):
        traces = scan_files(files, number)
    for trace in traces:
        print_result(
            {"file": str(trace.path), "offset": trace.offset, "spelling": trace.spelling},
            f"{trace.path}: found at byte {trace.offset} ({trace.spelling})",
            as_json=as_json,
        )
    if not as_json:
        print_sentence(f"searched {len(files)} files for its digits: {'found' if traces else 'not found'}")
    search = PhoneSearch(session.store, session.vault, number, now)
    holder_count = 0
    for holder in search.holders():
        holder_count += 1
        print_result(
            {"environment": holder.environment, "appointment": holder.reference, "status": holder.status,
             "until": iso(holder.until), "settles": holder.settles, "waiting": holder.waiting},
            f"kept encrypted for {holder.environment} {holder.reference}: {_kept_until(holder)}",
            as_json=as_json,
        )  # fmt: skip
    hashes = search.hashes()
    with session.store.read() as conn:
        kept = patient_ids.kept(conn)
    if as_json:
        print_json(
            {"files": len(files), "traces": len(traces), "visits": holder_count, "unreadable": search.unreadable,
             "hashed_texts": hashes.texts, "hashed_until": iso(hashes.until), "opted_out": list(hashes.opted_out),
             "patient_ids": kept.visits, "patient_ids_until": iso(kept.until)}
        )  # fmt: skip
    else:
        _print_sums(holder_count, search.unreadable, hashes)
        if kept.visits and kept.until is not None:
            of = f"{kept.visits} {'visit' if kept.visits == 1 else 'visits'}"
            print_sentence(f"PID-3 is kept encrypted for {of}, the last until {kept.until:%Y-%m-%d %H:%M} UTC")
    return REFUSED if traces or holder_count or search.unreadable else OK


def _files(session: Opened) -> list[Path]:
    """The files that could hold a plain number: the database's files, the log with its rotated files, the file gateway's file."""
    log, gateway = session.loaded.configuration.log.file, session.loaded.configuration.gateway
    files = list(session.store.files)
    if log is not None:
        files += [log, *(log.with_name(name) for name in sorted(rotated_names(log)))]
    if gateway.kind == "file":
        files.append(gateway.file)
    return [file for file in files if file.exists()]


def _print_sums(holder_count: int, unreadable: int, hashes: PhoneHashes) -> None:
    if holder_count:
        print_sentence(f"kept encrypted for {holder_count} {'visit' if holder_count == 1 else 'visits'}, as listed")
    else:
        print_sentence("no visit keeps it")
    if unreadable:
        print_sentence(f"{unreadable} visits keep a number that no key of the file can decrypt: it may be this number")
    for line in _hashed(hashes):
        print_sentence(line)


def _kept_until(holder: PhoneHolder) -> str:
    """`active, until it begins, 2026-12-03 14:00 PST; 2 texts wait`."""
    until = f"{holder.until.astimezone(ZoneInfo(holder.zone)):%Y-%m-%d %H:%M %Z}"
    when = (
        f"until its cancellation is sent or withdrawn, {until} at the latest"
        if holder.settles
        else f"until it begins, {until}"
    )
    waiting = f"; {holder.waiting} {'text waits' if holder.waiting == 1 else 'texts wait'}" if holder.waiting else ""
    return f"{holder.status}, {when}{waiting}"


def _hashed(hashes: PhoneHashes) -> Iterator[str]:
    """Where keyed hashes of the number are stored. A hash is not a number, so it does not cause exit code 1."""
    if hashes.texts:
        until = "" if hashes.until is None else f", until {hashes.until:%Y-%m-%d %H:%M} UTC"
        counted = "1 text" if hashes.texts == 1 else f"{hashes.texts} texts"
        yield f"its keyed hash is kept beside {counted} for the caps{until}"
    if hashes.opted_out:
        yield "its keyed hash is in the opt-out list until the patient texts START"
