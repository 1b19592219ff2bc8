"""An example of each command, for the reference and the man page; tests check that each is a call that exists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "init": ("carebell init hospital --demo",),
    "demo": ("carebell demo --dir /tmp/demo", "carebell demo --stay"),
    "serve": ("carebell serve", "carebell serve --clock 2026-11-21T18:00:00Z --speed 3600"),
    "check-config": ("carebell check-config", "carebell check-config -c trial.yaml"),
    "doctor": ("sudo carebell doctor", "sudo carebell doctor --online"),
    "db backup": ("carebell db backup backup/carebell-2026-11-21.db", "carebell db backup --noted"),
    "install": ("sudo carebell install", "sudo carebell install --root image"),
    "cert show": ("carebell cert show certs/production.cer --at 2027-01-31T00:00:00Z",),
    "sign": ("carebell sign message.hl7 --key engine.key --cert engine.cer -o signed.hl7",),
    "verify": ("carebell verify signed.hl7 -e production",),
    "send": ("carebell send messages/*.hl7 --to 127.0.0.1:2575 --key engine.key --cert engine.cer",),
    "explain": ("carebell explain message.hl7 -e production", "carebell explain archive -e production --conformance"),
    "plan": ("carebell plan booked.hl7 moved.hl7 -e production --at 2026-11-21T18:00:00Z",),
    "rehearse": (
        "carebell rehearse archive --days 14 --html rehearsal.html",
        "carebell rehearse --simulate 40 -e production",
    ),
    "config preview": ("carebell config preview trial.yaml", "carebell config preview trial.yaml --appointments"),
    "config set": (
        "carebell config set environments.production.sms.quiet_hours.from 22:00 --comment 'ticket 4711'",
        "carebell config set environments.test.sms.caps --remove --dry-run",
        "carebell config set environments.production.sms.min_gap 3h --base d14efd61578f",
    ),
    "config restore": ("carebell config restore d14efd61578f",),
    "config history": ("carebell config history",),
    "config show": ("carebell config show d14efd61578f",),
    "outbox": ("carebell outbox --appointment 900100", "carebell outbox --state due --json"),
    "appointments": ("carebell appointments --appointment 900100",),
    "trace": ("carebell trace --appointment 900100", "carebell trace --control-id MSG00001", "carebell trace --phone"),
    "logs": ("carebell logs --follow --level warning", "carebell logs --appointment 900100 --since 7d"),
    "status": ("carebell status",),
    "report sms": ("carebell report sms --from 2026-11-01 --to 2026-11-30 --csv",),
    "hold": ("carebell hold -e production --reason 'wrong clinic name'",),
    "release": ("carebell release -e production",),
    "purge": ("carebell purge", "carebell purge --verify"),
    "audit": ("carebell audit --since 7d --what optout",),
    "audit verify": ("carebell audit verify",),
    "audit export": ("carebell audit export --csv -o audit.csv",),
    "optout list": ("carebell optout list",),
    "optout add": ("carebell optout add",),
    "optout remove": ("carebell optout remove",),
    "keys rotate": ("carebell keys rotate",),
    "keys drop-unreadable": ("carebell keys drop-unreadable --yes",),
    "db upgrade": ("carebell db upgrade",),
    "db downgrade": ("carebell db downgrade 0001",),
    "numbers list": ("carebell numbers list",),
    "numbers search": ("carebell numbers search --area-code 425",),
    "numbers buy": ("carebell numbers buy +14255550100 --dry-run",),
    "numbers link": ("carebell numbers link +14255550100",),
    "portal user add": (
        "carebell portal user add kim --role administrator --name 'Kim Lee'",
        "carebell portal user add dana --role analyst -e production",
    ),
    "portal user invite": ("carebell portal user invite kim",),
    "portal user list": ("carebell portal user list",),
    "portal user disable": ("carebell portal user disable dana",),
    "portal user enable": ("carebell portal user enable dana",),
    "portal unlock": ("carebell portal unlock kim",),
    "simulator twilio": ("carebell simulator twilio --port 8099",),
    "simulator fhir": (
        "carebell simulator fhir --port 8090",
        "carebell simulator fhir --fault slow --at token",
    ),
    "simulator ehr": ("carebell simulator ehr --to 127.0.0.1:2575 --count 100 --key engine.key --cert engine.cer",),
}
"""Command without `carebell` -> calls."""
