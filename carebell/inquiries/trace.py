"""Why did this patient get no text? One appointment's whole life, oldest first, and the sentence that answers it.

It is put together from what is stored already: the outbox, the appointment, the opt-outs and holds, the replay memory of the last
days, and the log with its rotated files, which has every message, refusal, attempt and status. Where the log is not here (another
node's, or rotated away), the steps between planning and outcome are missing, and the trace says so.

A number is turned into the keyed hash under which the database knows it, and stored nowhere. Whoever asks records the look: every
function gets the callable that does it, and calls it before anything is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from carebell.inquiries.source import KeyedSource
from carebell.inquiries.trace_entries import TraceEntry
from carebell.inquiries.trace_life import AppointmentTrace, LifeReader
from carebell.inquiries.trace_log import TraceLog
from carebell.inquiries.trace_messages import message_entries, refusal_words, remembered_messages
from carebell.inquiries.trace_steps import TraceStep
from carebell.times import Zones
from config.load import Loaded
from journal.lines import plain
from journal.rotated import OnUnreadable
from parser.phone_number import PhoneNumber
from store import optouts
from store import outbox as store_outbox
from store.optouts import Optout
from store.phone_holders import PhoneSearch

Record = Callable[[str], None]
"""Writes the look into the audit log: called with its subject."""
Progress = AbstractContextManager[Callable[[int], None]]
"""Gives the function that counts so many steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """What is known.

    Attributes:
        traces: of appointments.
        loose: steps that belong to no appointment; `loose_answer`: what they mean, in a sentence.
        not_found: the sentence if there is nothing.
        notes: what the reader should know about the log and the keys.
    """

    traces: Sequence[AppointmentTrace]
    loose: Sequence[TraceEntry] = ()
    loose_answer: str = ""
    not_found: str = ""
    zones: Zones
    notes: Sequence[str] = ()

    @property
    def known(self) -> bool:
        """Whether there is anything."""
        return bool(self.traces or self.loose)

    @property
    def loose_answer_entry(self) -> TraceEntry:
        """The sentence as a row for programs."""
        at = max(entry.at for entry in self.loose)
        return TraceEntry(at=at, what=TraceStep.ANSWER, detail=self.loose_answer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracer:
    """Looks for appointments at one moment.

    Attributes:
        environment: look only there; None: everywhere.
    """

    source: KeyedSource
    environment: str | None
    log: TraceLog
    life: LifeReader

    @classmethod
    def of(cls, source: KeyedSource, environment: str | None, on_unreadable: OnUnreadable) -> Tracer:
        now = source.now()
        return cls(
            source=source,
            environment=environment,
            log=TraceLog(source=source, now=now, environment=environment, on_unreadable=on_unreadable),
            life=LifeReader(source=source, zones=Zones(source.loaded), now=now, environment=environment),
        )

    @property
    def now(self) -> datetime:
        return self.life.now

    def by_appointment(self, name: str, record: Record) -> Traced:
        """By the hospital's reference, an alias or Carebell's id."""
        with self.source.store.read() as conn:
            ids = store_outbox.ids_of(conn, name, environment=self.environment)
        record(looked_for(name, known=bool(ids)))
        logged = self.log.of_appointments(ids)
        return Traced(
            traces=self.life.traces(ids, logged),
            zones=self.life.zones,
            notes=logged.notes,
            not_found=(
                f"no appointment {plain(name)} is known. A refused message names no appointment: look for its control id with "
                "`carebell trace --control-id ID`, or for refusals with `carebell logs --level warning`."
            ),
        )

    def by_control_id(self, control_id: str, record: Record) -> Traced:
        """By a message's MSH-10: its appointment's life, or why it was refused."""
        logged = self.log.of_message(control_id)
        remembered = remembered_messages(self.source, control_id, self.environment)
        named = {(message.environment, message.reference) for message in remembered if message.reference is not None}
        with self.source.store.read() as conn:
            ids = [
                own_id
                for name, reference in sorted(logged.appointments | named)
                for own_id in store_outbox.ids_of(conn, reference, environment=name)
            ]
        messages = message_entries(self.source, control_id, self.environment, logged)
        record(f"message {looked_for(control_id, known=bool(messages or ids))}")
        traces = self.life.traces(ids, self.log.of_appointments(ids)) if ids else []
        loose = [] if traces else messages  # an appointment's life holds its messages' refusals too
        refused = [entry for entry in loose if entry.what is TraceStep.REFUSED]
        sentence = ""
        if refused:
            sentence = f"Message {plain(control_id)} was refused, {refusal_words(self.source, refused[-1])}"
        elif loose:
            sentence = (
                f"Message {plain(control_id)} was answered {loose[-1].state or 'with an error'}; "
                "the log here does not say which appointment it is about."
            )
        return Traced(
            traces=traces,
            loose=loose,
            loose_answer=sentence,
            zones=self.life.zones,
            notes=logged.notes,
            not_found=(
                f"no message {plain(control_id)} is known: it is not among the verified messages of the last days, and not in the "
                "log. Refusals that repeat within half a minute have one line for all (`refusals_repeated`)."
            ),
        )

    def by_number(self, number: PhoneNumber, record: Record, opening: Progress) -> Traced:
        """Every appointment of a number, and its opt-outs. The look is recorded first: without its record there is none.

        Args:
            record: raises if it cannot record.
            opening: counts the numbers that are opened one by one.
        """
        record(number.masked)
        key = self.source.vault.ring.phone_key(number)
        search = PhoneSearch(self.source.store, self.source.vault, number, self.now)
        with self.source.store.read() as conn:
            ids = {row.appointment for row in store_outbox.rows(conn, phone_key=key, environment=self.environment)}
            outs = optouts.listed(conn, phone_keys={key})
        with opening as step:
            for holder in search.holders():
                step(1)
                if self.environment in (None, holder.environment):
                    ids.add(holder.appointment)
        logged = self.log.of_appointments(sorted(ids))
        sentence = ""
        if outs:
            first = min(optout.since for optout in outs)
            sentence = f"{number.masked} has opted out since {self.life.zones.clock(first)}: no text goes to it from these senders."
        notes = [*logged.notes]
        if search.unreadable:
            notes.append(f"{search.unreadable} appointments keep a number that no key opens; it may be this one")
        return Traced(
            traces=self.life.traces(sorted(ids), logged),
            loose=list(_opted_out(outs)),
            loose_answer=sentence,
            zones=self.life.zones,
            notes=notes,
            not_found=(
                f"no appointment keeps {number.masked}, no text went to it in the last eight days, and it has not opted out. "
                "Numbers are deleted when the visit begins: look for the appointment's id."
            ),
        )


def countries_of(loaded: Loaded, environments: Sequence[str] | None) -> list[str]:
    """The countries by which the environments' messages (None: of all) are read where a number has no country code."""
    every = loaded.configuration.environments
    return list(
        dict.fromkeys(every[name].sms.countries[0] for name in (every if environments is None else environments))
    )


def looked_for(name: str, *, known: bool) -> str:
    """What the audit log says of an id that somebody typed: an unknown one may be a telephone number, or a name."""
    return name if known else "an unknown id"


def _opted_out(outs: Sequence[Optout]) -> Iterator[TraceEntry]:
    for optout in outs:
        yield TraceEntry(
            at=optout.since,
            what=TraceStep.OPTED_OUT,
            reason=optout.source,
            detail=f"from {'every sender' if optout.sender == optouts.EVERY_SENDER else optout.sender}",
        )
