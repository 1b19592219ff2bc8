"""`writeback` of an environment: which events go back to its EHR, and how.

A new channel is a section beside `hl7`, a word in `Channel`, and a member of `scheduler.writeback.WritebackChannel`.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from config.section import Section
from config.values import Between, Duration, EhrServerUrl, HeaderValue, PeerHost, read_duration, write_duration

WritebackEventName = Literal[
    "confirmed", "cannot_come", "call_me", "text_delivered", "text_failed", "opted_out", "waiting", "connected", "disconnected",
    "device_test", "visit_ended",
]  # fmt: skip
EVENT_NAMES: Final[tuple[WritebackEventName, ...]] = get_args(WritebackEventName)
Channel = Literal["hl7", "fhir", "epic_status", "none"]
Refusal = Literal["refuse", "retry"]


def _retry_time(written: object) -> object:
    return written if written == "until_start" else Between("1m", "30d")(read_duration(written))


RetryTime = Annotated[
    timedelta | Literal["until_start"],
    BeforeValidator(_retry_time),
    PlainSerializer(lambda time: time if time == "until_start" else write_duration(time), return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": "^(until_start|[0-9]{1,6}[smhdw])$", "examples": ["until_start", "1h", "24h"]}
    ),
]


class WritebackTls(Section):
    """TLS to the EHR's interface engine."""

    ca: Path | None = None
    """Authorities of the engine's certificate, PEM; null: the system's."""
    certificate: Path | None = None
    """Carebell's client certificate, PEM, if the engine asks for one."""
    key: Path | None = None
    """Its private key, mode 0400."""
    server_name: PeerHost | None = None
    """The name in the engine's certificate, if it is not `host`."""


class WritebackSigning(Section):
    """Carebell's own signing key, so that the other side can verify what goes back."""

    key: Path
    """The private key, PEM without passphrase, mode 0400."""
    certificate: Path
    """Its Base64 .cer file, which the other side gets."""


class Refusals(Section):
    """What a negative answer means: `refuse`: it is not sent again. `retry`: it is, until its time is over.

    HL7 2.5 says: AE is an error of the content, AR has other reasons. Engines differ. ERR-3 206 and 207 (locked, internal
    error) are always tried again. It says nothing of an application's later answer, which is not tried again.
    """

    AE: Refusal = "refuse"
    AR: Refusal = "retry"
    CE: Refusal = "refuse"
    CR: Refusal = "retry"


class WritebackHl7(Section):
    """HL7 v2 over MLLP to the EHR's interface engine."""

    host: PeerHost
    """Where the engine listens."""
    port: int = Field(ge=1, le=65535)
    tls: WritebackTls | None = None
    """null: unencrypted, for this machine or a VPN only."""
    sending_application: HeaderValue = "CAREBELL"
    """MSH-3."""
    sending_facility: HeaderValue
    """MSH-4."""
    receiving_application: HeaderValue
    """MSH-5."""
    receiving_facility: HeaderValue
    """MSH-6."""
    version: str = Field(default="2.5.1", pattern=r"^2\.[1-9](\.[1-9])?$")
    """MSH-12."""
    map: str = Field(default="generic", min_length=1)
    """Out-map: epic | oracle_health | generic | path to your own YAML file."""
    sign: bool = False
    """Append ZSG with `signing`."""
    signing: WritebackSigning | None = None
    ack: Literal["original", "enhanced"] = "original"
    """original: the answer says that it was taken over (AA). enhanced: MSH-15 AL; the engine answers CA when it has stored it."""
    application_ack: Literal["never", "errors", "always"] = "never"
    """With `ack: enhanced`: whether the EHR's application answers later, by a message of its own to this environment's listener
    (MSH-16 NE, ER, AL). AA: it processed what it had stored. AE, AR: it refuses it after all."""
    ack_timeout: Annotated[Duration, AfterValidator(Between("1s", "5m"))] = timedelta(seconds=30)
    """After this without an answer the connection is closed, and the message sent again."""
    on: Refusals = Refusals()
    ordering: Literal["appointment", "strict"] = "appointment"
    """appointment: those of one visit in their order; a refused one lets the next one go. strict: all of them one after the other,
    and a refused one stops the rest until somebody retries it or its time is over."""
    connections: int = Field(default=1, ge=1, le=16)
    """With `ordering: strict` it must be 1."""


class FhirAuth(Section):
    """Carebell as a client of SMART backend services. It proves who it is with a private key; the EHR fetches the public half at
    `{http.public_url}/jwks.json`, or gets it by hand."""

    client_id: str = Field(min_length=1, max_length=200, pattern=r"^[!-~]+$")
    """As the EHR registered Carebell; test and production have different ones."""
    key_file: Path
    """Private key, PEM without passphrase, mode 0400: RSA of 2048 bits or more for RS384, P-384 for ES384."""
    other_key_file: Path | None = None
    """A second key that is published and not used, while one replaces the other: the next one before the change, the last one
    after it."""
    algorithm: Literal["RS384", "ES384"] = "RS384"
    """Of both keys."""


WebTimeout = Annotated[Duration, AfterValidator(Between("1s", "1m"))]


class WritebackFhir(Section):
    """The FHIR R4 server at `fhir_base_url`, with a token for Carebell itself."""

    auth: FhirAuth
    map: str = Field(default="generic", min_length=1)
    """FHIR map: epic | oracle_health | generic | path to your own YAML file."""
    timeout: WebTimeout = timedelta(seconds=15)
    """Of each request; after it the same is tried again."""


class WritebackEpicStatus(Section):
    """A web service such as Epic's SetExternalConnectionStatus."""

    url: EhrServerUrl
    """Its address; https. A test environment may name a simulated one on this machine."""
    client_id_file: Path
    """The client id that its header carries (Epic-Client-ID), on one line."""
    map: str = Field(default="epic", min_length=1)
    """Status map: epic | path to your own YAML file. The shipped one leaves open what is not public; complete a copy."""
    timeout: WebTimeout = timedelta(seconds=15)
    """Of each request; after it the same is tried again."""


def _usual_times() -> dict[WritebackEventName | Literal["default"], RetryTime]:
    return {"confirmed": "until_start", "connected": timedelta(hours=1), "default": timedelta(hours=24)}


class WritebackSection(Section):
    """What goes back to the EHR. Nothing by default."""

    hl7: WritebackHl7 | None = None
    """null: no interface engine takes anything from Carebell."""
    fhir: WritebackFhir | None = None
    """null: the EHR's FHIR server is told nothing."""
    epic_status: WritebackEpicStatus | None = None
    """null: no such service is told anything."""
    patient_id: Literal["none", "keep"] = "none"
    """keep: PID-3 of the newest message is kept encrypted until 24 hours after the visit's end, for `{patient_id}` of the out-map.
    Never the name."""
    events: dict[WritebackEventName, Channel] = Field(default_factory=dict)
    """Event to channel; an event that is not named does not go back."""
    retry_for: dict[WritebackEventName | Literal["default"], RetryTime] = Field(default_factory=_usual_times)
    """For how long each is tried; `until_start`: until the visit begins."""
    hold: bool = False
    """true: everything waits, and what waits too long expires."""

    @property
    def files(self) -> list[Path]:
        """Keys and certificates that it names."""
        tls, signing = (None, None) if self.hl7 is None else (self.hl7.tls, self.hl7.signing)
        named = [] if tls is None else [tls.ca, tls.certificate, tls.key]
        named += [] if signing is None else [signing.key, signing.certificate]
        named += [] if self.fhir is None else [self.fhir.auth.key_file, self.fhir.auth.other_key_file]
        named += [] if self.epic_status is None else [self.epic_status.client_id_file]
        return [path for path in named if path is not None]

    @property
    def takes_later_answers(self) -> bool:
        """Whether the EHR's application may answer later, on the listener: also unasked, or asked by an earlier configuration."""
        return self.hl7 is not None and self.hl7.ack == "enhanced"

    @property
    def sends(self) -> bool:
        """Whether any event goes back."""
        return any(channel != "none" for channel in self.events.values())

    @property
    def keeps_patient_id(self) -> bool:
        """Whether PID-3 is kept: only where something goes back by HL7."""
        return self.patient_id == "keep" and self.hl7 is not None and bool(self.events_of("hl7"))

    def events_of(self, channel: Channel) -> set[str]:
        """Those that go back by this channel."""
        return {event for event, taken in self.events.items() if taken == channel}
