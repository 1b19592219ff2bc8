"""`trace`: one appointment's whole life, oldest first, and the sentence that says why its patient got no text.

A number is asked for at the terminal, never taken as an argument. Each look is recorded in the audit log; a look by number not
without its record.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from carebell.bootstrap.components import environment_named
from carebell.commands.open_store import opened
from carebell.commands.output import print_json, print_sentence
from carebell.commands.progress import progress
from carebell.commands.timeline import TimelineEntry, print_timeline
from carebell.commands.typed import typed_unseen
from carebell.exits import OK, REFUSED, Stop, UsageStop
from carebell.inquiries.trace import Traced, Tracer, countries_of
from carebell.inquiries.trace_entries import TraceEntry
from carebell.inquiries.trace_steps import STEP_WORDS
from carebell.sms_words import TITLES, title_of
from carebell.times import iso
from config.load import Loaded
from journal.lines import plain
from parser.phone_number import PhoneNumber
from parser.typed_phone import numbers_meant
from store import audit
from store.audit import AuditAction


def trace(
    config: Path | None,
    *,
    appointment: str | None,
    control_id: str | None,
    by_phone: bool,
    environment: str | None,
    as_json: bool,
) -> int:
    """Print the life of an appointment, of a message's appointment, or of every appointment of a number; 1 if nothing is known."""
    if sum((appointment is not None, control_id is not None, by_phone)) != 1:
        raise UsageStop("give one of --appointment ID, --control-id ID and --phone")
    typed = typed_unseen("Number (not shown): ") if by_phone else None
    with opened(config) as session:
        if environment is not None:
            environment_named(session.loaded, environment)
        number = None if typed is None else _number(typed, session.loaded, environment)
        tracer = Tracer.of(session, environment, _warn_unreadable)

        def shown(subject: str) -> None:
            session.shown(AuditAction.TRACE, subject=subject, environment=environment)

        def recorded(subject: str) -> None:
            with session.store.write() as conn:
                now = tracer.now
                audit.append(conn, session.author, AuditAction.TRACE, subject=subject, environment=environment, at=now)

        if number is not None:
            traced = tracer.by_number(number, recorded, progress("Opening stored numbers", None))
        elif appointment is not None:
            traced = tracer.by_appointment(appointment, shown)
        else:
            assert control_id is not None
            traced = tracer.by_control_id(control_id, shown)
    if as_json:
        if not traced.known:
            raise Stop(traced.not_found)
        _print_rows(traced)
    else:
        _print_for_people(traced)
    return OK if traced.known else REFUSED


def _number(typed: str, loaded: Loaded, environment: str | None) -> PhoneNumber:
    """UsageStop unless it is one number, by its country code or in the environments' countries; the error does not repeat it."""
    numbers = numbers_meant(typed, countries_of(loaded, None if environment is None else [environment]))
    if len(numbers) != 1:
        raise UsageStop("write the number with its country code, such as +12025550143")
    return numbers[0]


def _warn_unreadable(file: Path, why: str) -> None:
    print(plain(f"carebell: warning: {file}: {why}; its lines are missing"), file=sys.stderr)


def _print_rows(traced: Traced) -> None:
    if traced.loose_answer:
        _print_row(traced.loose_answer_entry)
    for entry in sorted(traced.loose, key=lambda entry: entry.order):
        _print_row(entry)
    for life in traced.traces:
        for entry in life.entries:
            _print_row(entry)
        _print_row(life.answer_entry)


def _print_row(entry: TraceEntry) -> None:
    print_json(
        {
            "time": iso(entry.at),
            "what": entry.what.value,
            "environment": entry.environment,
            "appointment": entry.appointment,
            "kind": entry.kind,
            "rule": entry.rule,
            "state": entry.state,
            "reason": entry.reason,
            "code": entry.code,
            "detail": entry.detail,
        }
    )


def _print_for_people(traced: Traced) -> None:
    if not traced.known:
        print_sentence(traced.not_found)
        return
    if traced.loose:
        print_sentence(traced.loose_answer)
        _print_timeline(traced.loose, traced.zones.of(_sole_environment(traced.loose)))
    for number, life in enumerate(traced.traces):
        if number or traced.loose:
            print()
        print_sentence(f"{plain(life.facts.reference)} in {life.facts.environment}: {life.answer}")
        print()
        _print_timeline(life.entries, traced.zones.of(life.facts.environment))
    for note in traced.notes:
        print()
        print_sentence(note)


def _sole_environment(entries: Iterable[TraceEntry]) -> str | None:
    names = {entry.environment for entry in entries}
    return names.pop() if len(names) == 1 else None


def _print_timeline(entries: Sequence[TraceEntry], zone: str) -> None:
    print_timeline(list(_lines(entries)), zone, empty="nothing is recorded")


def _lines(entries: Iterable[TraceEntry]) -> Iterator[TimelineEntry]:
    for entry in sorted(entries, key=lambda entry: entry.order):
        title = title_of(entry.kind, entry.rule or "") if entry.kind in TITLES and entry.kind is not None else ""
        words = STEP_WORDS[entry.what]
        if title:
            yield TimelineEntry(at=entry.at, verdict=words, title=title, notes=(plain(entry.detail),))
        else:
            yield TimelineEntry(at=entry.at, verdict=words, title=plain(entry.detail))
