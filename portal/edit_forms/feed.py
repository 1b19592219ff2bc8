"""The feed of an environment as a form: which EHR, where it connects, what its header says, how it proves itself. Pure.

An analyst may change what belongs to the sender alone (`SENDER`): the fields of the network, the clock and the proof are an
administrator's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from config.model import Environment
from config.problems import Keys
from portal.edit_forms.fields import ConfigurationField, lines, whole_number
from portal.forms import FieldError, Form

EHRS: Final = (("epic", "Epic"), ("oracle_health", "Oracle Health"), ("generic", "Other"))
"""The field maps that come with Carebell, in a select's words."""
AUTHENTICATIONS: Final = (
    ("signature", "Signature", "Every message carries a signature made with the sender's private key."),
    ("mutual-tls", "Client certificate", "The connection itself is made with the sender's certificate (mutual TLS)."),
)
PROCESSING_IDS: Final = (("P", "P: production"), ("T", "T: training"), ("D", "D: debugging"))

SENDER: Final = (
    ConfigurationField(name="ehr", label="EHR", keys=("ehr",)),
    ConfigurationField(name="facilities", label="MSH-4 sending facilities allowed", keys=("sender", "facilities")),
    ConfigurationField(
        name="receiving_application", label="MSH-5 receiving application", keys=("sender", "receiving_application")
    ),
    ConfigurationField(
        name="receiving_facility", label="MSH-6 receiving facility", keys=("sender", "receiving_facility")
    ),
    ConfigurationField(name="processing_ids", label="MSH-11 processing IDs allowed", keys=("sender", "processing_ids")),
)
CONNECTION: Final = (
    ConfigurationField(name="enabled", label="Take messages and send texts", keys=("enabled",)),
    ConfigurationField(name="fhir_base_url", label="FHIR base URL", keys=("fhir_base_url",)),
    ConfigurationField(name="time_zone", label="Time zone", keys=("time_zone",)),
    ConfigurationField(name="host", label="Address to listen on", keys=("listener", "host")),
    ConfigurationField(name="port", label="Port", keys=("listener", "port")),
    ConfigurationField(name="authentication", label="How does the sender prove itself?", keys=("authentication",)),
)
FIELDS: Final = (*SENDER, *CONNECTION)


def ehr_options(present: str | None = None) -> list[tuple[str, str]]:
    """For a select. A field map of the organisation's own stays possible where it is in use; another one is named in the file."""
    shipped = [value for value, _ in EHRS]
    own = [] if present is None or present in shipped else [(present, f"Own field map: {present.rpartition('/')[2]}")]
    return [*EHRS, *own]


def values_of(environment: Environment) -> dict[Keys, Any]:
    """The values of `FIELDS` as the file would have them."""
    sender, listener = environment.sender, environment.listener
    return {
        ("ehr",): environment.ehr,
        ("sender", "facilities"): list(sender.facilities),
        ("sender", "receiving_application"): sender.receiving_application,
        ("sender", "receiving_facility"): sender.receiving_facility,
        ("sender", "processing_ids"): list(sender.processing_ids),
        ("enabled",): environment.enabled,
        ("fhir_base_url",): environment.fhir_base_url,
        ("time_zone",): environment.time_zone,
        ("listener", "host"): listener.host,
        ("listener", "port"): listener.port,
        ("authentication",): environment.authentication,
    }


def shown(values: Mapping[Keys, Any]) -> dict[str, str | tuple[str, ...]]:
    """The same as fields of the form."""
    fields: dict[str, str | tuple[str, ...]] = {}
    for field in FIELDS:
        if field.keys not in values:
            continue
        value = values[field.keys]
        if field.name == "facilities":
            fields[field.name] = "\n".join(value)
        elif isinstance(value, list):
            fields[field.name] = tuple(value)
        elif isinstance(value, bool):
            fields[field.name] = "1" if value else ""
        else:
            fields[field.name] = "" if value is None else str(value)
    return fields


def typed(form: Form, fields: Collection[ConfigurationField]) -> tuple[dict[Keys, Any], list[FieldError]]:
    """What was typed into these fields as the file would have it, and what cannot even be written so."""
    values: dict[Keys, Any] = {}
    errors: list[FieldError] = []
    for field in fields:
        match field.name:
            case "facilities":
                values[field.keys] = lines(form, field.name)
            case "processing_ids":
                values[field.keys] = [code for code, _ in PROCESSING_IDS if code in form.all(field.name)]
            case "enabled":
                values[field.keys] = form.flag(field.name)
            case "port":
                number = whole_number(form, field.name, field.label)
                if isinstance(number, FieldError):
                    errors.append(number)
                else:
                    values[field.keys] = number
            case "fhir_base_url":
                values[field.keys] = form.text(field.name) or None
            case _:
                values[field.keys] = form.text(field.name)
        value = values.get(field.keys, "")
        if value in ("", []) and field.name != "port":
            del values[field.keys]
            errors.append(FieldError(field=field.name, sentence=f"{field.label}: enter a value."))
    return values, errors
