"""`trace`: one appointment's whole life, oldest first, and the sentence that says why its patient got no text.

It is put together from what is stored already: the outbox, the appointment, the opt-outs and holds, the replay memory of the last
days, and the log with its rotated files, which has every message, refusal, attempt and status. Where the log is not here (another
node's, or rotated away), the steps between planning and outcome are missing, and the trace says so.

A number is asked for at the terminal, never taken as an argument. It is turned into the keyed hash under which the database knows
it, and stored nowhere. Each look is recorded in the audit log; a look by number not without its record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from carebell.bootstrap.components import environment_named
from carebell.commands.open_store import Opened, looked_for, opened
from carebell.commands.output import iso, print_json, print_sentence
from carebell.commands.progress import progress
from carebell.commands.timeline import TITLES, TimelineEntry, print_timeline, title_of
from carebell.commands.trace_entries import TraceEntry, TraceStep
from carebell.commands.trace_life import AppointmentTrace, LifeReader, message_entries, remembered_messages
from carebell.commands.typed import typed_number
from carebell.commands.zones import Zones
from carebell.exits import OK, REFUSED, Stop, UsageStop
from journal.lines import plain
from parser.phone_number import PhoneNumber
from store import audit, optouts
from store import outbox as store_outbox
from store.audit import AuditAction
from store.phone_holders import PhoneSearch

_WORDS = {
    TraceStep.MESSAGE: "message",
    TraceStep.REFUSED: "refused",
    TraceStep.REPEATED: "came again",
    TraceStep.NOT_STORED: "not stored",
    TraceStep.PLANNED: "planned",
    TraceStep.MOVED: "moved",
    TraceStep.NOT_SENT: "does not go",
    TraceStep.SENT: "sent",
    TraceStep.RETRY: "try again",
    TraceStep.UNKNOWN: "unknown",
    TraceStep.RESOLVED: "found out",
    TraceStep.STATUS: "status",
    TraceStep.FAILED: "failed",
    TraceStep.OPTED_OUT: "opted out",
    TraceStep.OPTED_IN: "opted in",
    TraceStep.REPLY: "reply",
    TraceStep.HELD: "held",
    TraceStep.RELEASED: "released",
    TraceStep.BREAKER_OPENED: "stopped",
    TraceStep.BREAKER_CLOSED: "resumed",
    TraceStep.ALARM: "alarm",
    TraceStep.FORGOTTEN: "forgotten",
    TraceStep.WAITS: "waits",
    TraceStep.WILL_NOT_GO: "will not go",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Traced:
    """What a call found.

    Attributes:
        traces: of appointments. loose: steps that belong to no appointment, and what they mean in a sentence.
        not_found: the sentence if there is nothing.
    """

    traces: Sequence[AppointmentTrace]
    loose: Sequence[TraceEntry] = ()
    loose_answer: str = ""
    not_found: str = ""
    zones: Zones
    notes: Sequence[str] = ()


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
    number = typed_number("Number") if by_phone else None
    with opened(config) as session:
        if environment is not None:
            environment_named(session.loaded, environment)
        if number is not None:
            traced = _by_number(session, number, environment)
        elif appointment is not None:
            traced = _by_appointment(session, appointment, environment)
        else:
            assert control_id is not None
            traced = _by_control_id(session, control_id, environment)
    if as_json:
        if not traced.traces and not traced.loose:
            raise Stop(traced.not_found)
        _print_rows(traced)
    else:
        _print_for_people(traced)
    return OK if traced.traces or traced.loose else REFUSED


# Looking


def _by_appointment(session: Opened, name: str, environment: str | None) -> _Traced:
    reader = LifeReader.of(session, environment)
    with session.store.read() as conn:
        ids = store_outbox.ids_of(conn, name, environment=environment)
    session.shown(AuditAction.TRACE, subject=looked_for(name, known=bool(ids)), environment=environment)
    logged = reader.logged(ids)
    return _Traced(
        traces=reader.traces(ids, logged),
        zones=reader.zones,
        notes=logged.notes,
        not_found=(
            f"no appointment {plain(name)} is known. A refused message names no appointment: look for its control id with "
            "`carebell trace --control-id ID`, or for refusals with `carebell logs --level warning`."
        ),
    )


def _by_control_id(session: Opened, control_id: str, environment: str | None) -> _Traced:
    reader = LifeReader.of(session, environment)
    logged = reader.logged_of_message(control_id)
    remembered = remembered_messages(session, control_id, environment)
    named = {(message.environment, message.reference) for message in remembered if message.reference is not None}
    with session.store.read() as conn:
        ids = [
            own_id
            for name, reference in sorted(logged.appointments | named)
            for own_id in store_outbox.ids_of(conn, reference, environment=name)
        ]
    messages = message_entries(session, control_id, environment, logged)
    known = looked_for(control_id, known=bool(messages or ids))
    session.shown(AuditAction.TRACE, subject=f"message {known}", environment=environment)
    traces = reader.traces(ids, reader.logged(ids)) if ids else []
    loose = [] if traces else messages  # an appointment's life holds its messages' refusals too
    refused = [entry for entry in loose if entry.what is TraceStep.REFUSED]
    sentence = ""
    if refused:
        sentence = f"Message {plain(control_id)} was refused, {_refusal(session, refused[-1])}"
    elif loose:
        sentence = (
            f"Message {plain(control_id)} was answered {loose[-1].state or 'with an error'}; "
            "the log here does not say which appointment it is about."
        )
    return _Traced(
        traces=traces,
        loose=loose,
        loose_answer=sentence,
        zones=reader.zones,
        notes=logged.notes,
        not_found=(
            f"no message {plain(control_id)} is known: it is not among the verified messages of the last days, and not in the log. "
            "Refusals that repeat within half a minute have one line for all (`refusals_repeated`)."
        ),
    )


def _refusal(session: Opened, entry: TraceEntry) -> str:
    """The answer, that nothing of the message was stored, and the answer's own words in config/answers.yaml."""
    code = "" if entry.code is None else str(entry.code)
    row = session.loaded.answer_rows.get(code)
    words = "" if row is None else f" {row['meaning']} What to do: {row['advice']}"
    return f"{entry.state}{code and f' {code}'}: nothing of it was stored, so no text was planned.{words}"


def _by_number(session: Opened, number: PhoneNumber, environment: str | None) -> _Traced:
    """The look is recorded first: without its record there is none."""
    now = session.now()
    with session.store.write() as conn:
        audit.append(conn, session.author, AuditAction.TRACE, subject=number.masked, environment=environment, at=now)
    key = session.vault.ring.phone_key(number)
    reader = LifeReader.of(session, environment)
    search = PhoneSearch(session.store, session.vault, number, now)
    with session.store.read() as conn:
        ids = {row.appointment for row in store_outbox.rows(conn, phone_key=key, environment=environment)}
        outs = [optout for optout in optouts.listed(conn) if optout.phone_key == key]
    with progress("Opening stored numbers", None) as step:
        for holder in search.holders():
            step(1)
            if environment in (None, holder.environment):
                ids.add(holder.appointment)
    logged = reader.logged(sorted(ids))
    loose = [
        TraceEntry(
            at=optout.since,
            what=TraceStep.OPTED_OUT,
            reason=optout.source,
            detail=f"from {'every sender' if optout.sender == optouts.EVERY_SENDER else optout.sender}",
        )
        for optout in outs
    ]
    sentence = ""
    if outs:
        first = min(optout.since for optout in outs)
        sentence = (
            f"{number.masked} has opted out since {reader.zones.clock(first)}: no text goes to it from these senders."
        )
    notes = [*logged.notes]
    if search.unreadable:
        notes.append(f"{search.unreadable} appointments keep a number that no key opens; it may be this one")
    return _Traced(
        traces=reader.traces(sorted(ids), logged),
        loose=loose,
        loose_answer=sentence,
        zones=reader.zones,
        notes=notes,
        not_found=(
            f"no appointment keeps {number.masked}, no text went to it in the last eight days, and it has not opted out. "
            "Numbers are deleted when the visit begins: look for the appointment's id."
        ),
    )


# Printing


def _print_rows(traced: _Traced) -> None:
    if traced.loose_answer:
        _print_row(_answer_row(traced.loose, traced.loose_answer))
    for entry in sorted(traced.loose, key=lambda entry: entry.order):
        _print_row(entry)
    for life in traced.traces:
        for entry in life.entries:
            _print_row(entry)
        _print_row(life.answer_entry)


def _answer_row(loose: Sequence[TraceEntry], sentence: str) -> TraceEntry:
    return TraceEntry(at=max(entry.at for entry in loose), what=TraceStep.ANSWER, detail=sentence)


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


def _print_for_people(traced: _Traced) -> None:
    if not traced.traces and not traced.loose:
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
        words = _WORDS[entry.what]
        if title:
            yield TimelineEntry(at=entry.at, verdict=words, title=title, notes=(plain(entry.detail),))
        else:
            yield TimelineEntry(at=entry.at, verdict=words, title=plain(entry.detail))
