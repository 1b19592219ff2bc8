"""How an `Appointment` becomes a row and a row an `Appointment`; what is sealed, and what is forgotten on reading.

The tuple's order is `COLUMNS`, which is the order of `tables.appointments` (a test holds that, and that every field of
`Appointment` survives the round trip).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from json.encoder import encode_basestring_ascii
from types import MappingProxyType
from typing import Any, Final, cast

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection

from parser.phone_number import PhoneKind, PhoneNumber
from scheduler.appointment import Appointment, AppointmentStatus, Visible
from scheduler.sent_period import SECOND, SentPeriod
from store.crypto import CellLocation, Undecipherable, day_of, seal, sealed_day, unseal
from store.instants import InstantCodec, from_microseconds, to_microseconds
from store.prepared import codec
from store.tables import appointments
from store.vault import Vault

COLUMNS: Final = tuple(column.name for column in appointments.columns)
_AT: Final = {name: index for index, name in enumerate(COLUMNS)}
_FORGET_AT: Final = _AT["forget_at"]
_PHONE: Final = _AT["phone"]
_LINK: Final = _AT["join_link"]
_NAME: Final = _AT["patient_name"]
_DETAILS: Final = _AT["told_details"]
_SEALED: Final = (_PHONE, _LINK, _NAME, _DETAILS)
_KINDS: Final[dict[str, PhoneKind]] = {"m": "mobile", "l": "landline", "u": "unknown"}
_MICROSECOND: Final = timedelta(microseconds=1)
_NO_STAMPS: Final[Mapping[str, SentPeriod]] = MappingProxyType({})


def to_rows(conn: Connection, vault: Vault, changed: Sequence[Appointment], now: datetime) -> list[tuple[Any, ...]]:
    """Rows for `appointments`, sealed under the keys of their days, which are made where missing.

    Without a deadline or after it nothing is sealed, and nothing else written that goes with it, since no round would empty the
    row: what came too late is not stored.
    """
    deadlines = [at if (at := visit.deadline) is not None and at > now else None for visit in changed]
    keys = vault.keys_for(conn, {day_of(at) for at in deadlines if at is not None}, create=True)
    instants = codec(conn)
    return [_to_row(visit, at, keys, instants) for visit, at in zip(changed, deadlines, strict=True)]


def _to_row(
    visit: Appointment, forget_at: datetime | None, keys: Mapping[int, AESGCM], instants: InstantCodec
) -> tuple[Any, ...]:
    phone = link = name = details = None
    last_notified = visit.last_notified
    if forget_at is not None:
        day = day_of(forget_at)
        key, place = keys[day], CellLocation(visit.environment, visit.id)
        if visit.phone is not None:
            phone = seal(key, day, place, "phone", f"{visit.phone.kind[0]}{visit.phone.e164()}".encode("ascii"))
        if visit.join_link:
            link = seal(key, day, place, "join_link", visit.join_link.encode())
        if visit.patient_name:
            name = seal(key, day, place, "patient_name", visit.patient_name.encode())
        if last_notified is not None and last_notified.details:
            details = seal(key, day, place, "told_details", json.dumps(last_notified.details).encode())
    put, maybe = instants.put, instants.put_maybe
    start, changed_at = maybe(visit.start), put(visit.changed_at)
    return (
        visit.id,
        visit.environment,
        visit.reference,
        _texts(visit.aliases),
        visit.revision,
        put(visit.event_at),
        maybe(visit.event_until),
        visit.status.value,
        start,
        visit.zone,
        visit.date_only,
        None if visit.duration is None else visit.duration // _MICROSECOND,
        phone,
        visit.phone_fault,
        visit.language,
        visit.deceased,
        visit.consent,
        visit.visit_mode,
        link,
        None if forget_at is None else visit.facility,
        None if forget_at is None else visit.provider,
        None if forget_at is None else visit.location,
        name,
        None if last_notified is None else _visible_text(last_notified),
        details,
        changed_at,
        visit.window_revision,
        maybe(visit.window_due),
        visit.window_text,
        changed_at if visit.planned_at is visit.changed_at else put(visit.planned_at),
        visit.planned_revision,
        visit.unseen_edit,
        _stamps_text(visit.stamps),
        maybe(visit.purged_at),
        start if forget_at is visit.start else maybe(forget_at),
        None,
        None if forget_at is None else visit.conference,
    )


def _texts(texts: Iterable[str]) -> str:
    """A JSON array of texts, as `json.dumps` writes it, which takes 2 us to begin with."""
    return f"[{', '.join(map(encode_basestring_ascii, texts))}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Turns rows of `COLUMNS` into appointments; what is past its deadline stays closed, even before the sweep came.

    Attributes:
        keys: the day keys that still exist and open.
        shut: days whose key exists and does not open; reading what it sealed raises.
        now: UTC.
    """

    keys: Mapping[int, AESGCM]
    instants: InstantCodec
    now: datetime
    shut: Collection[int] = ()

    @classmethod
    def over(cls, conn: Connection, vault: Vault, rows: Iterable[Sequence[Any]], now: datetime) -> Reader:
        """A reader with the keys that these rows need."""
        days: set[int] = set()
        for row in rows:
            with suppress(Undecipherable):  # of no known form: its own row's trouble, when that is read
                days.update(sealed_day(row[at]) for at in _SEALED if row[at] is not None)
        shut: set[int] = set()
        keys = vault.keys_for(conn, days, create=False, unreadable=shut)
        return cls(keys=keys, instants=codec(conn), now=now, shut=shut)

    def read(self, row: Sequence[Any]) -> Appointment:
        """One appointment. Unreadable (`crypto`) where a seal or its day's key does not open; a destroyed key only empties it."""
        maybe = self.instants.get_maybe
        (
            own_id,
            environment,
            reference,
            aliases,
            revision,
            event_at,
            event_until,
            status,
            start,
            zone,
            date_only,
            duration,
            phone,
            phone_fault,
            language,
            deceased,
            consent,
            visit_mode,
            link,
            facility,
            provider,
            location,
            name,
            last_notified,
            details,
            changed_at,
            window_revision,
            window_due,
            window_text,
            planned_at,
            planned_revision,
            unseen_edit,
            stamps,
            purged_at,
            forget_at,
            _,
            conference,
        ) = row
        forget_at = maybe(forget_at)
        purged = maybe(purged_at)
        place = CellLocation(environment, own_id)
        number = self._unseal(place, "phone", phone, forget_at)
        if phone is not None and number is None:
            phone_fault, purged = "purged", purged or forget_at
        said = self._unseal(place, "told_details", details, forget_at)
        return Appointment(
            id=own_id,
            environment=environment,
            reference=reference,
            aliases=tuple(json.loads(aliases)),
            revision=revision,
            event_at=self.instants.get(event_at),
            event_until=maybe(event_until),
            status=AppointmentStatus(status),
            start=maybe(start),
            zone=zone,
            date_only=bool(date_only),
            duration=None if duration is None else timedelta(microseconds=duration),
            phone=None if number is None else PhoneNumber(number[1:], _KINDS[number[0]]),
            phone_fault=phone_fault,
            language=language,
            deceased=bool(deceased),
            consent=None if consent is None else bool(consent),
            visit_mode=visit_mode,
            join_link=self._unseal(place, "join_link", link, forget_at),
            facility=facility,
            provider=provider,
            location=location,
            conference=conference,
            patient_name=self._unseal(place, "patient_name", name, forget_at),
            last_notified=None if last_notified is None else read_visible(last_notified, said),
            changed_at=self.instants.get(changed_at),
            window_revision=window_revision,
            window_due=maybe(window_due),
            window_text=bool(window_text),
            planned_at=self.instants.get(planned_at),
            planned_revision=planned_revision,
            unseen_edit=bool(unseen_edit),
            stamps=_read_stamps(stamps),
            purged_at=purged,
        )

    def _unseal(self, place: CellLocation, column: str, sealed: bytes | None, forget_at: datetime | None) -> str | None:
        if sealed is None or forget_at is None or forget_at <= self.now:
            return None
        day = sealed_day(sealed)
        if day in self.shut:
            raise Undecipherable(column)
        key = self.keys.get(day)
        return None if key is None else unseal(key, place, column, bytes(sealed)).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNumbers:
    """Decrypts numbers alone, of many appointments, by the rule of `Reader`: what is past its deadline stays closed.

    Attributes: as in `Reader`.
    """

    keys: Mapping[int, AESGCM]
    shut: Collection[int]
    now: datetime

    @classmethod
    def of(cls, conn: Connection, vault: Vault, sealed: Iterable[bytes], now: datetime) -> StoredNumbers:
        """With the keys that these sealed numbers need."""
        days: set[int] = set()
        for value in sealed:
            with suppress(Undecipherable):
                days.add(sealed_day(value))
        shut: set[int] = set()
        return cls(keys=vault.keys_for(conn, days, create=False, unreadable=shut), shut=shut, now=now)

    def read(self, own_id: str, environment: str, sealed: bytes, forget_at: datetime | None) -> str | None:
        """The number in E.164; None: it is forgotten. Undecipherable where a seal or its day's key does not open."""
        if forget_at is None or forget_at <= self.now:
            return None
        day = sealed_day(sealed)
        if day in self.shut:
            raise Undecipherable("phone")
        key = self.keys.get(day)
        return (
            None if key is None else unseal(key, CellLocation(environment, own_id), "phone", bytes(sealed)).decode()[1:]
        )


def _visible_text(last_notified: Visible) -> str:
    start = None if last_notified.start is None else to_microseconds(last_notified.start)
    return json.dumps([start, last_notified.date_only, last_notified.visit_mode, last_notified.canceled])


def read_visible(text: str, details: str | None) -> Visible:
    """Of the columns `told` and, unsealed, `told_details`."""
    start, date_only, visit_mode, canceled = json.loads(text)
    pairs = () if details is None else tuple(cast("tuple[str, str]", tuple(pair)) for pair in json.loads(details))
    at = None if start is None else from_microseconds(start)
    return Visible(start=at, date_only=date_only, visit_mode=visit_mode, canceled=canceled, details=pairs)


_STORED_AS: Final = {"status": "life"}
"""A field of `Appointment` -> its name in the tables, where the two differ."""
_FIELD_OF: Final = {stored: name for name, stored in _STORED_AS.items()}


def _stamps_text(stamps: Mapping[str, SentPeriod]) -> str | None:
    return (
        json.dumps(
            {
                _STORED_AS.get(name, name): [to_microseconds(sent.earliest), to_microseconds(sent.until)]
                for name, sent in stamps.items()
            }
        )
        if stamps
        else None
    )


def _read_stamps(text: str | None) -> Mapping[str, SentPeriod]:
    if text is None:
        return _NO_STAMPS
    return MappingProxyType({_FIELD_OF.get(name, name): _read_sent(stamp) for name, stamp in json.loads(text).items()})


def _read_sent(stamp: int | list[int]) -> SentPeriod:
    """[earliest, until]; version 0.1 wrote the earliest alone, of a time that is exact to the second."""
    earliest, until = stamp if isinstance(stamp, list) else (stamp, stamp + SECOND // _MICROSECOND)
    return SentPeriod(earliest=from_microseconds(earliest), until=from_microseconds(until))
