"""The facts of an environment that an approver vouches for, from the configuration and its certificates."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Literal
from urllib.parse import urlsplit

from certs.cer import read_upload
from config.load import Loaded
from config.model import Configuration, Environment
from ehr.fingerprint import ApprovedFacts

LEADS_TO: Final = ", which leads to "


def approved_facts(loaded: Loaded, name: str) -> ApprovedFacts:
    """Blocking: reads the certificates. One that cannot be read stands there by the name of its file."""
    environment = loaded.configuration.environments[name]
    sms, sender = environment.sms, environment.sender
    now = datetime.now(UTC)  # a certificate's thumbprint is the same at any time
    thumbprints = [
        read_upload(path, now).thumbprint or f"not readable: {path.name}" for path in environment.certificates
    ]
    recipients: Literal["everybody", "allow_list", "one_number"] = "everybody"
    if sms.force_to is not None:
        recipients = "one_number"
    elif sms.allow_list is not None:
        recipients = "allow_list"
    return ApprovedFacts(
        environment=name,
        kind=environment.kind,
        fhir_base_url=environment.fhir_base_url,
        ehr=environment.ehr,
        facilities=tuple(sender.facilities),
        application=sender.receiving_application,
        facility=sender.receiving_facility,
        processing_ids=tuple(sender.processing_ids),
        authentication=environment.authentication,
        thumbprints=tuple(thumbprints),
        sms_from=sms.sender,
        organization_allows_sending=sms.consent.organization_allows_sending,
        attendees_have_consented=sms.consent.attendees_have_consented,
        consent_field=sms.consent.field,
        consent_granted=tuple(sms.consent.granted) if sms.consent.field is not None else (),
        recipients=recipients,
        join_host=_join_host(loaded.configuration, environment),
    )


def _join_host(configuration: Configuration, environment: Environment) -> str | None:
    """The host in patients' texts, and those of the meetings to which its pages lead; None: the texts name no link of our own.

    A link that the message gives is the sender's word, and the sender is approved.
    """
    join, visits = configuration.join, environment.visits
    if visits.join != "ours" or not join.enabled or join.public_url is None:
        return None
    host = urlsplit(join.public_url).netloc.lower()
    meetings = sorted({allowed.lower() for allowed in visits.allowed_hosts})
    return f"{host}{LEADS_TO}{', '.join(meetings)}" if meetings else host
