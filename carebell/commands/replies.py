"""`reply`: which patients wait for a person, and noting that one of them was seen to."""

from __future__ import annotations

import sys
from pathlib import Path

from carebell.bootstrap.components import environment_named
from carebell.commands.interrupt import interruptible
from carebell.commands.open_store import opened
from carebell.commands.output import print_json, print_sentence, print_table
from carebell.exits import OK, REFUSED, Stop
from carebell.inquiries.waiting_replies import waiting_replies
from carebell.outbound import manual_replies
from carebell.times import Zones, iso
from store import patient_replies


def list_all(config: Path | None, *, environment: str | None, as_json: bool) -> None:
    """Print them, the longest wait first. No number: the hospital finds it by the appointment's."""
    with opened(config) as session:
        if environment is not None:
            environment_named(session.loaded, environment)
        only = None if environment is None else [environment]
        with session.store.read() as conn:
            listed, more = waiting_replies(conn, session.vault, session.now(), environments=only)
        zones = Zones(session.loaded)
    if more:
        print("there are more replies than are looked at: the newest are missing; note some as done", file=sys.stderr)
    if as_json:
        for waiting in listed:
            print_json(
                {
                    "id": waiting.newest.id,
                    "environment": waiting.newest.environment,
                    "appointment": waiting.reference,
                    "reply": waiting.newest.kind.value,
                    "reason": None if waiting.newest.reason is None else waiting.newest.reason.value,
                    "since": iso(waiting.since),
                    "count": waiting.count,
                    "start": None if waiting.start is None else iso(waiting.start),
                    "moved": waiting.moved,
                }
            )
        return
    if listed:
        print_sentence(zones.sentence({waiting.newest.environment for waiting in listed}))
    print_table(
        ["Appointment", "Reply", "Since", "Times", "Visit", "Environment", "Id"],
        [
            (waiting.reference, waiting.newest.kind.value, zones.clock(waiting.since, waiting.newest.environment),
             waiting.count, zones.clock(waiting.start, waiting.newest.environment), waiting.newest.environment,
             waiting.newest.id)
            for waiting in listed
        ],
        empty="none of those looked at waits for a person" if more else "no patient waits for a person",
    )  # fmt: skip


def done(config: Path | None, reply_id: str, *, as_json: bool) -> int:
    """Note that one was seen to; 1 if it does not wait."""
    with interruptible() as progress, opened(config) as session:
        with session.store.write() as conn:
            if patient_replies.by_id(conn, reply_id) is None:
                raise Stop(f"there is no reply {reply_id}; `carebell reply list` has those that wait")
            changed = manual_replies.done(conn, session.author, reply_id, at=session.now())
            progress.done = "it may be noted; `carebell reply list` says"
        progress.done = f"{reply_id} waits no more" if changed else ""
    if as_json:
        print_json({"id": reply_id, "changed": changed})
    else:
        print_sentence(f"{reply_id} waits no more" if changed else f"{reply_id} does not wait")
    return OK if changed else REFUSED
