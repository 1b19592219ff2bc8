"""Integration records: what the EHR's analysts enter, so that EHR and Carebell agree, character by character. Pure.

A record carries its environment and a check code of six letters over all of its contents: read aloud or compared at a glance, it
shows that both sides look at the same record. `ehr.record_contents` writes the records, `ehr.record_comparison` holds them
against what stands in the EHR.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from typing import Any, Final, Literal

RecordKind = Literal["patient", "provider", "direct_sms", "sms_configuration", "device_test"]

TITLES: Final[dict[RecordKind, str]] = {
    "patient": "Patient integration record",
    "provider": "Provider integration record",
    "direct_sms": "Direct SMS record",
    "sms_configuration": "SMS configuration record",
    "device_test": "Device test record",
}
_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no word results, and no Y."""
_CODE_LENGTH: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordField:
    """One value to enter.

    Attributes:
        name: stable, lower case with underscores.
        label: for people.
        value: exactly what is entered; it may hold line ends.
        note: what to know about it; None: nothing.
    """

    name: str
    label: str
    value: str
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationRecord:
    """What belongs into one record of the EHR.

    Attributes:
        missing: why the record has no fields yet, as a sentence; None: it has.
    """

    kind: RecordKind
    environment: str
    fields: tuple[RecordField, ...]
    missing: str | None = None

    @property
    def title(self) -> str:
        return TITLES[self.kind]

    @property
    def check_code(self) -> str:
        """Six letters over kind, environment, names and values; notes and labels do not count."""
        content = [self.kind, self.environment, [[field.name, field.value] for field in self.fields]]
        number = int.from_bytes(hashlib.sha256(json.dumps(content).encode()).digest(), "big")
        letters = []
        for _ in range(_CODE_LENGTH):
            number, place = divmod(number, len(_LETTERS))
            letters.append(_LETTERS[place])
        return "".join(letters)

    def to_text(self) -> str:
        """For a ticket or a mail: a heading, then each label and value; ends with a line end."""
        lines = [f"{self.title}, environment {self.environment}, check code {self.check_code}", ""]
        if self.missing is not None:
            lines.append(self.missing)
        for field in self.fields:
            values = field.value.split("\n")
            lines += (
                [f"{field.label}: {values[0]}"]
                if len(values) == 1
                else [f"{field.label}:", *(f"  {value}" for value in values)]
            )
            if field.note is not None:
                lines.append(f"  ({field.note})")
        return "\n".join(lines) + "\n"

    def to_csv(self) -> str:
        """RFC 4180. A value that a spreadsheet would take for a formula begins with an apostrophe."""
        written = io.StringIO()
        rows = csv.writer(written)
        rows.writerow(["environment", "record", "check code", "name", "label", "value", "note"])
        for field in self.fields:
            cells = [
                self.environment,
                self.kind,
                self.check_code,
                field.name,
                field.label,
                field.value,
                field.note or "",
            ]
            rows.writerow([_harmless(cell) for cell in cells])
        return written.getvalue()

    def to_json(self) -> dict[str, Any]:
        """As an object for `json.dumps`."""
        return {
            "record": self.kind,
            "environment": self.environment,
            "check_code": self.check_code,
            "missing": self.missing,
            "fields": [
                {"name": field.name, "label": field.label, "value": field.value, "note": field.note}
                for field in self.fields
            ],
        }  # fmt: skip


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
