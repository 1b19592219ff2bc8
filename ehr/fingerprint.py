"""What an approver vouches for: the facts, their fingerprint, and the difference of two in words. Pure.

Reminder times, quiet hours, texts and caps are not among the facts: changing them needs no approval.
The fingerprint is the SHA-256 of the facts as canonical JSON: keys and lists sorted, no blanks, UTF-8.
A fact that is added later changes all fingerprints; `VERSION`, which is a part of them, says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedFacts:
    """What is approved of an environment.

    Attributes:
        facilities, application, facility, processing_ids: MSH-4, -5, -6 and -11 of the sender.
        thumbprints: of its certificates.
        recipients: who may be texted: everybody, the numbers of `allow_list`, or one number in place of all.
        consent_field, consent_granted: the message's field with the patient's own consent, and its values that mean yes.
        join_host: the host of patients' links; None: no links.
        write_back: where results go.
    """

    environment: str
    kind: Literal["production", "test"]
    fhir_base_url: str | None
    ehr: str
    facilities: tuple[str, ...]
    application: str
    facility: str
    processing_ids: tuple[str, ...]
    authentication: str
    thumbprints: tuple[str, ...]
    sms_from: str
    organization_allows_sending: bool
    attendees_have_consented: bool
    consent_field: str | None = None
    consent_granted: tuple[str, ...] = ()
    recipients: Literal["everybody", "allow_list", "one_number"] = "everybody"
    join_host: str | None = None
    write_back: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Canonical: equal facts are equal texts."""
        return json.dumps(
            {"version": VERSION} | {name: _sorted(value) for name, value in asdict(self).items()},
            sort_keys=True, separators=(",", ":"), ensure_ascii=False,
        )  # fmt: skip

    @classmethod
    def from_json(cls, text: str) -> ApprovedFacts:
        """ValueError if this version's `to_json` did not write it."""
        try:
            fields: dict[str, Any] = json.loads(text)
            if fields.pop("version") != VERSION:
                raise ValueError("facts of another version")
            values: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
            }
            return cls(**values)
        except (TypeError, KeyError, AttributeError):
            raise ValueError("no approved facts") from None


def fingerprint(facts: ApprovedFacts) -> str:
    """64 hexadecimal digits."""
    return hashlib.sha256(facts.to_json().encode()).hexdigest()


_WORDS: Final[tuple[tuple[str, str], ...]] = (
    ("environment", "Name of the environment"),
    ("kind", "Kind of the environment"),
    ("fhir_base_url", "FHIR base URL"),
    ("ehr", "EHR"),
    ("facilities", "Sending facilities (MSH-4)"),
    ("application", "Receiving application (MSH-5)"),
    ("facility", "Receiving facility (MSH-6)"),
    ("processing_ids", "Processing ids (MSH-11)"),
    ("authentication", "How the sender proves itself"),
    ("thumbprints", "Certificates"),
    ("sms_from", "Sending number"),
    ("organization_allows_sending", "The organisation allows sending"),
    ("attendees_have_consented", "Attendees have consented"),
    ("consent_field", "Field with the patient's own consent"),
    ("consent_granted", "Values of that field that mean yes"),
    ("recipients", "Who may be texted"),
    ("join_host", "Host of patients' links"),
    ("write_back", "Where results go"),
)
"""Every fact, in the order in which a person checks them."""
_VALUES: Final[dict[str, str]] = {
    "everybody": "every patient",
    "allow_list": "only the numbers of the allow list",
    "one_number": "one number in place of every patient's",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRow:
    """One fact for people.

    Attributes:
        before: the approved value; None: as now, or nothing was approved before.
    """

    name: str
    label: str
    value: str
    before: str | None = None


def rows(facts: ApprovedFacts, approved: ApprovedFacts | None = None) -> tuple[FactRow, ...]:
    """Every fact in words, with the approved value where it differs."""
    return tuple(
        FactRow(
            name=name,
            label=label,
            value=_shown(getattr(facts, name)),
            before=None if approved is None or _same(facts, approved, name) else _shown(getattr(approved, name)),
        )
        for name, label in _WORDS
    )


def differences(approved: ApprovedFacts, facts: ApprovedFacts) -> tuple[str, ...]:
    """What has changed since the approval, a sentence for each fact; none: the approval holds."""
    return tuple(_difference(label, getattr(approved, name), getattr(facts, name))
                 for name, label in _WORDS if not _same(approved, facts, name))  # fmt: skip


def _difference(label: str, before: Any, after: Any) -> str:
    if isinstance(before, tuple) and isinstance(after, tuple):
        added = [item for item in after if item not in before]
        removed = [item for item in before if item not in after]
        parts = [
            *([f"added {', '.join(added)}"] if added else []),
            *([f"removed {', '.join(removed)}"] if removed else []),
        ]
        return f"{label}: {'; '.join(parts)}."
    return f"{label}: was {_shown(before)}, is {_shown(after)}."


def _same(left: ApprovedFacts, right: ApprovedFacts, name: str) -> bool:
    return bool(_sorted(getattr(left, name)) == _sorted(getattr(right, name)))


def _sorted(value: Any) -> Any:
    return sorted(set(value)) if isinstance(value, list | tuple) else value


def _shown(value: bool | str | Sequence[str] | None) -> str:
    if value is None or value == () or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _VALUES.get(value, value) if isinstance(value, str) else ", ".join(value)
