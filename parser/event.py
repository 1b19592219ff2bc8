"""The content of a SIU message as a value that the parser gives to the scheduler and the store.

An optional value is None if the message does not give it. In an update None means "keep the stored value"; an explicit
HL7 delete (`""`) is `FORGET`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from parser.phone_number import PhoneNumber


class Action(enum.Enum):
    """The action of the trigger event (hl7.md, SIU events)."""

    BOOK = "book"  # S12
    RESCHEDULE = "reschedule"  # S13
    MODIFY = "modify"  # S14
    CANCEL = "cancel"  # S15, S16
    DELETE = "delete"  # S17: entered in error; no text
    RESOURCE = "resource"  # S18-S22: update, never cancels
    SLOT = "slot"  # S23, S24: answered AA, ignored
    NO_SHOW = "no_show"  # S26
    ANNOUNCE = "announce"  # S27: upsert


class Status(enum.Enum):
    """The appointment's filler status, read with the case-folded map. S15, S16, S17 and S26 override the fields."""

    PENDING = "pending"  # asked for, held or tentative
    WAITLIST = "waitlist"
    BOOKED = "booked"
    ARRIVED = "arrived"  # Started, ARRIVED: the patient is here; stop texting
    COMPLETED = "completed"
    CANCELED = "canceled"
    DELETED = "deleted"
    NO_SHOW = "no_show"
    BLOCKED = "blocked"  # the time is blocked for booking
    UNKNOWN = "unknown"

    @property
    def not_booked(self) -> bool:
        """Whether the visit is not booked yet, although it may have a time. The patient is told nothing."""
        return self in (Status.PENDING, Status.WAITLIST, Status.BLOCKED)

    @property
    def active(self) -> bool:
        """Whether reminders make sense."""
        return self in (Status.BOOKED, Status.UNKNOWN)

    @property
    def ended(self) -> bool:
        """Whether the visit is cancelled or over."""
        return not (self.active or self.not_booked)


class _Forget(enum.Enum):
    FORGET = '""'


FORGET: Final = _Forget.FORGET
"""An explicit HL7 delete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadPhone:
    """Real numbers were given, but none may be used. The stored number is deleted, because the patient no longer has it.

    Attributes:
        reason: `landline` if the configuration skips landlines; `invalid_phone`: expired (XTN.14) or protected (XTN.16).
        why: the first such field and why it cannot be used, for the log; no content.
    """

    reason: str
    why: str = field(default="", compare=False)


INVALID_PHONE: Final = "invalid_phone"
"""The reason of a text that is not sent because of an `UnreadablePhone`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadablePhone:
    """Only junk was given (`UNKNOWN`, `9999999999`, an e-mail address, a fax). The stored number is kept, unless the message
    speaks against it (`SchedulingEvent.condemned_phones`).

    Attributes:
        why: the first such field and why it cannot be used, for the log; no content.
    """

    why: str = field(default="", compare=False)

    @property
    def reason(self) -> str:
        return INVALID_PHONE


GivenPhone: TypeAlias = PhoneNumber | BadPhone | UnreadablePhone | _Forget | None
"""What a message says about the patient's telephone. None: nothing; FORGET: delete it now."""


GivenPatientId: TypeAlias = str | _Forget | None
"""PID-3 as `parser.patient_id` gives it. None: nothing, or the environment does not keep it; FORGET: delete it now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """When the visit starts.

    Attributes:
        instant: UTC; for a date-only start, midnight in `zone`.
        zone: the clinic's IANA zone: for wall-clock reminders, quiet hours and texts.
        date_only: no time of day was given; no timed reminder is possible.
    """

    instant: datetime
    zone: str
    date_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseWarning:
    """Something odd that did not stop the message.

    Attributes:
        code: stable, upper case with underscores, documented in docs/reference.
        field: HL7 path such as `SCH-11.4`, or None.
        text: one sentence without message content.
    """

    code: str
    field: str | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One place that could give a value, and why it was not used (None: it was used)."""

    field: str
    value: str
    why_not: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """How one value was decided. Phones are already masked.

    Attributes:
        name: key, aliases, start, duration, status, phone, language, visit_mode, join_link, facility, ...
        value: as text: an instant in UTC (`2026-03-09T19:00:00Z`), minutes, ...; None: not given.
        field: HL7 path of the place that was used, or None.
        zone: for `start`: the IANA zone; `note` says where it came from.
        note: one short remark, e.g. where the zone came from.
    """

    name: str
    value: str | None
    field: str | None
    candidates: tuple[Candidate, ...] = ()
    zone: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulingEvent:
    """One SIU message. It holds a phone (digits hidden) and, where an environment wants them, name and PID-3 (never shown).

    Attributes:
        environment: whose certificate signed it.
        event: trigger event, `S12`.
        reference: the appointment's id that people use: SCH-2.1, else SCH-1.1, else PV1-19.1.
        aliases: every id of this appointment in this feed: `{MSH-3.1}|{MSH-4.1}|{kind}|{id}|{authority}`, kind
            `filler`, `placer` or `visit`; the first is the key. Two events that share one are the same appointment.
        occurred_at: MSH-7, UTC: the order of events; the earliest instant that it can mean.
        occurred_within: how much later the message may have been sent: less than this (`VerifiedMessage.sent_within`).
        start: None: not given.
        phone: None or UnreadablePhone: keep the stored one; FORGET: delete it now; BadPhone: delete it, it cannot be used.
        condemned_phones: valid numbers that are not to be texted, by what the message says of them (`DO NOT TEXT`, fax, extension,
            somebody else's). A stored number that is one of them is given up. Their kind means nothing.
        consent: None: not given.
        facility, provider, location: display names for templates that use them; already cleaned to one short line.
        patient_name: cleaned; None unless the environment's templates use it.
        conference: the id that the visits of one group share; "": the message takes the visit out of its group; None: not given, or
            the field map names no field for it.
        patient_id: PID-3 for the EHR that sent it; None also unless the environment keeps it (`writeback.patient_id`).
    """

    environment: str
    event: str
    action: Action
    status: Status
    reference: str
    aliases: tuple[str, ...]
    occurred_at: datetime
    received_at: datetime
    occurred_within: timedelta = timedelta(seconds=1)
    start: Start | None = None
    duration: timedelta | None = None
    phone: GivenPhone = None
    condemned_phones: frozenset[PhoneNumber] = frozenset()
    language: str | None = None
    deceased: bool = False
    consent: bool | None = None
    visit_mode: str | None = None
    join_link: str | None = None
    facility: str | None = None
    provider: str | None = None
    location: str | None = None
    conference: str | None = None
    patient_name: str | None = field(default=None, repr=False)
    patient_id: GivenPatientId = field(default=None, repr=False)
    warnings: tuple[ParseWarning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A verified message that cannot be processed. It holds no message content.

    Attributes:
        code: stable failure code of config/answers.yaml: TYPE, FIELD, VALUE, LIMIT, ...
        err3: HL7 table 0357.
        text: one sentence for MSA-3 and the log.
        location: ERR-2 as `SCH^1^11` or None.
    """

    code: str
    err3: str
    text: str
    location: str | None = None
