"""`carebell simulator ehr`: what a clinic's EHR would send, as unsigned SIU bytes, by a seed and a clock.

    histories   a bounded rehearsal: so many appointments between two instants, every message with its time
    stream      an endless feed stamped by a clock, for load
    make_identity   a throwaway key and its `.cer`, for demos and tests

Signing is the caller's: give the bytes to `certs.sign.sign`. Nothing here is anybody's: see `simulator.patients`.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from simulator.patients import make_patient
from simulator.shapes import Feed, Visit, write_siu

_PROVIDERS = ["Adams", "Baker", "Núñez", "Okafor"]
_LOCATIONS = ["CARDIOLOGY", "MAIN & 1ST", "NORTH"]
_STATUS = {"S12": "Booked", "S13": "Booked", "S14": "Booked", "S15": "Cancelled", "S17": "Deleted", "S26": "Noshow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """What happens to appointments, as shares of all of them. `modified`: an S14 that changes nothing the patient sees.

    `deleted` is an S17 soon after booking, `no_show` an S26 after the start; both only where nothing canceled it before.
    """

    moved: float = 0.30
    canceled: float = 0.15
    modified: float = 0.20
    no_show: float = 0.05
    deleted: float = 0.01
    video: float = 0.20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One message of a history: when the EHR sends it, and the appointment at that time."""

    at: datetime
    event: str
    control_id: str
    visit: Visit = field(repr=False)

    def write(self, feed: Feed, sent_at: datetime | None = None) -> bytes:
        """Unsigned SIU bytes. `sent_at`: MSH-7; None: `at`."""
        return write_siu(feed, self.visit, event=self.event, control_id=self.control_id, sent_at=sent_at or self.at)


def histories(
    rng: random.Random,
    *,
    count: int,
    begins: datetime,
    ends: datetime,
    feed: Feed | None = None,
    mix: Mix | None = None,
) -> list[Sending]:
    """Every message about `count` appointments that start between `begins` + 1 day and `ends`, in the order of sending.

    Control ids are unique in the list; the same seed gives the same list. ValueError where the span is under two days.
    """
    feed, mix = feed or Feed(), mix or Mix()
    if ends - begins < timedelta(days=2):
        raise ValueError("a rehearsal needs at least two days")
    drafts: list[tuple[datetime, str, Visit]] = []
    for index in range(count):
        drafts += _history(rng, index, begins, ends, feed, mix)
    drafts.sort(key=lambda draft: draft[0])  # stable: one appointment's messages keep their order
    run = f"{rng.getrandbits(32):08x}"
    return [
        Sending(at=at, event=event, control_id=f"{run}-{number}", visit=visit)
        for number, (at, event, visit) in enumerate(drafts)
    ]


def _history(
    rng: random.Random, index: int, begins: datetime, ends: datetime, feed: Feed, mix: Mix
) -> list[tuple[datetime, str, Visit]]:
    visit = _new_visit(rng, index, _opening(rng, begins + timedelta(days=1), ends, feed), mix)
    booked = max(begins, visit.start - timedelta(days=rng.uniform(0.5, 28)))
    messages = [(booked, "S12", visit)]
    if rng.random() < mix.deleted:
        return [*messages, (_between(rng, booked, visit.start), "S17", _as(visit, "S17"))]
    at = booked
    if rng.random() < mix.modified:
        at = _between(rng, at, visit.start)
        messages.append((at, "S14", visit))
    if rng.random() < mix.moved:
        at = _between(rng, at, visit.start)
        visit = replace(
            visit, start=_opening(rng, max(at, begins) + timedelta(hours=6), ends + timedelta(days=1), feed)
        )
        messages.append((at, "S13", visit))
    if rng.random() < mix.canceled:
        messages.append((_between(rng, at, visit.start), "S15", _as(visit, "S15")))
    elif rng.random() < mix.no_show:
        messages.append((visit.start + timedelta(minutes=30), "S26", _as(visit, "S26")))
    return messages


def stream(
    rng: random.Random, clock: Callable[[], datetime], *, feed: Feed | None = None, mix: Mix | None = None
) -> Iterator[bytes]:
    """Endless unsigned messages: bookings ahead of the clock, and later messages about the last thousand of them."""
    feed, mix = feed or Feed(), mix or Mix()
    recent: deque[Visit] = deque(maxlen=1000)
    run, number = f"{rng.getrandbits(32):08x}", 0
    later = {"S13": mix.moved, "S15": mix.canceled, "S14": mix.modified}
    events, weights = ["S12", *later], [1.0, *later.values()]
    while True:
        now = clock()
        event = rng.choices(events, weights)[0] if recent else "S12"
        soonest, latest = now + timedelta(days=1), now + timedelta(days=28)
        if event == "S12":
            visit = _new_visit(rng, number, _opening(rng, soonest, latest, feed), mix)
            recent.append(visit)
        else:
            place = rng.randrange(len(recent))
            visit = _as(recent[place], event)
            if event == "S13":
                visit = replace(visit, start=_opening(rng, soonest, latest, feed))
            recent[place] = visit
            if event == "S15":
                del recent[place]
        yield write_siu(feed, visit, event=event, control_id=f"{run}-{number}", sent_at=now)
        number += 1


def _new_visit(rng: random.Random, index: int, start: datetime, mix: Mix) -> Visit:
    return Visit(
        reference=f"{500_000 + index}",
        patient=make_patient(rng, index),
        start=start,
        minutes=rng.choice([15, 30, 45, 60]),
        provider=rng.choice(_PROVIDERS),
        location=rng.choice(_LOCATIONS),
        video=rng.random() < mix.video,
        status=_STATUS["S12"],
    )


def _as(visit: Visit, event: str) -> Visit:
    return replace(visit, status=_STATUS[event])


def _between(rng: random.Random, after: datetime, before: datetime) -> datetime:
    """An instant in the open span, to the second; `after` plus a second where there is none."""
    room = max(1, int((before - after).total_seconds()) - 60)
    return (after + timedelta(seconds=rng.randint(1, room))).replace(microsecond=0)


def _opening(rng: random.Random, after: datetime, before: datetime, feed: Feed) -> datetime:
    """A quarter hour between 8:00 and 16:45 on a weekday of the clinic, not before `after`; UTC."""
    zone = ZoneInfo(feed.zone)
    moment = after + (max(before, after + timedelta(hours=1)) - after) * rng.random()
    day = moment.astimezone(zone).date()
    slot = rng.randrange(36)
    while True:
        hour, quarter = divmod(slot, 4)
        start = datetime(day.year, day.month, day.day, 8 + hour, 15 * quarter, tzinfo=zone).astimezone(UTC)
        if start >= after and day.weekday() < 5:
            return start
        day += timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderIdentity:
    """A sender's key and certificate. `key`: PEM, PKCS 8, unencrypted. `certificate`: the Base64 `.cer` an admin uploads."""

    key: bytes = field(repr=False)
    certificate: bytes


def new_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def make_identity(
    name: str = "Simulated EHR", *, now: datetime, days: int = 365, days_before: int = 1, bits: int = 3072
) -> SenderIdentity:
    """A throwaway RSA key with a self-signed certificate, valid from `days_before` before `now` to `days` after it.

    For demos and tests alone.
    """
    key = new_key(bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=days_before))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return SenderIdentity(key=private, certificate=certificate.public_bytes(encoding))
