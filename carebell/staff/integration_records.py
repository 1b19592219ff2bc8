"""The integration records of an environment, from the configuration in force, for the page of that name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from carebell.inbound.trust import read_signer
from carebell.staff.people_context import author_of
from config.fieldmap import FieldMap
from config.load import Loaded
from config.model import Environment
from ehr.launch import Reader
from ehr.record_comparison import compare
from ehr.record_contents import HeaderLine, RecordFacts, integration_records
from ehr.records import IntegrationRecord
from parser.answers import AnswerTable
from portal.edit_forms.reminders import reminder_words
from portal.pages.environments.records import ComparedSpan, RecordFormat, RecordRow, ShownComparison, ShownRecord
from portal.people import Browser, Session
from scheduler.device_test import FAILURES
from store import audit
from store.audit import AuditAction
from store.engine import Store

_EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 (compared with, not listened on)
_EVENTS: Final = {"scheduled": "scheduled", "updated": "changed", "canceled": "canceled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationRecords:
    """`portal.pages.environments.records.RecordsDesk`.

    Attributes:
        loaded: the configuration in force.
        approvals: environment -> how its approval stands, in words; those that need none are missing.
        host: this machine's name, for a listener on all of its addresses.
    """

    loaded: Callable[[], Loaded]
    approvals: Callable[[], Mapping[str, str]]
    store: Store
    now: Callable[[], datetime]
    host: str = field(default_factory=lambda: os.uname().nodename)

    def is_known(self, environment: str) -> bool:
        return environment in self.loaded().configuration.environments

    def records(self, environment: str) -> Sequence[ShownRecord] | None:
        made = self._records(environment)
        return None if made is None else [_shown(record) for record in made]

    def download(self, by: Session, environment: str, form: RecordFormat, browser: Browser) -> bytes | None:
        made = self._records(environment)
        if made is None:
            return None
        with self.store.write() as conn:
            audit.append(
                conn, author_of(by, browser), AuditAction.RECORD_EXPORT, subject=form, environment=environment,
                after=" ".join(record.check_code for record in made), at=self.now(),
            )  # fmt: skip
        return _written(made, form).encode()

    def compare(self, environment: str, kind: str, pasted: str) -> ShownComparison | None:
        made = self._records(environment) or ()
        record = next((record for record in made if record.kind == kind), None)
        if record is None:
            return None
        others = [other for other in made if other is not record]
        for name in self.loaded().configuration.environments:
            if name != environment:
                others += self._records(name) or ()
        outcome = compare(record, pasted, others)
        spans = [ComparedSpan(kind=span.kind, text=span.text, names=span.names) for span in outcome.spans]
        return ShownComparison(kind=kind, is_same=outcome.verdict == "same", sentence=outcome.sentence, spans=spans)

    def _records(self, name: str) -> tuple[IntegrationRecord, ...] | None:
        loaded = self.loaded()
        environment = loaded.configuration.environments.get(name)
        if environment is None or self.approvals().get(name, "approved") != "approved":
            return None
        return integration_records(record_facts(loaded, name, environment, at=self.now(), host=self.host))


def record_facts(loaded: Loaded, name: str, environment: Environment, *, at: datetime, host: str) -> RecordFacts:
    """What the records say of an environment. Blocking: reads certificates.

    Args:
        host: in place of an address that means all of them.
    """
    listener, sender = environment.listener, environment.sender
    reports = [read_signer(path, at)[0] for path in environment.certificates]
    headers = [
        HeaderLine(header=report.header, thumbprint=report.thumbprint, expires=f"{report.not_after:%Y-%m-%d}")
        for report in reports
        if report.header is not None and report.thumbprint is not None and report.not_after is not None
    ]
    answers = AnswerTable(loaded.answer_rows, environment.answers)
    return RecordFacts(
        environment=name,
        ehr=environment.ehr,
        join_url=_join_url(loaded, environment),
        launches=_launches(environment),
        group_visits=environment.visits.launch.group_visits,
        device_codes=_device_codes(environment),
        sms_from=environment.sms.sender,
        host=host if listener.host in _EVERYWHERE else listener.host,
        port=listener.port,
        tls=listener.tls is not None,
        facilities=sender.facilities,
        application=sender.receiving_application,
        facility=sender.receiving_facility,
        processing_ids=sender.processing_ids,
        headers=headers,
        texts=_texts(environment),
        reply_words=("START", "HELP"),
        fields=_fields(loaded.field_maps[name]),
        answers=[(row.code, str(row.answer), row.meaning) for row in answers],
        sample=sample_message(environment),
    )


def _join_url(loaded: Loaded, environment: Environment) -> str | None:
    join = loaded.configuration.join
    return join.public_url if join.enabled and environment.visits.join == "ours" else None


def _launches(environment: Environment) -> list[Reader]:
    """Whom the EHR can launch as it is configured now."""
    launch = environment.visits.launch
    if launch.client_id is None or environment.fhir_base_url is None:
        return []
    return ["provider", "patient"] if launch.patients else ["provider"]


def _device_codes(environment: Environment) -> list[tuple[str, str]]:
    """What the device test reports for each step; nothing where it is off."""
    if not environment.visits.device_test.enabled:
        return []
    failures = [(f"{step} {code}", meaning) for step, codes in FAILURES.items() for code, meaning in codes.items()]
    return [("ok", "the step works"), *failures]


def sample_message(environment: Environment) -> str:
    """A booking as this environment takes it, with nobody's number; always of the same day, so that the check code stays."""
    sender = environment.sender
    header = (
        f"EHR|{sender.facilities[0]}|{sender.receiving_application}|{sender.receiving_facility}|20270104090000-0800"
    )
    start = "20270111100000"
    segments = (
        f"MSH|^~\\&|{header}||SIU^S12^SIU_S12|1001|{sender.processing_ids[0]}|2.5.1",
        f"SCH|900100^EHR|900100^EHR|||||ROUTINE|FOLLOWUP^Follow-up|30|MIN|^^30^{start}||||||||||||||Scheduled",
        "PID|1||EXAMPLE1^^^HOSPITAL^MR||EXAMPLE^NOBODY||19000101|U|||||^PRN^CP^^1^202^5550100||en",
        "PV1|1|O|CLINIC",
        "RGS|1|A",
        f"AIS|1|A|FOLLOWUP^Follow-up|{start}|0|MIN|30|MIN",
    )
    return "\r".join(segments)


def _texts(environment: Environment) -> list[str]:
    chosen = environment.sms.confirmation
    confirmed = {"scheduled": chosen.scheduled, "updated": chosen.updated, "canceled": chosen.canceled}
    events = [f"when a visit is {_EVENTS[name]}" for name, is_chosen in confirmed.items() if is_chosen]
    return [*events, *(f"reminder {reminder_words(reminder)}" for reminder in environment.sms.reminders)]


def _fields(read: FieldMap) -> list[tuple[str, str]]:
    """(what, fields) in order of precedence."""
    places = {
        "Id of the appointment": [identity.id for identity in read.identity],
        "Start": [source.field for source in read.start],
        "Status": read.status.fields,
        "Telephone": read.phone.fields,
        "Language": read.language.fields,
        "Deceased": [read.deceased.flag, read.deceased.date],
        "Provider": read.provider,
        "Location": read.location,
        "Building": read.facility,
        "Conference of a group": read.conference,
    }
    return [(name, ", ".join(fields)) for name, fields in places.items() if fields]


def _shown(record: IntegrationRecord) -> ShownRecord:
    return ShownRecord(
        kind=record.kind,
        title=record.title,
        check_code=record.check_code,
        rows=[RecordRow(name=row.name, label=row.label, value=row.value, note=row.note) for row in record.fields],
        missing=record.missing,
    )


def _written(records: Sequence[IntegrationRecord], form: RecordFormat) -> str:
    if form == "json":
        return json.dumps([record.to_json() for record in records], indent=2, ensure_ascii=False) + "\n"
    if form == "text":
        return "\n".join(record.to_text() for record in records)
    first, *rest = (record.to_csv() for record in records)
    return first + "".join(table.split("\r\n", 1)[1] for table in rest)  # one heading alone
