"""Write the five integration records of an environment from facts. Pure.

The mnemonics between percent signs are Epic's; those here stand in Microsoft's published pages about its own connector. Sites may
have others: a record is text that the analyst can change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from ehr.records import IntegrationRecord, RecordField

LONGEST_ORACLE_LINK: Final = 255
"""Characters that Oracle Health takes for a video link; a longer one is answered 422."""
LAUNCH_SCOPES: Final = "launch openid fhirUser"
"""SMART App Launch 2.2.0: of a launch from within the EHR that tells who was launched, and nothing else."""
_DEPARTMENT: Final = "%PERFDEPID;;; ; ;;NONE;%"
_OWN_VISIT: Final = "&appointmentId=%CSN%"
_OWN_VISIT_NOTE: Final = "without appointmentId no patient comes in: the conference is the same for all of the group"
_NO_TEST: Final = "Patients cannot test their device: `visits.device_test.enabled` is false."
_NO_LINKS: Final = (
    "Patients' links are not set up: `join` is off in the configuration. The record is complete once it is on."
)


_NO_LAUNCH: Final = (
    "Launches are not set up: `visits.launch` of the environment (docs/how-to/launch.md). It is whole once they are."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderLine:
    """A certificate's signature header, as `carebell cert show` prints it.

    Attributes:
        expires: a date for people.
    """

    header: str
    thumbprint: str
    expires: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFacts:
    """What the records of an environment are made of.

    Attributes:
        join_url: `join.public_url`; None: patients have no links.
        launches: whom the EHR may launch: provider, patient.
        group_visits: the context tokens name the conference in place of the visit, and a patient's also the own visit.
        texts: which texts are sent, a short phrase each.
        reply_words: words that patients may answer with, without those for STOP.
        stop_words: words that end the texts.
        tls: the listener speaks TLS.
        facilities, application, facility, processing_ids: MSH-4, -5, -6 and -11.
        headers: of the certificates in force; none: the sender proves itself by its client certificate.
        fields: (value, where it is read) of the field map.
        answers: (code, answer, meaning) of what Carebell answers.
        sample: an example message, a segment a line.
        device_codes: (code, meaning) of what the device test reports; none: there is no test.
    """

    environment: str
    ehr: str
    join_url: str | None
    sms_from: str
    host: str
    port: int
    tls: bool
    facilities: Sequence[str]
    application: str
    facility: str
    processing_ids: Sequence[str]
    headers: Sequence[HeaderLine] = ()
    texts: Sequence[str] = ()
    reply_words: Sequence[str] = ()
    stop_words: Sequence[str] = ("STOP",)
    fields: Sequence[tuple[str, str]] = ()
    answers: Sequence[tuple[str, str, str]] = ()
    sample: str = ""
    device_codes: Sequence[tuple[str, str]] = ()
    group_visits: bool = False
    launches: Sequence[str] = ("provider", "patient")


def integration_records(facts: RecordFacts) -> tuple[IntegrationRecord, ...]:
    """The records, in the order in which an analyst enters them."""
    return (_patient(facts), _provider(facts), _direct_sms(facts), _sms_configuration(facts), _device_test(facts))


def _patient(facts: RecordFacts) -> IntegrationRecord:
    if facts.join_url is None:
        return IntegrationRecord(kind="patient", environment=facts.environment, fields=(), missing=_NO_LINKS)
    if "patient" not in facts.launches:
        return IntegrationRecord(kind="patient", environment=facts.environment, fields=(), missing=_NO_LAUNCH)
    name = quote(facts.environment, safe="")
    fields = [
        RecordField(name="launch_url", label="Launch URL", value=_address(facts, "patient")),
        *_registration(facts),
        RecordField(
            name="context_token",
            label="Context token",
            value=f"{_session(facts)}{_OWN_VISIT if facts.group_visits else ''}&env={name}",
            note=_OWN_VISIT_NOTE if facts.group_visits else None,
        ),
        RecordField(name="device_test_token", label="Device test context token", value=f"test=true&env={name}"),
    ]
    fields += _oracle(facts, "patient", 1)
    return IntegrationRecord(kind="patient", environment=facts.environment, fields=tuple(fields))


def _provider(facts: RecordFacts) -> IntegrationRecord:
    if facts.join_url is None:
        return IntegrationRecord(kind="provider", environment=facts.environment, fields=(), missing=_NO_LINKS)
    if "provider" not in facts.launches:
        return IntegrationRecord(kind="provider", environment=facts.environment, fields=(), missing=_NO_LAUNCH)
    token = f"{_session(facts)}&departmentId={_DEPARTMENT}&env={quote(facts.environment, safe='')}"
    fields = [
        RecordField(name="launch_url", label="Launch URL", value=_address(facts, "provider")),
        *_registration(facts),
        RecordField(
            name="context_token",
            label="Context token",
            value=token,
            note="without departmentId the reports name no department",
        ),
    ]
    fields += _oracle(facts, "provider", 0)
    return IntegrationRecord(kind="provider", environment=facts.environment, fields=tuple(fields))


def _direct_sms(facts: RecordFacts) -> IntegrationRecord:
    return IntegrationRecord(
        kind="direct_sms",
        environment=facts.environment,
        fields=(
            RecordField(name="sending_number", label="Texts come from", value=facts.sms_from),
            RecordField(name="texts", label="Texts", value="\n".join(facts.texts) or "none"),
            RecordField(name="reply_words", label="Patients may answer", value=", ".join(facts.reply_words) or "nothing"),
            RecordField(name="stop_words", label="To get no more texts, patients answer", value=", ".join(facts.stop_words)),
            RecordField(
                name="send_again",
                label="To send a text once more",
                value="Change the visit in the EHR: Carebell texts each change once, and nobody sends a text twice by hand.",
            ),
        ),
    )  # fmt: skip


def _sms_configuration(facts: RecordFacts) -> IntegrationRecord:
    fields = [
        RecordField(name="host", label="MLLP host", value=facts.host),
        RecordField(name="port", label="MLLP port", value=str(facts.port)),
        RecordField(name="tls", label="TLS", value="yes, 1.2 or later" if facts.tls else "no"),
        RecordField(name="msh_4", label="MSH-4", value=", ".join(facts.facilities), note="one of these"),
        RecordField(name="msh_5", label="MSH-5", value=facts.application),
        RecordField(name="msh_6", label="MSH-6", value=facts.facility),
        RecordField(name="msh_11", label="MSH-11", value=", ".join(facts.processing_ids), note="one of these"),
    ]
    for number, line in enumerate(facts.headers, start=1):
        suffix = "" if len(facts.headers) == 1 else f" {number}"
        fields += [
            RecordField(
                name=f"header{suffix.strip() and f'_{number}'}", label=f"Signature header{suffix}", value=line.header
            ),
            RecordField(
                name=f"thumbprint{suffix.strip() and f'_{number}'}",
                label=f"Certificate's thumbprint{suffix}",
                value=line.thumbprint,
                note=f"the certificate is valid until {line.expires}",
            ),
        ]
    tables = (
        ("fields", "Fields that are read", [f"{name}: {where}" for name, where in facts.fields]),
        ("answers", "Answers", [f"{code} {answer}: {meaning}" for code, answer, meaning in facts.answers]),
    )
    fields += [RecordField(name=name, label=label, value="\n".join(rows)) for name, label, rows in tables if rows]
    if facts.sample:
        sample = "\n".join(facts.sample.replace("\r\n", "\n").replace("\r", "\n").strip().split("\n"))
        fields.append(RecordField(name="sample", label="Sample message", value=sample))
    return IntegrationRecord(kind="sms_configuration", environment=facts.environment, fields=tuple(fields))


def _device_test(facts: RecordFacts) -> IntegrationRecord:
    if facts.join_url is None:
        return IntegrationRecord(kind="device_test", environment=facts.environment, fields=(), missing=_NO_LINKS)
    if not facts.device_codes:
        return IntegrationRecord(kind="device_test", environment=facts.environment, fields=(), missing=_NO_TEST)
    codes = "\n".join(f"{code}: {meaning}" for code, meaning in facts.device_codes)
    fields = [
        RecordField(name="url", label="URL", value=f"{facts.join_url.rstrip('/')}/test"),
        RecordField(
            name="steps", label="It tests", value="browser, camera, microphone, loudspeaker, connection, a test call"
        ),
        RecordField(name="codes", label="It reports", value=codes),
    ]
    return IntegrationRecord(kind="device_test", environment=facts.environment, fields=tuple(fields))


def _session(facts: RecordFacts) -> str:
    return f"sessionId={'%CONFERENCEID%' if facts.group_visits else '%CSN%'}"


def _registration(facts: RecordFacts) -> list[RecordField]:
    """What both launch URLs need of the app that is registered in the EHR."""
    return [
        RecordField(name="redirect_uri", label="Redirect URI", value=_address(facts, "callback")),
        RecordField(
            name="scopes", label="Scopes", value=LAUNCH_SCOPES, note="a SMART on FHIR launch, in the whole window"
        ),
    ]


def _address(facts: RecordFacts, reader: str) -> str:
    assert facts.join_url is not None
    return f"{facts.join_url.rstrip('/')}/ehr/{quote(facts.environment, safe='')}/{reader}"


def _oracle(facts: RecordFacts, reader: str, place: int) -> list[RecordField]:
    """Oracle Health keeps the links in the appointment itself: contained[0] is the provider's, contained[1] the patient's."""
    if facts.ehr != "oracle_health":
        return []
    address = _address(facts, reader)
    length = len(address)
    verdict = (
        "fits"
        if length <= LONGEST_ORACLE_LINK
        else f"is {length - LONGEST_ORACLE_LINK} characters too long: shorten join.public_url"
    )
    return [
        RecordField(
            name="patch",
            label="In Oracle Health",
            value=f"PATCH Appointment/{{id}}: the video link in contained[{place}] (JSON Patch, with If-Match)",
            note=f"at most {LONGEST_ORACLE_LINK} characters; this link has {length} and {verdict}. Give both links in one PATCH, "
            "both with add or both with replace: mixing them is refused, and add answers 409 where links were added before",
        )
    ]  # fmt: skip
