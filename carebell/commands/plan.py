"""`plan`: what a history of messages would make of the patient's phone, without storing or sending anything."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from carebell.bootstrap.components import environment_named, load
from carebell.commands.files import message_files, messages
from carebell.commands.output import iso, print_json
from carebell.commands.timeline import WHY, TimelineEntry, print_timeline, title_of
from carebell.environment_policy import EnvironmentPolicy, environment_policy
from carebell.exits import OK, REFUSED, Stop
from carebell.outbound.render import text_of
from certs.unverified import unverified
from config.load import Loaded
from parser import siu
from parser.event import Action, Rejection, SchedulingEvent
from scheduler.rehearsal import Rehearsed, rehearse


def plan(config: Path | None, files: Sequence[Path], environment: str, *, at: datetime | None, as_json: bool) -> int:
    """Print each text and each silence, by time; 1 if a file holds no usable message."""
    loaded = load(config)
    environment_named(loaded, environment)
    mine = environment_policy(loaded, environment)
    events = _history(files, mine, at or datetime.now(UTC))
    found = rehearse(events, mine.planning, mine.blocked, zone=mine.zone)
    rows = [_row(each, mine, loaded) for each in found]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        _print_timeline(rows, mine.zone)
    return OK if events else REFUSED


def _history(files: Sequence[Path], mine: EnvironmentPolicy, at: datetime) -> list[SchedulingEvent]:
    """The files' messages as events in the order of their receipt: at their MSH-7, or all at `at` when that is earlier.

    What comes at one instant keeps the order of its sending. The same bytes again are a repetition, which has no second effect.
    """
    events = []
    seen: set[bytes] = set()
    for file in message_files(files):
        for content in messages(file):
            sent = unverified(content, environment=mine.name, zone=mine.environment.zone, received_at=at)
            received = unverified(
                content, environment=mine.name, zone=mine.environment.zone, received_at=min(sent.sent_at, at)
            )
            read = siu.rehearse(received, mine.rules)
            if isinstance(read, Rejection):
                raise Stop(f"{file}: {read.code}: {read.text}")
            if read.action is not Action.SLOT and received.digest not in seen:
                events.append(read)
            seen.add(received.digest)
    return sorted(events, key=lambda event: (event.received_at, event.occurred_at))


def _row(each: Rehearsed, mine: EnvironmentPolicy, loaded: Loaded) -> dict[str, Any]:
    text = text_of(each.appointment, each.row.kind, mine, loaded.configuration.organization) if each.leaves else None
    phone = mine.recipient(each.appointment)
    return {
        "appointment": each.appointment.reference,
        "kind": each.row.kind.value,
        "rule": each.row.rule,
        "due": iso(each.row.due),
        "expires": iso(each.row.expires),
        "status": "planned" if each.leaves else "suppressed",
        "reason": each.row.reason.value,
        "text": text.text if text else None,
        "segments": text.segments if text else None,
        "to": phone.masked if phone else None,
        "revision": each.row.revision,
    }


def _print_timeline(rows: Sequence[dict[str, Any]], zone: str) -> None:
    several = len({row["appointment"] for row in rows}) > 1
    print_timeline(
        [_entry(row, several=several) for row in rows],
        zone,
        empty="these messages ask for no text, and there is nothing to be silent about",
    )


def _entry(row: dict[str, Any], *, several: bool) -> TimelineEntry:
    goes = row["status"] == "planned"
    title = title_of(row["kind"], row["rule"])
    if several:
        title += f", appointment {row['appointment']}"
    notes = [f"{row['reason']}: {WHY[row['reason']]}"]
    if goes:
        segments = f", {row['segments']} segment{'' if row['segments'] == 1 else 's'}" if row["segments"] else ""
        notes.append(f"to {row['to'] or 'nobody'}{segments}: {row['text'] or 'no template gives a text'}")
    due = None if row["due"] is None else datetime.fromisoformat(row["due"])
    return TimelineEntry(at=due, verdict="goes" if goes else "does not go", title=title, notes=tuple(notes))
