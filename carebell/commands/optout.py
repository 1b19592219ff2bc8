"""`optout`: list and edit the opt-outs. A number is asked for at the terminal, unless it is given as an argument."""

from __future__ import annotations

from pathlib import Path

from carebell.commands.interrupt import interruptible
from carebell.commands.open_store import Opened, opened
from carebell.commands.output import print_json, print_sentence, print_table
from carebell.commands.typed import read_number, typed_number
from carebell.exits import OK, REFUSED, UsageStop
from carebell.outbound import manual_opt_outs
from carebell.times import Zones, iso
from store import optouts


def list_all(config: Path | None, *, as_json: bool) -> None:
    """Print every opt-out: sender, source and time. The number is a keyed hash."""
    with opened(config) as session, session.store.read() as conn:
        records, zones = list(optouts.listed(conn)), Zones(session.loaded)
    if as_json:
        for record in records:
            print_json(
                {
                    "sender": record.sender,
                    "source": record.source,
                    "since": iso(record.since),
                    "phone_key": record.phone_key,
                }
            )
        return
    if records:
        print_sentence(zones.sentence({None}))
    print_table(
        ["Sender", "Source", "Since", "Number (keyed hash)"],
        [(record.sender, record.source, zones.clock(record.since), record.phone_key[:16]) for record in records],
        empty="nobody has opted out",
    )


def add(config: Path | None, number: str | None, sender: str | None, *, as_json: bool) -> None:
    """Record an opt-out."""
    with interruptible() as progress:
        phone = read_number(number) if number is not None else typed_number("Number")
        with opened(config) as session:
            ring, now = session.vault.ring, session.now()
            names = [*_senders(session, sender), *([optouts.EVERY_SENDER] if sender is None else [])]
            with session.store.write() as conn:
                manual_opt_outs.add(conn, session.author, phone, names, ring, source="cli", at=now)
                progress.done = "the opt-out may have been stored; `carebell optout list` says"
            progress.done = f"{phone.masked} will not be texted"
    if as_json:
        for name in names:
            print_json({"phone": phone.masked, "sender": name, "opted_out": True})
    else:
        print_sentence(f"{phone.masked} will not be texted")


def remove(config: Path | None, number: str | None, sender: str | None, *, as_json: bool) -> int:
    """Delete an opt-out; 1 if there was none."""
    removed: list[str] = []
    with interruptible() as progress:
        phone = read_number(number) if number is not None else typed_number("Number")
        with opened(config) as session:
            ring, now = session.vault.ring, session.now()
            names = (*_senders(session, sender), optouts.EVERY_SENDER)
            with session.store.write() as conn:
                removed += manual_opt_outs.remove(conn, session.author, phone, names, ring, at=now)
                progress.done = "the opt-out may have been taken back; `carebell optout list` says"
            progress.done = f"{phone.masked} may be texted again"
    if as_json:
        for name in names:
            print_json({"phone": phone.masked, "sender": name, "opted_out": False, "changed": name in removed})
    else:
        print_sentence(f"{phone.masked} may be texted again" if removed else f"{phone.masked} had not opted out")
    return OK if removed else REFUSED


def _senders(session: Opened, sender: str | None) -> list[str]:
    senders = manual_opt_outs.senders_of(session.loaded.configuration)
    if sender is None:
        return senders
    if sender not in senders:
        raise UsageStop(f"--sender: {sender} is not a sender of this configuration; there are {', '.join(senders)}")
    return [sender]
