"""Whether an environment's `writeback` section fits together. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from config.addresses import public_https
from config.model import Environment
from config.problems import Keys
from config.writeback_settings import WritebackHl7


def writeback_disagreements(environment: Environment, writeback_keys: Keys) -> Iterator[tuple[Keys, str]]:
    """Every contradiction, at the key that should change."""
    section = environment.writeback
    hl7, keys = section.hl7, (*writeback_keys, "hl7")
    for event, channel in section.events.items():
        if channel == "hl7" and hl7 is None:
            yield (
                (*writeback_keys, "events", event),
                "goes to hl7, but writeback.hl7 is missing: say where the engine listens",
            )
        if channel == "fhir" and section.fhir is None:
            yield (
                (*writeback_keys, "events", event),
                "goes to fhir, but writeback.fhir is missing: say how to sign in there",
            )
        if channel == "epic_status" and section.epic_status is None:
            yield (
                (*writeback_keys, "events", event),
                "goes to epic_status, but writeback.epic_status is missing: say where that service is",
            )
    if section.fhir is not None and environment.fhir_base_url is None:
        yield (*writeback_keys, "fhir"), "needs fhir_base_url of this environment: the FHIR server that is told"
    if section.epic_status is not None and environment.kind == "production":
        try:
            public_https(section.epic_status.url)
        except ValueError as error:
            yield (*writeback_keys, "epic_status", "url"), str(error)
    if hl7 is None:
        return
    if hl7.sign and hl7.signing is None:
        yield (*keys, "signing"), "is missing; sign: true needs Carebell's own key and certificate"
    if hl7.tls is not None and (hl7.tls.certificate is None) != (hl7.tls.key is None):
        yield (*keys, "tls"), "has one of certificate and key; a client certificate needs both"
    if hl7.ordering == "strict" and hl7.connections != 1:
        yield (*keys, "connections"), "must be 1 with ordering: strict: two connections have no order between them"
    listener = environment.listener
    if hl7.port == listener.port and hl7.host == listener.host:
        yield (*keys, "port"), "is this environment's own listener; name the EHR's interface engine"


def writeback_remarks(environment: Environment, writeback_keys: Keys) -> Iterator[tuple[Keys, str]]:
    """Values without an effect."""
    section = environment.writeback
    if section.hl7 is not None and not section.sends:
        yield (*writeback_keys, "events"), "names no event that goes back: nothing is sent to writeback.hl7"
    if section.fhir is not None and not section.events_of("fhir"):
        yield (*writeback_keys, "fhir"), "does nothing: no event goes to fhir"
    if section.epic_status is not None and not section.events_of("epic_status"):
        yield (*writeback_keys, "epic_status"), "does nothing: no event goes to epic_status"
    if section.hl7 is not None and section.hl7.signing is not None and not section.hl7.sign:
        yield (*writeback_keys, "hl7", "signing"), "does nothing without sign: true"
    if section.hl7 is not None and section.hl7.application_ack != "never":
        if section.hl7.ack != "enhanced":
            yield (*writeback_keys, "hl7", "application_ack"), "does nothing without ack: enhanced"
        elif unlike := _addressed_elsewhere(environment, section.hl7):
            why = f"the answer comes to this environment's listener, which refuses it (SIG08): {unlike}"
            yield (*writeback_keys, "hl7", "application_ack"), why
    if section.patient_id == "keep" and not section.keeps_patient_id:
        yield (*writeback_keys, "patient_id"), "keeps nothing: no event goes to hl7, and only HL7 messages have PID-3"
    for event in section.retry_for:
        if event != "default" and section.events.get(event, "none") == "none":
            yield (*writeback_keys, "retry_for", event), "does nothing: this event does not go back"


def _addressed_elsewhere(environment: Environment, hl7: WritebackHl7) -> str:
    """Why `sender` does not fit an answer whose MSH-3 to MSH-6 are ours, exchanged; empty: it does."""
    sender = environment.sender
    pairs = (
        (
            "sending_application",
            hl7.sending_application,
            "sender.receiving_application",
            [sender.receiving_application],
        ),
        ("sending_facility", hl7.sending_facility, "sender.receiving_facility", [sender.receiving_facility]),
        ("receiving_facility", hl7.receiving_facility, "sender.facilities", sender.facilities),
    )
    unlike = [f"{name} {value} is not {theirs}" for name, value, theirs, allowed in pairs if value not in allowed]
    return ", ".join(unlike)
