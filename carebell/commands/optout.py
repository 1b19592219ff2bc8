"""`optout`: who must not be texted, by hand. Numbers are asked for rather than taken as arguments where possible."""

from __future__ import annotations

from pathlib import Path

from carebell.commands.open_store import Opened, opened
from carebell.commands.output import iso, print_json, print_table
from carebell.commands.typed import read_number, typed_number
from carebell.commands.zones import Zones
from carebell.exits import OK, REFUSED, UsageStop
from store import audit, optouts
from store.optouts import Optout


def list_all(config: Path | None, *, as_json: bool) -> None:
    """Every opt-out: sender, source and time; the number is a keyed hash."""
    with opened(config) as one, one.store.read() as conn:
        found, zones = list(optouts.listed(conn)), Zones(one.loaded)
    if as_json:
        for each in found:
            print_json(
                {"sender": each.sender, "source": each.source, "since": iso(each.since), "phone_key": each.phone_key}
            )
        return
    if found:
        print(zones.sentence({None}))
    print_table(
        ["Sender", "Source", "Since", "Number (keyed hash)"],
        [(each.sender, each.source, zones.clock(each.since), each.phone_key[:16]) for each in found],
        empty="nobody has opted out",
    )


def add(config: Path | None, number: str | None, sender: str | None) -> None:
    """Record an opt-out."""
    phone = read_number(number) if number is not None else typed_number("Number")
    with opened(config) as one:
        key, now = one.vault.ring.phone_key(phone), one.now()
        with one.store.write() as conn:
            for each in [*_senders(one, sender), *([optouts.EVERY_SENDER] if sender is None else [])]:
                optouts.add(conn, Optout(phone_key=key, sender=each, source="cli", since=now))
                audit.append(conn, actor=one.actor, action="optout.add", subject=phone.masked, after=each, at=now)
    print(f"{phone.masked} will not be texted")


def remove(config: Path | None, number: str | None, sender: str | None) -> int:
    """Take an opt-out back; 1 if there was none."""
    phone = read_number(number) if number is not None else typed_number("Number")
    removed = False
    with opened(config) as one:
        key, now = one.vault.ring.phone_key(phone), one.now()
        with one.store.write() as conn:
            for each in (*_senders(one, sender), optouts.EVERY_SENDER):
                if optouts.remove(conn, key, each, at=now):
                    removed = True
                    audit.append(
                        conn, actor=one.actor, action="optout.remove", subject=phone.masked, before=each, at=now
                    )
    print(f"{phone.masked} may be texted again" if removed else f"{phone.masked} had not opted out")
    return OK if removed else REFUSED


def _senders(one: Opened, sender: str | None) -> list[str]:
    known = sorted({environment.sms.sender for environment in one.loaded.configuration.environments.values()})
    if sender is None:
        return known
    if sender not in known:
        raise UsageStop(f"--sender: {sender} is not a sender of this configuration; there are {', '.join(known)}")
    return [sender]
