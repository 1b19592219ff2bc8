"""The configuration as frozen models: everything that `carebell.yaml` may contain.

Durations are written `90s 15m 24h 7d 2w` (see `Duration`); a wall-clock reminder is `{before: 7d, at: "10:00"}`.
Paths are resolved against the configuration file's folder by `config.load`. Nothing here reads a file, an environment
variable or a clock. Unknown keys are errors everywhere.
"""

from __future__ import annotations

from datetime import time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Final, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from config.addresses import public_https
from config.fieldmap import Language
from config.fieldmap import Path as Hl7Path
from config.gateways import GatewaySection as GatewaySection
from config.gateways import HttpGatewayAccount as HttpGatewayAccount
from config.gateways import TwilioAccount as TwilioAccount
from config.portal_settings import Approval as Approval
from config.portal_settings import LocalSignIn as LocalSignIn
from config.portal_settings import OidcSignIn as OidcSignIn
from config.portal_settings import PortalSection as PortalSection
from config.portal_settings import PortalSession as PortalSession
from config.portal_settings import SignIn as SignIn
from config.reply_settings import Replies as Replies
from config.reply_settings import ReplyWordLists as ReplyWordLists
from config.section import Section as Section
from config.values import (
    Between,
    Charset,
    Clock,
    Country,
    Duration,
    EhrServerUrl,
    HeaderValue,
    LinkHost,
    ListenHost,
    Name,
    Network,
    Phone,
    SenderName,
    StorageUrl,
    Word,
    Words,
    ZoneName,
)
from config.values import VisitMode as VisitMode
from config.values import read_clock as read_clock
from config.values import read_duration as read_duration
from config.values import write_duration as write_duration
from config.visit_settings import DeviceTestSettings as DeviceTestSettings
from config.visit_settings import JoinSection as JoinSection
from config.visit_settings import LaunchSettings as LaunchSettings
from config.visit_settings import MeetingSettings as MeetingSettings
from config.visit_settings import Visits as Visits
from config.writeback_settings import FhirAuth as FhirAuth
from config.writeback_settings import Refusals as Refusals
from config.writeback_settings import WritebackEpicStatus as WritebackEpicStatus
from config.writeback_settings import WritebackFhir as WritebackFhir
from config.writeback_settings import WritebackHl7 as WritebackHl7
from config.writeback_settings import WritebackSection as WritebackSection
from config.writeback_settings import WritebackSigning as WritebackSigning
from config.writeback_settings import WritebackTls as WritebackTls

LONGEST_REMINDER: Final = timedelta(weeks=53)
"""Booking calendars end after a year. A reminder far beyond that would be outside datetime's range."""

WaitingTime = Annotated[Duration, AfterValidator(Between("1s", "1h"))]
"""How long one step of a connection may take."""
IdleTime = Annotated[Duration, AfterValidator(Between("1s", "36500d"))]
AlarmTime = Annotated[Duration, AfterValidator(Between("1m", "365d"))]
"""How long something may last before it is an alarm."""
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)


class Organization(Section):
    """Who sends the texts."""

    name: Words
    """Shown to patients."""
    contact: Words
    """Shown to patients: whom to call."""


class Storage(Section):
    """Where appointments and texts are stored."""

    url: StorageUrl = Field(default="sqlite:///carebell.db", repr=False)
    """SQLAlchemy URL: sqlite:///file or postgresql+psycopg://user@host/db. A password goes to ~/.pgpass or PGPASSFILE."""
    key_file: Path = Path("carebell.key")
    """Data-encryption key ring, mode 0400, made by `carebell init`."""
    marker_file: Path | None = None
    """The service writes into it how new the database is, so that a restored backup is noticed; keep it out of backups. null:
    `.NAME.pulse` beside `key_file`, whose folder must be writable then."""


class Http(Section):
    """Callbacks, health and metrics."""

    host: ListenHost = "127.0.0.1"
    """Address to listen on; 127.0.0.1 behind a reverse proxy."""
    port: int = Field(default=8080, ge=0, le=65535)
    """0 takes any free port."""
    enabled: bool = True


class Log(Section):
    """The service's log, for `carebell logs` and for a log collector."""

    file: Path | None = Path("carebell.log")
    """The service appends JSON lines to it, mode 0640; it may be rotated. null: no file, only lines for people on standard
    error."""
    level: Literal["debug", "info", "warning", "error"] = "info"


class Audit(Section):
    """The audit log: who changed or looked at what."""

    keep: Annotated[Duration, AfterValidator(Between("30d", "36500d"))] = timedelta(days=2192)
    """How long its entries and the configuration's versions are kept; six years by default, as HIPAA asks for records of what was
    done (45 CFR 164.316)."""


class Alarms(Section):
    """The limits of alarms. null switches an alarm off."""

    overdue_after: Annotated[Duration, AfterValidator(Between("1s", "7d"))] = timedelta(minutes=5)
    """A text is this late without an intended reason: the gateway cannot be reached, or the service is too slow."""
    unknown_after: AlarmTime | None = timedelta(minutes=30)
    """It is not known for this long whether the gateway took a text."""
    certificate_expires: AlarmTime | None = timedelta(days=30)
    """A sender's certificate is valid for less than this. It is critical in the last week."""
    certificate_unused: AlarmTime | None = timedelta(days=14)
    """No message was verified with a certificate of a production environment for this long."""
    signature_failures: int | None = Field(default=10, ge=1)
    """So many messages of an environment were refused because of their signature within ten minutes."""
    join_guessing: int | None = Field(default=500, ge=1)
    """So many join links that lead to no visit were opened within a minute."""
    meetings_unavailable: int | None = Field(default=1, ge=1)
    """So many times within ten minutes a video visit had no meeting to go to, or none could be made for it."""
    disk_free_mb: int | None = Field(default=1024, ge=1)
    """Less than this many megabytes are free where the database or the log is. It is critical below a quarter of that."""
    clock_off: Annotated[Duration, AfterValidator(Between("5s", "1d"))] | None = timedelta(seconds=30)
    """This machine's clock differs by more than this from the gateway's, the database server's or all senders' clocks."""


class Tls(Section):
    """The listener's own certificate, PEM files."""

    certificate: Path
    """The server's certificate and its chain."""
    key: Path
    """Its private key, which only the service may read."""
    client_ca: Path | None = None
    """Authorities of client certificates; with mutual-tls the environment's `certificates` decide."""


class ListenerSection(Section):
    """One MLLP port. Environments that share host and port must say the same here."""

    host: ListenHost = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for all."""
    port: int = Field(default=2575, ge=0, le=65535)
    """0 takes any free port."""
    tls: Tls | None = None
    """null: unencrypted, for this machine or a VPN only."""
    max_message_bytes: int = Field(default=1_048_576, ge=1024, le=16_777_216)
    """A long SIU with notes is 20 KB; 1 MiB is fifty times that, and small enough for 500 peers at once."""
    frame_timeout: WaitingTime = timedelta(seconds=30)
    """From a block's first byte to its last: 1 MiB in 30 s is 35 KB/s, slower than any link in use."""
    idle_timeout: IdleTime | None = None
    """Off: EHR links stay up for weeks without traffic."""
    handshake_timeout: WaitingTime = timedelta(seconds=10)
    """For the TLS handshake: four packets."""
    write_timeout: WaitingTime = timedelta(seconds=10)
    """For a peer to take an answer of some 200 bytes."""
    max_connections: int = Field(default=1000, ge=1, le=100_000)
    """In all: an EHR holds one to twenty; each costs about 50 KB. What the process may open bounds all listeners together."""
    max_connections_per_peer: int = Field(default=600, ge=1, le=100_000)
    """From one address, or one /64 network of IPv6. All listeners together give it half of what they have."""
    max_pipelined: int = Field(default=64, ge=1, le=10_000)
    """Messages read ahead of their answers on one connection; then reading pauses."""
    allow_from: list[Network] = Field(default_factory=list)
    """Source addresses or networks (CIDR); empty allows all."""


class Sender(Section):
    """The required values of the sender's MSH, checked after the signature."""

    facilities: list[HeaderValue] = Field(min_length=1)
    """Allowed MSH-4."""
    receiving_application: HeaderValue
    """Required MSH-5."""
    receiving_facility: HeaderValue
    """Required MSH-6."""
    processing_ids: list[Literal["P", "T", "D"]] = Field(min_length=1)
    """Allowed MSH-11."""


class FreshnessSettings(Section):
    """How far MSH-7 may be from now."""

    max_age: Annotated[Duration, AfterValidator(Between("1m", "36500d"))] = timedelta(days=7)
    """Messages that waited during an outage must still be accepted."""
    max_ahead: Annotated[Duration, AfterValidator(Between("0s", "36500d"))] = timedelta(minutes=5)
    """The allowed difference between the clocks."""


class Consent(Section):
    """Both must be true, or nothing is sent."""

    organization_allows_sending: bool = False
    attendees_have_consented: bool = False
    field: Hl7Path | None = None
    """A field that carries the patient's own consent, e.g. PD1-12; null: only the two switches decide."""
    granted: list[Word] = Field(default_factory=lambda: ["Y"])
    """Values of `field` that mean yes; any other non-empty value means no, empty means the switches decide."""


class Confirmation(Section):
    """Which changes of an appointment are texted at once."""

    scheduled: bool = True
    updated: bool = True
    canceled: bool = True


class Reminder(Section):
    """One text before the visit."""

    before: str = Field(pattern=r"^[0-9]{1,6}[mhdw]$")
    """m and h: elapsed time. d and w: wall clock in the clinic's zone. At most 53w."""
    at: Clock | None = None
    """Only with d or w: the time of day at which it is sent; without it, the appointment's time of day."""
    always: bool = False
    """Ignores quiet hours and `min_gap`."""
    visit_modes: list[VisitMode] = Field(default_factory=list)
    """Only for these; empty: for all."""

    @cached_property
    def offset(self) -> timedelta:
        return read_duration(self.before)

    @cached_property
    def wall_clock(self) -> bool:
        return self.before[-1] in "dw"

    @cached_property
    def rule(self) -> str:
        """Its name in the outbox and in every report: the offset as written, `7d@10:00`, `24h`, `15m`."""
        return self.before if self.at is None else f"{self.before}@{self.at:%H:%M}"

    @model_validator(mode="after")
    def _at_needs_days(self) -> Reminder:
        if self.at is not None and not self.wall_clock:
            raise ValueError(f"`at` goes with days or weeks; {self.before} is elapsed time")
        if self.offset == timedelta(0) and self.at is None:
            raise ValueError("a reminder must leave before the start")
        if self.offset > LONGEST_REMINDER:
            raise ValueError(
                f"{self.before} is more than {write_duration(LONGEST_REMINDER)}: no visit is known so long before"
            )
        return self


class QuietHours(Section):
    """`[from, to)` in the clinic's zone."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    begins: Clock = Field(alias="from")
    ends: Clock = Field(alias="to")


class Caps(Section):
    """The most texts for one number in the rolling 24 hours and 7 days; a cancellation is always sent."""

    per_day: int = Field(default=3, ge=1)
    per_week: int = Field(default=10, ge=1)


class Languages(Section):
    """Texts are sent in the patient's language if there are texts in it."""

    fallback: Language = "en"
    """Otherwise in this language."""


class JoinLink(Section):
    """The video visit's link in a text."""

    field: Hl7Path | None = None
    """The field that holds it; null: no links."""
    allowed_hosts: list[LinkHost] = Field(default_factory=list)
    """Only links to these hosts are sent."""


class VisitModeMap(Section):
    """Which field distinguishes video, telephone and in-person visits, and its values."""

    field: Hl7Path = "SCH-8.1"
    video: list[Word] = Field(default_factory=lambda: ["VIDEO", "TELE"])
    phone: list[Word] = Field(default_factory=lambda: ["PHONE"])


class SmsSettings(Section):
    """What is texted, when, and to whom."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    sender: SenderName = Field(alias="from")
    """E.164 number, short code or Messaging Service SID."""
    consent: Consent = Consent()
    approved: bool = True
    """Production sends only after approval; `false` records every text as `not_approved`."""
    allow_list: list[Phone] | None = None
    """A test environment texts only these, which must be of `countries`; None: no such limit (production)."""
    force_to: Phone | None = None
    """A test environment sends everything to this number instead."""
    confirmation: Confirmation = Confirmation()
    reminders: list[Reminder] = Field(default_factory=list)
    quiet_hours: QuietHours | None = QuietHours(begins=time(21), ends=time(8))
    """null switches quiet hours off."""
    debounce: Annotated[Duration, AfterValidator(Between("0s", "1d"))] = timedelta(seconds=60)
    """Edits within this time become one text with the final state; at most 1d."""
    min_gap: Annotated[Duration, AfterValidator(Between("0s", "7d"))] = timedelta(hours=2)
    """No reminder is sent this soon before or after a confirmation; at most 7d."""
    min_lead: Annotated[Duration, AfterValidator(Between("0s", "7d"))] = timedelta(minutes=30)
    """A late or moved reminder must be sent at least this long before the visit; at most 7d."""
    max_lateness: Annotated[Duration, AfterValidator(Between("0s", "7d"))] = timedelta(hours=2)
    """After an outage a text is still sent up to this late; 1m to 7d."""
    caps: Caps = Caps()
    max_segments: int = Field(default=3, ge=1, le=10)
    """A text that could need more is an error when the configuration loads."""
    landline: Literal["try", "skip"] = "try"
    """What to do with a number that is known to be a landline."""
    countries: list[Country] = Field(default_factory=lambda: ["US", "CA"], min_length=1)
    """ISO 3166 codes (GB, not UK). Only numbers of these countries are texted."""
    languages: Languages = Languages()
    join_link: JoinLink = JoinLink()
    visit_mode: VisitModeMap = VisitModeMap()
    replies: Replies = Replies()
    templates: Path | None = None
    """Your own YAML file that overrides the built-in texts, in the form of config/templates/*.yaml."""

    @field_validator("reminders")
    @classmethod
    def _each_rule_once(cls, reminders: list[Reminder]) -> list[Reminder]:
        seen: set[str] = set()
        for reminder in reminders:
            if reminder.rule in seen:
                raise ValueError(f"reminder {reminder.rule} stands twice")
            seen.add(reminder.rule)
        return reminders


class ExpectedHours(Section):
    """When messages are expected: from `from` until `to` on `days`, in the clinic's zone."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    begins: Clock = Field(default=time(7), alias="from")
    ends: Clock = Field(default=time(19), alias="to")
    days: list[Weekday] = Field(default_factory=lambda: list(WEEKDAYS[:5]), min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> ExpectedHours:
        if self.begins >= self.ends:
            raise ValueError("must begin before they end, on the same day")
        return self


class Environment(Section):
    """One sending system: its certificates, its rules, its texts."""

    kind: Literal["production", "test"]
    """A test environment texts only its allow_list and never takes MSH-11 P."""
    enabled: bool = True
    """false: its messages are refused (`DISABLED`) and its texts wait."""
    ehr: str = Field(default="generic", min_length=1)
    """Field map: epic | oracle_health | generic | path to your own YAML file."""
    fhir_base_url: EhrServerUrl | None = None
    """The EHR's FHIR server; https, not in a private network. A test environment may name a simulated one on this machine, such as
    http://127.0.0.1:8090/api/FHIR/R4."""
    approval: Approval = Approval()
    time_zone: ZoneName
    """The clinic's IANA zone, of a place (not PST or EST); wall-clock rules and times in texts follow it."""
    location_zones: dict[Word, ZoneName] = Field(default_factory=dict)
    """AIL-3.4 / PV1-3.4 -> IANA zone, for an organisation that spans zones."""
    fallback_charset: Charset = "cp1252"
    """For messages that name no character set and are not UTF-8."""
    listener: ListenerSection = ListenerSection()
    authentication: Literal["signature", "mutual-tls"] = "signature"
    """signature: every message carries ZSG. mutual-tls: the connection's client certificate is one of `certificates`."""
    certificates: list[Path] = Field(min_length=1, max_length=2)
    """Base64 .cer files; two while one replaces the other."""
    sender: Sender
    expect_every: AlarmTime | None = None
    """No message for this long is an alarm (`feed_silent`). null: silence is none."""
    expect_during: ExpectedHours | None = None
    """Only this time counts: a clinic is silent at night and at weekends. null: all of it."""
    freshness: FreshnessSettings = FreshnessSettings()
    reuse_of_control_id: Literal["refuse", "warn"] = "refuse"
    """MSH-10 used again for another message; warn: process it and log."""
    on_transient: Literal["reset", "AE"] = "reset"
    """After a fault of Carebell: reset the connection so that the sender tries again, or answer AE."""
    honour_ne: bool = False
    """MSH-15 NE: send no answer, as the standard says; most engines expect one."""
    answers: dict[str, Literal["AA", "AE", "AR"]] = Field(default_factory=dict)
    """Overrides of config/answers.yaml: failure code -> answer."""
    sms: SmsSettings
    visits: Visits = Visits()
    writeback: WritebackSection = WritebackSection()

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @field_validator("fhir_base_url")
    @classmethod
    def _no_simulated_ehr_in_production(cls, url: str | None, info: ValidationInfo) -> str | None:
        return url if url is None or info.data.get("kind") == "test" else public_https(url)

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
    portal: PortalSection = PortalSection()
    join: JoinSection = JoinSection()
    log: Log = Log()
    alarms: Alarms = Alarms()
    audit: Audit = Audit()
    environments: dict[Name, Environment] = Field(min_length=1)
    """By name: letters, digits, `_`, `.` and `-`."""
