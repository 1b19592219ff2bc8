"""The configuration as frozen models: what `carebell.yaml` may say, with units in every name's type.

Durations are written `90s 15m 24h 7d 2w` (see `Duration`); a wall-clock reminder is `{before: 7d, at: "10:00"}`.
Paths are resolved against the configuration file's folder by `config.load`. Nothing here reads a file, an environment
variable or a clock. Unknown keys are errors everywhere.
"""

from __future__ import annotations

import re
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    field_validator,
    model_validator,
)

_DURATION = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")


def read_duration(written: object) -> timedelta:
    """`90s 15m 24h 7d 2w` as a timedelta. ValueError says what a duration looks like."""
    if isinstance(written, timedelta):
        return written
    match = _DURATION.fullmatch(written) if isinstance(written, str) else None
    if match is None:
        raise ValueError("is not a duration; write a number and a unit: 90s, 15m, 24h, 7d or 2w")
    return timedelta(**{_UNITS[match["unit"]]: int(match["number"])})


def write_duration(value: timedelta) -> str:
    """The shortest spelling of a whole-second duration; `read_duration` reads it back."""
    seconds = int(value.total_seconds())
    for unit, size in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def read_clock(written: object) -> time:
    """`"21:00"` as a time of day. Unquoted 21:00 is a string under YAML 1.2, an integer under 1.1: quote it."""
    if isinstance(written, time):
        return written
    if not isinstance(written, str) or _CLOCK.fullmatch(written) is None:
        raise ValueError('is not a time of day; write "HH:MM" in quotes, from "00:00" to "23:59"')
    return time.fromisoformat(written)


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is not an IANA time zone such as America/Los_Angeles")
    return name


Duration = Annotated[
    timedelta,
    BeforeValidator(read_duration),
    PlainSerializer(write_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,6}[smhdw]$", "examples": ["90s", "15m", "24h", "7d", "2w"]}),
]
Clock = Annotated[
    time,
    BeforeValidator(read_clock),
    PlainSerializer(lambda value: value.strftime("%H:%M"), return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}),
]
ZoneName = Annotated[str, AfterValidator(_known_zone)]
Name = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
VisitMode = Literal["video", "phone", "in-person"]


class Section(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Organization(Section):
    name: str = Field(min_length=1, max_length=60)
    """Shown to patients."""
    contact: str = Field(min_length=1, max_length=60)
    """Shown to patients: whom to call."""


class Storage(Section):
    url: str = "sqlite:///carebell.db"
    """SQLAlchemy URL: sqlite:///file or postgresql+psycopg://user@host/db."""
    key_file: Path = Path("carebell.key")
    """Data-encryption key ring, mode 0400, made by `carebell init`."""


class TwilioAccount(Section):
    account_sid: str = Field(default="", pattern=r"^(AC[0-9a-zA-Z]{32})?$")
    auth_token_file: Path | None = None
    """One token a line; the first signs requests, all of them validate callbacks (rotation)."""
    api_base_url: str = "https://api.twilio.com"
    public_url: str | None = None
    """Where Twilio's callbacks reach us, as Twilio sees it; their signature covers this URL."""
    timeout: Duration = timedelta(seconds=10)
    on_ambiguous: Literal["verify_then_retry", "never_retry"] = "verify_then_retry"
    """A cancellation whose fate stays unknown after looking it up: send it once more, or never."""


class GatewaySection(Section):
    kind: Literal["console", "file", "twilio"] = "console"
    file: Path = Path("outbox.jsonl")
    twilio: TwilioAccount = TwilioAccount()
    segments_per_second: dict[str, float] = Field(default_factory=dict)
    """Per sender (`from`): its rate in SMS segments. Default by kind of number: long code 1, toll-free 3, short code 100."""


class Http(Section):
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    enabled: bool = True


class Tls(Section):
    certificate: Path
    key: Path
    client_ca: Path | None = None


class ListenerSection(Section):
    host: str = "127.0.0.1"
    port: int = Field(default=2575, ge=0, le=65535)
    tls: Tls | None = None
    max_message_bytes: int = Field(default=1_048_576, ge=1024, le=16_777_216)
    """A long SIU with notes is 20 KB; 1 MiB is fifty times that, and small enough for 500 peers at once."""
    frame_timeout: Duration = timedelta(seconds=30)
    """From a block's first byte to its last: 1 MiB in 30 s is 35 KB/s, slower than any link in use."""
    idle_timeout: Duration | None = None
    """Off: EHR links stay up for weeks without traffic."""
    handshake_timeout: Duration = timedelta(seconds=10)
    write_timeout: Duration = timedelta(seconds=10)
    max_connections: int = Field(default=1000, ge=1, le=100_000)
    max_connections_per_peer: int = Field(default=600, ge=1, le=100_000)
    max_pipelined: int = Field(default=64, ge=1, le=10_000)
    """Messages read ahead of their answers on one connection; then reading pauses."""
    allow_from: list[str] = Field(default_factory=list)
    """Source addresses or networks (CIDR); empty allows all."""


class Sender(Section):
    facilities: list[str] = Field(min_length=1)
    """Allowed MSH-4."""
    receiving_application: str = Field(min_length=1)
    """Required MSH-5."""
    receiving_facility: str = Field(min_length=1)
    """Required MSH-6."""
    processing_ids: list[Literal["P", "T", "D"]] = Field(min_length=1)
    """Allowed MSH-11."""


class Freshness(Section):
    max_age: Duration = timedelta(days=7)
    max_ahead: Duration = timedelta(minutes=5)


class Consent(Section):
    """Both must be true, or nothing is sent."""

    organization_allows_sending: bool = False
    attendees_have_consented: bool = False
    field: str | None = None
    """A field that carries the patient's own consent, e.g. PD1-12; None: the two switches decide alone."""
    granted: list[str] = Field(default_factory=lambda: ["Y"])
    """Values of `field` that mean yes; any other non-empty value means no, empty means the switches decide."""


class Confirmation(Section):
    scheduled: bool = True
    updated: bool = True
    canceled: bool = True


class Reminder(Section):
    before: str = Field(pattern=r"^[0-9]{1,6}[mhdw]$")
    """m and h: elapsed time. d and w: wall clock in the clinic's zone."""
    at: Clock | None = None
    """With d or w only: the time of day it leaves; without it, the appointment's own time of day."""
    always: bool = False
    """Passes quiet hours and `min_gap`."""
    visit_modes: list[VisitMode] = Field(default_factory=list)
    """Only for these; empty: for all."""

    @property
    def offset(self) -> timedelta:
        return read_duration(self.before)

    @property
    def wall_clock(self) -> bool:
        return self.before[-1] in "dw"

    @property
    def rule(self) -> str:
        """Its name in the outbox and in every report: the offset as written, `7d@10:00`, `24h`, `15m`."""
        return self.before if self.at is None else f"{self.before}@{self.at:%H:%M}"

    @model_validator(mode="after")
    def _at_needs_days(self) -> Reminder:
        if self.at is not None and not self.wall_clock:
            raise ValueError(f"`at` goes with days or weeks; {self.before} is elapsed time")
        if self.offset == timedelta(0) and self.at is None:
            raise ValueError("a reminder must leave before the start")
        return self


class QuietHours(Section):
    """`[from, to)` in the clinic's zone."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    begins: Clock = Field(alias="from")
    ends: Clock = Field(alias="to")


class Caps(Section):
    per_day: int = Field(default=3, ge=1)
    per_week: int = Field(default=10, ge=1)


class Languages(Section):
    fallback: str = "en"


class JoinLink(Section):
    field: str | None = None
    allowed_hosts: list[str] = Field(default_factory=list)


class VisitModeMap(Section):
    field: str = "SCH-8.1"
    video: list[str] = Field(default_factory=lambda: ["VIDEO", "TELE"])
    phone: list[str] = Field(default_factory=lambda: ["PHONE"])


class Sms(Section):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    sender: str = Field(alias="from", pattern=r"^(\+[1-9][0-9]{6,14}|MG[0-9a-fA-F]{32}|[0-9]{5,6})$")
    """E.164 number, short code or Messaging Service SID."""
    consent: Consent = Consent()
    approved: bool = True
    """Production sends only after approval; `false` records every text as `not_approved`."""
    allow_list: list[str] | None = None
    """A test environment texts only these; None: no such limit (production)."""
    force_to: str | None = None
    """A test environment sends everything to this number instead."""
    confirmation: Confirmation = Confirmation()
    reminders: list[Reminder] = Field(default_factory=list)
    quiet_hours: QuietHours | None = QuietHours(begins=time(21), ends=time(8))
    """null switches quiet hours off."""
    debounce: Duration = timedelta(seconds=60)
    min_gap: Duration = timedelta(hours=2)
    min_lead: Duration = timedelta(minutes=30)
    max_lateness: Duration = timedelta(hours=2)
    caps: Caps = Caps()
    max_segments: int = Field(default=3, ge=1, le=10)
    landline: Literal["try", "skip"] = "try"
    countries: list[str] = Field(default_factory=lambda: ["US", "CA"], min_length=1)
    languages: Languages = Languages()
    join_link: JoinLink = JoinLink()
    visit_mode: VisitModeMap = VisitModeMap()
    templates: Path | None = None
    """A YAML of one's own that overrides the built-in texts; same shape as config/templates/*.yaml."""

    @field_validator("reminders")
    @classmethod
    def _each_rule_once(cls, reminders: list[Reminder]) -> list[Reminder]:
        seen: set[str] = set()
        for reminder in reminders:
            if reminder.rule in seen:
                raise ValueError(f"reminder {reminder.rule} stands twice")
            seen.add(reminder.rule)
        return reminders


class Environment(Section):
    kind: Literal["production", "test"]
    enabled: bool = True
    ehr: str = "generic"
    """Field map: epic | oracle_health | generic | path to a YAML of one's own."""
    fhir_base_url: str | None = None
    time_zone: ZoneName
    location_zones: dict[str, ZoneName] = Field(default_factory=dict)
    """AIL-3.4 / PV1-3.4 -> IANA zone, for an organisation that spans zones."""
    fallback_charset: str = "cp1252"
    listener: ListenerSection = ListenerSection()
    authentication: Literal["signature", "mutual-tls"] = "signature"
    certificates: list[Path] = Field(min_length=1, max_length=2)
    sender: Sender
    freshness: Freshness = Freshness()
    reuse_of_control_id: Literal["refuse", "warn"] = "refuse"
    on_transient: Literal["reset", "AE"] = "reset"
    honour_ne: bool = False
    """MSH-15 NE: send no answer, as the standard says; most engines expect one."""
    answers: dict[str, Literal["AA", "AE", "AR"]] = Field(default_factory=dict)
    """Overrides of config/answers.yaml: failure code -> answer."""
    sms: Sms

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @model_validator(mode="after")
    def _consistent(self) -> Environment:
        if self.authentication == "mutual-tls" and self.listener.tls is None:
            raise ValueError("authentication: mutual-tls needs listener.tls with a certificate and key")
        if self.kind == "test" and self.sms.allow_list is None and self.sms.force_to is None:
            raise ValueError("a test environment needs sms.allow_list or sms.force_to: it must not text strangers")
        if self.kind == "production" and "P" not in self.sender.processing_ids:
            raise ValueError("a production environment's sender.processing_ids must allow P")
        if self.kind == "test" and "P" in self.sender.processing_ids:
            raise ValueError("a test environment must not accept MSH-11 P")
        return self


class Configuration(Section):
    """One `carebell.yaml`."""

    organization: Organization
    storage: Storage = Storage()
    gateway: GatewaySection = GatewaySection()
    http: Http = Http()
    environments: dict[Name, Environment] = Field(min_length=1)

    def json_schema(self) -> dict[str, Any]:
        return type(self).model_json_schema()
