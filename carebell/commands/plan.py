"""`plan`: show which texts a history of messages would cause, without storing or sending anything."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from carebell.bootstrap.components import environment_named, load
from carebell.commands.files import message_files, messages
from carebell.commands.history import read_event
from carebell.commands.output import print_json
from carebell.commands.progress import with_progress
from carebell.commands.timeline import TimelineEntry, print_timeline
from carebell.environment_policy import EnvironmentPolicy, environment_policy
from carebell.exits import OK, REFUSED, Stop
from carebell.outbound.render import first_ask, previewed_token, text_of
from carebell.sms_words import WHY, title_of
from carebell.times import iso
from config.load import Loaded
from journal.lines import plain
from parser.event import Action, Rejection, SchedulingEvent
from scheduler.rehearsal import Rehearsed, SharedNumber, rehearse


def plan(config: Path | None, files: Sequence[Path], environment: str, *, at: datetime | None, as_json: bool) -> int:
    """Print each text, sent or not sent, by time; 1 if a file holds no usable message."""
    loaded = load(config)
    environment_named(loaded, environment)
    policy = environment_policy(loaded, environment)
    events = _history(files, policy, at or datetime.now(UTC))
    rehearsal = rehearse(events, policy.planning, policy.blocked, zone=policy.zone)
    shares_with = {shared.appointment: shared.shares_with for shared in rehearsal.shared_numbers}
    rows = [
        _row(outcome, policy, loaded) | {"shares_id_with": list(shares_with.get(outcome.appointment.reference, ()))}
        for outcome in rehearsal.texts
    ]
    if as_json:
        for row in rows:
            print_json(row)
    else:
        _print_timeline(rows, policy.zone)
    for shared in rehearsal.shared_numbers:
        _warn(shared)
    return OK if events else REFUSED


def _history(files: Sequence[Path], policy: EnvironmentPolicy, at: datetime) -> list[SchedulingEvent]:
    """The files' messages as events, in the order of receipt: at their MSH-7, or at `at` if that is earlier.

    Messages of one instant keep the order of their sending. The same bytes again are a repetition and have no second effect.
    """
    events = []
    digests: set[bytes] = set()
    paths = list(message_files(files))
    for file in with_progress("Reading", paths, len(paths)):
        for message in messages(file):
            received, event = read_event(message.content, policy, at)
            if isinstance(event, Rejection):
                raise Stop(f"{message.name}: {event.code}: {event.text}")
            if event.action is not Action.SLOT and received.digest not in digests:
                events.append(event)
            digests.add(received.digest)
    return sorted(events, key=lambda event: (event.received_at, event.occurred_at))


def _row(outcome: Rehearsed, policy: EnvironmentPolicy, loaded: Loaded) -> dict[str, Any]:
    text = (
        text_of(
            outcome.appointment,
            outcome.row.kind,
            policy,
            loaded.configuration.organization,
            previewed_token(outcome.appointment, policy),
            asking=first_ask(outcome.row.kind, policy),
        )
        if outcome.leaves
        else None
    )
    phone = policy.recipient(outcome.appointment)
    return {
        "appointment": outcome.appointment.reference,
        "kind": outcome.row.kind.value,
        "rule": outcome.row.rule,
        "due": iso(outcome.row.due),
        "expires": iso(outcome.row.expires),
        "status": "planned" if outcome.leaves else "suppressed",
        "reason": outcome.row.reason.value,
        "text": text.text if text else None,
        "segments": text.segments if text else None,
        "to": phone.masked if phone else None,
        "revision": outcome.row.revision,
    }


def _warn(shared: SharedNumber) -> None:
    """Name on standard error the visits that stay beside one that was rescheduled under a new id."""
    others = ", ".join(shared.shares_with)
    stays, takes = ("it: both", "takes") if len(shared.shares_with) == 1 else ("them: all", "take")
    sentence = (
        f"the S13 of {shared.appointment} shares a placer or visit number with {others} but does not replace {stays} stay; "
        f"look in the hospital's system whether {others} still {takes} place"
    )
    print(plain(f"carebell: warning: {sentence}"), file=sys.stderr)


def _print_timeline(rows: Sequence[dict[str, Any]], zone: str) -> None:
    names_appointment = len({row["appointment"] for row in rows}) > 1
    print_timeline(
        [_entry(row, names_appointment=names_appointment) for row in rows],
        zone,
        empty="these messages cause no text and suppress none",
    )


def _entry(row: dict[str, Any], *, names_appointment: bool) -> TimelineEntry:
    goes = row["status"] == "planned"
    title = title_of(row["kind"], row["rule"])
    if names_appointment:
        title += f", appointment {row['appointment']}"
    notes = [f"{row['reason']}: {WHY[row['reason']]}"]
    if goes:
        segments = f", {row['segments']} segment{'' if row['segments'] == 1 else 's'}" if row["segments"] else ""
        notes.append(f"to {row['to'] or 'nobody'}{segments}: {row['text'] or 'no template gives a text'}")
    due = None if row["due"] is None else datetime.fromisoformat(row["due"])
    return TimelineEntry(at=due, verdict="goes" if goes else "does not go", title=title, notes=tuple(notes))
