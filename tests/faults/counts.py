"""The faults of docs/explanation/promises.md that are provoked here, and how often: in CI and by `make faults`.

A test says which fault it is with `@pytest.mark.faults("F3")` and takes the fixture `tally` for its number of rounds. One that
proves that a harness would notice says so: `@pytest.mark.faults("F3", proof=True)`; its rounds do not count.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

FULL: Final = "CAREBELL_FAULTS"
"""Set to `full` for the counts of `make faults`, or to a share of them such as 0.4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Attributes: ci, full: rounds, in `unit`. promise: what is counted, for the table."""

    name: str
    promise: str
    unit: str
    ci: int
    full: int

    @property
    def rounds(self) -> int:
        """As many as this run asks for; a share of the full count is never less than CI's."""
        wanted = os.environ.get(FULL)
        if wanted is None:
            return self.ci
        return self.full if wanted == "full" else max(self.ci, round(self.full * float(wanted)))


def share_with(workers: int) -> float:
    """The share of a fault's rounds that is run with so many workers."""
    if os.environ.get(FULL) is None:
        return 0.8 if workers == 1 else 0.2
    return 0.2 if workers == 1 else 1.0


def number_of(row: str) -> str:
    """The fault that a row is about: `F16` of `F16 frames`."""
    return row.split()[0]


def _fault(row: str, name: str, promise: str, unit: str, ci: int, full: int) -> tuple[str, Fault]:
    return row, Fault(name=name, promise=promise, unit=unit, ci=ci, full=full)


_GOES_BACK: Final = "each arrives, with one id and one content, in its visit's order"
_FUZZ: Final = "no traceback, no hang, nothing stored that nobody signed"

FAULTS: Final[Mapping[str, Fault]] = dict([
    _fault("F1", "kill -9 under load", "no acknowledged message is lost, no text doubled", "kills", 30, 500),
    _fault("F2", "exit at named points", "no acknowledged message is lost, no text doubled", "exits a point", 3, 20),
    _fault("F3", "power cut", "no acknowledged message is lost", "cuts", 20, 200),
    _fault("F4", "fsync before ACK", "the disk confirmed before each answer left", "messages", 1000, 1000),
    _fault("F5", "disk full", "nothing is answered that is not stored; goes on when there is room", "times full", 5, 20),
    _fault("F6", "database locked", "no answer without a commit; goes on when free", "locks", 10, 50),
    _fault("F7", "EIO on fsync", "ends itself and acknowledges nothing more", "failures", 5, 20),
    _fault("F8", "clock jumps", "no text doubled, each sent or recorded with its reason; goes on by itself", "jumps", 10, 100),
    _fault("F9", "change to and from summer time", "the oracle's texts, each in its minute", "clinics", 12, 120),
    _fault("F10", "Twilio answers 429, 500, 503", "no text doubled, none lost without being reported", "texts", 200, 1000),
    _fault("F11", "Twilio's answer is lost or half", "no text doubled, none lost without being reported", "texts", 200, 1000),
    _fault("F12", "ACK lost, message sent again", "one effect each, the same answer again", "messages", 300, 2000),
    _fault("F13", "cancel races the due time", "no create starts after the cancel's ACK", "races", 500, 5000),
    _fault("F14", "messages reordered and doubled", "the newest message's state, whatever the order", "histories", 2000, 10_000),
    _fault("F15", "half-open, slow and stuck peers", "a good peer is answered; nothing is held after them", "peers", 50, 500),
    _fault("F16 frames", "damaged frames", _FUZZ, "frames", 20_000, 200_000),
    _fault("F16 headers", "damaged signature headers", _FUZZ, "headers", 5000, 50_000),
    _fault("F16 YAML", "damaged configurations", "loaded, or refused with a place; no traceback, no hang", "files", 2000, 20_000),
    _fault("F17", "webhooks doubled, reversed, early, forged", "the right state; forged ones change nothing", "texts", 500, 5000),
    _fault("F18", "SIGTERM under load", "what was read is committed and answered, exit 0", "stops", 10, 100),
    _fault("F19", "certificate rotation and reload under load", "no good message is refused", "rotations", 10, 100),
    _fault("F20", "service off over the deadline", "no number readable in any file afterwards", "appointments", 1000, 10_000),
    _fault("F21", "an old backup is restored", "nothing is sent until a person releases it", "restores", 2, 20),
    _fault("F22", "two nodes on PostgreSQL, one killed", "the other takes over; no text doubled", "kills", 10, 100),
    _fault("F23", "kill -9 while texts are being posted", "no more texts in doubt than requests were open", "kills", 2, 20),
    _fault("F24", "messages meet the gateway's answers on PostgreSQL", "no deadlock", "messages and texts", 1000, 100_000),
    _fault("F25", "kill -9 of a worker or of the supervisor", "nothing is lost or doubled; the others go on", "kills", 30, 500),
    _fault("P1", "kill -9 while a configuration is saved", "old or new, whole; the history follows", "times each step", 1, 50),
    _fault("P2", "disk full and EIO while saving it", "the old file stays, and the reason is said", "failures", 4, 50),
    _fault("P3", "two savers and an editor at once", "one wins, nobody is overwritten or merged", "rounds", 50, 1000),
    _fault("P4", "random edits by key", "the wanted values, all other bytes as they were; or a refusal", "edits", 20, 20_000),
    _fault("P5", "a preview against what then happens", "the same texts, exactly", "previews", 4, 2000),
    _fault("P6", "approvals race reloads", "no text under facts that nobody approved; none is lost", "steps", 100, 2000),
    _fault("P7", "forged forms", "none reaches a page, at no address", "forgeries at each address", 15, 15),
    _fault("P8", "each role at each address", "the written table is what the portal does", "askers at each address", 6, 6),
    _fault("P9", "tokens, codes and links of the portal used again", "refused", "attacks", 8, 8),
    _fault("P10", "guessing at the portal's sign-in", "few guesses count; the right person comes in", "attempts", 500, 10_000),
    _fault("P11", "attacks on a sign-in at another server", "refused, said why; no token is kept", "attacks", 39, 39),
    _fault("P12", "hostile certificates and file names", "judged as by cert show; written nowhere else", "uploads", 51, 51),
    _fault("P13", "markup in every stored field", "only words, on every page", "portal full of it", 1, 1),
    _fault("P14", "patients known to the letter", "nothing of them on a page, in a file or a log", "portal full of them", 1, 1),
    _fault("P15", "scanners of join links", "no event is recorded, and the link still works", "requests", 200, 1000),
    _fault("P16", "guessing join links", "none found; limited, alarmed; an ended one looks alike", "guesses", 500, 1_000_000),
    _fault("P17", "a visit changes beneath who waits", "the right page at the next look; no token left", "visits", 10, 2000),
    _fault("P18", "making a meeting fails, is doubled or late", "one meeting; a patient without one sees words", "visits", 20, 200),
    _fault("P19", "a meeting's webhooks forged, doubled, reversed, lost", "the times of its report", "visits", 25, 5000),
    _fault("P20", "replies doubled, late, after a move", "what a model says; STOP wins; no word kept", "replies", 100, 20_000),
    _fault("P21", "an EHR that answers wrong, late or not at all", _GOES_BACK,
           "messages", 100, 5000),
    _fault("P22", "kill -9 of who sends to the EHR", _GOES_BACK, "kills", 3, 500),
    _fault("P23", "a message that the EHR never takes", "the others go on; in strict order it is an alarm", "messages", 10, 50),
    _fault("P24", "the EHR sends back what it was told", "no text, nothing goes back", "echoes", 50, 1000),
    _fault("P25", "a FHIR server changes, refuses, stalls and forgets tokens", "the rows say what the EHR has", "write-backs",
           120, 5000),
    _fault("P26", "an EHR that is away for a day", "late ones are named, the rest arrives in order", "messages", 60, 60),
    _fault("P27", "what a proxy gets wrong before the patients' pages", "refused, or does no harm", "requests", 13, 13),
])  # fmt: skip
