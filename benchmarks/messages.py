"""The messages of a run: distinct bookings, signed with RSA-2048, framed and kept in a file for every server alike."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import repeat
from pathlib import Path
from typing import Final, Literal

from listener.framing import frame
from simulator.ehr import SenderIdentity, make_identity
from simulator.patients import make_patient
from simulator.shapes import Feed, Visit, write_siu
from tests.faults.senders import Signer

_LENGTH: Final = struct.Struct("=I")
_PART: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """Attributes:
    file: frames, each behind its length (4 bytes, this machine's order). count: how many. size: bytes of a frame, on average.
    certificate: the sender's `.cer`.
    """

    file: Path
    count: int
    size: int
    certificate: bytes


def make_messages(folder: Path, count: int) -> Messages:
    """Sign `count` messages, on all cores: about 1 ms each on one."""
    identity, now = make_identity("Load", now=datetime.now(UTC), bits=2048), datetime.now(UTC)
    return sign(folder / "messages", range(count), identity, now, workers=os.cpu_count() or 1)


Content = Callable[[int, random.Random, datetime], bytes]
"""(its number, a source of chance, now) -> an unsigned message."""


def sign(
    file: Path, numbers: range, identity: SenderIdentity, now: datetime, *, workers: int, content: Content | None = None
) -> Messages:
    """The messages `numbers` into `file`; another range of the same identity's makes other messages.

    Args:
        content: a module's function; a booking of appointment `number` if not given.
    """
    parts = [numbers[at : at + _PART] for at in range(0, len(numbers), _PART)]
    with ProcessPoolExecutor(workers) as pool, file.open("wb") as out:
        for made in pool.map(_make, parts, repeat(identity), repeat(now), repeat(content or booking)):
            for frame in made:
                out.write(_LENGTH.pack(len(frame)) + frame)
    size = file.stat().st_size // len(numbers) - _LENGTH.size
    return Messages(file=file, count=len(numbers), size=size, certificate=identity.certificate)


def read_messages(file: Path) -> Iterator[bytes]:
    """The frames of such a file."""
    raw, at = file.read_bytes(), 0
    while at < len(raw):
        (length,) = _LENGTH.unpack_from(raw, at)
        at += _LENGTH.size
        yield raw[at : at + length]
        at += length


def _make(numbers: range, identity: SenderIdentity, now: datetime, content: Content) -> list[bytes]:
    signer, rng = Signer(identity), random.Random(numbers.start)
    return [frame(signer.sign(content(number, rng, now))) for number in numbers]


def booking(number: int, rng: random.Random, now: datetime) -> bytes:
    """An unsigned SIU^S12 of appointment `number`, three to four weeks ahead."""
    return _message(number, rng, now, event="S12", later=0, control_id=f"B{number}")


MOVED: Final = 4999
"""Appointments that `booking_or_move` books, and then moves again and again. Odd: each comes in both halves of the messages;
as many as these, since a message reads all texts that were ever planned for its appointment."""


def booking_or_move(number: int, rng: random.Random, now: datetime) -> bytes:
    """The first `MOVED` book an appointment each; the others move one of those, so that each is changed all the time."""
    times, appointment = divmod(number, MOVED)
    at = now - timedelta(minutes=30) + timedelta(seconds=times)
    event: Literal["S12", "S13"] = "S13" if times else "S12"
    return _message(appointment, rng, at, event=event, later=times, control_id=f"M{number}")


def _message(
    number: int, rng: random.Random, now: datetime, *, event: Literal["S12", "S13"], later: int, control_id: str
) -> bytes:
    """`later`: quarters of an hour after its first time."""
    start = now.replace(minute=0, second=0, microsecond=0) + timedelta(days=21, minutes=15 * (number % 600 + later))
    visit = Visit(
        reference=f"{number}",
        patient=make_patient(rng, number),
        start=start,
        minutes=30,
        provider="Adams",
        location="NORTH",
        video=number % 5 == 0,
        status="Booked",
    )
    message = write_siu(Feed(), visit, event=event, control_id=control_id, sent_at=now)
    return message.replace(b"\rRGS|", _BESIDE + b"\rRGS|") + _AFTER


# What engines send with a booking and nobody here reads: with it a signed message has the 1.6 KB of a real one.
_BESIDE: Final = "".join(
    f"\r{segment}"
    for segment in (
        "PD1||||1002^Baker^Ruth^^^DR^MD^^NPI",
        "NK1|1|Example^Robin|SPO^Spouse^HL70063|12 Example Street^^Exampletown^WA^98052^USA|||EC^Emergency contact^HL70131",
        "PV2|||V70.0^Routine medical examination^I9C|||||20260101|||||||||||||N",
        "OBX|1|NM|8302-2^Body height^LN||170|cm^centimeter^UCUM|||||F|||20260101101500",
        "OBX|2|NM|29463-7^Body weight^LN||70|kg^kilogram^UCUM|||||F|||20260101101500",
        "DG1|1||Z00.00^Encounter for general adult medical examination without abnormal findings^I10||20260101|W",
        "IN1|1|PLAN1^Example Health Plan|77001|Example Insurance|1 Example Plaza^^Exampletown^WA^98052|||G123456||||20250101",
    )
).encode("ascii")
_AFTER: Final = b"NTE|1||Please arrive 15 minutes early and bring your insurance card and a list of your medication.\r"
