"""Vocabularies and groups of fields that several events share. `journal.fields` has the meaning of each field."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from journal.events.base import FieldGroup
from scheduler.sms import SmsKind

TaskName = Literal[
    "clock",
    "beat",
    "repeats",
    "dispatch",
    "reconciliation",
    "housekeeping",
    "overdue",
    "visits",
    "meetings",
    "alarms",
    "watchdog",
    "configuration",
    "writeback",
]
Where = Literal[
    TaskName,
    "handler",
    "dispatcher",
    "listener",
    "reload",
    "webhook",
    "portal",
    "join",
    "main",
    "thread",
    "asyncio",
    "finalizer",
]
SentAnswer = Literal["AA", "AE", "AR", "CA", "CE", "CR", "none", "reset"]
OptOutSource = Literal["webhook", "words", "refusal", "cli", "portal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorTrace(FieldGroup):
    """Where an exception happened; made by `journal.traces.trace`."""

    exception: str | None
    frames: str | None


NO_TRACE = ErrorTrace(exception=None, frames=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsIdentity(FieldGroup):
    """The text that a line is about. `sms` None: a text that was never to be sent and has no id yet."""

    environment: str
    appointment: str
    kind: SmsKind
    rule: str
    sms: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts(FieldGroup):
    """The certificate that a line is about."""

    environment: str
    thumbprint: str
    file: str
    not_after: datetime
    days_left: int
