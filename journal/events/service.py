"""The process itself: start, stop, clocks, leases, operators, alarms."""

import logging
from typing import Literal

from journal.alarms import AlarmName, Severity
from journal.events.base import Event, event
from journal.events.shared import NO_TRACE, ErrorTrace, TaskName, Where


@event(logging.INFO, "Nothing to do. `speed` other than 1 means a rehearsal clock: its texts are not for patients.")
class ServiceStarted(Event):
    """The service has started with its roles."""

    version: str
    build: Literal["compiled", "pure Python"]
    configuration: str
    roles: str
    environments: str
    database: str
    gateway: str
    node: str
    speed: float
    seconds: float


@event(logging.INFO)
class ServiceStopping(Event):
    """The service was asked to stop and finishes the work in flight."""

    signal: str
    connections: int


@event(
    logging.INFO,
    "If nobody asked for it, read the lines before this one. Senders keep their messages and send them again.",
)
class ServiceStopped(Event):
    """The service has stopped: somebody asked for it (`asked`), or `reason` says what failed."""

    reason: str
    seconds: float


@event(
    logging.CRITICAL,
    "Resolve what `problem` names, then start the service. Unanswered messages are sent again by the sender.",
)
class ServiceFailed(Event):
    """The service cannot continue and ends."""

    reason: str
    problem: str
    trace: ErrorTrace


@event(logging.ERROR, "Report it to the developers with this line; it holds no patient data.")
class InternalError(Event):
    """An unexpected failure happened in the code; the rest of the service continues."""

    where: Where
    environment: str | None = None
    appointment: str | None = None
    control_id: str | None = None
    trace: ErrorTrace = NO_TRACE
    repeats: int | None = None


@event(logging.INFO)
class TaskRecovered(Event):
    """A periodic task that failed runs well again, after `seconds`; `repeats` of its failures were not logged."""

    name: TaskName
    repeats: int | None
    seconds: float


@event(
    logging.ERROR,
    "The service manager ends the process within `WatchdogSec` and starts it again. Report this line to the developers.",
)
class WatchdogWithheld(Event):
    """The service does not work as it should, so its service manager gets no sign of life any more; logged once per problem."""

    problem: str


@event(
    logging.ERROR,
    "Report it to the developers with this line. `/health` shows under `tasks` whether it runs again.",
)
class BackgroundTaskEnded(Event):
    """A background task ended because of a bug in Carebell; it is started again after `seconds`."""

    name: str
    reason: Literal["returned", "failed"]
    count: int
    seconds: float
    trace: ErrorTrace


@event(
    logging.WARNING,
    "It rarely needs action. If there is another problem at the same time, include this line in the report.",
)
class Library(Event):
    """A library that Carebell uses logged a warning or an error; values were removed from its text."""

    logger: str
    text: str | None
    where: str
    trace: ErrorTrace = NO_TRACE


@event(
    logging.WARNING,
    "Find out why the file could not be written (disk full, permissions). The service itself continued.",
)
class LogResumed(Event):
    """The log file can be written again; the lines in between are lost."""

    file: str
    lines_lost: int


@event(
    logging.WARNING,
    "Give the file to the service's user, or run: chmod 0640 on it. It holds no patient data, but it shows who sends what "
    "and when.",
)
class LogOpenToOthers(Event):
    """Other accounts can read the log file, and another account owns it, so its mode was not changed."""

    file: str


@event(
    logging.WARNING,
    "Check time synchronisation (chrony, ntpd, the hypervisor). Texts are planned again by the new time.",
)
class ClockJumped(Event):
    """The system clock was set."""

    shift_seconds: float


@event(
    logging.ERROR,
    "If the new time is wrong, correct the clock within `seconds`: numbers that are forgotten after that cannot be restored.",
)
class ClockDoubted(Event):
    """The clock jumped ahead. For `seconds` forgetting does not use the new time, but the time that really passed."""

    shift_seconds: float
    seconds: float


@event(logging.INFO)
class ClockBelieved(Event):
    """Forgetting uses the clock again: it was corrected (`put_right`), or it stayed ahead and is used now (`stayed`)."""

    reason: Literal["put_right", "stayed"]
    seconds: float


@event(logging.INFO)
class LeaseAcquired(Event):
    """This node now does a job that only one node may do."""

    name: str
    node: str


@event(logging.WARNING, "Nothing to do once. If it happens often, the database is slow or the node is overloaded.")
class LeaseLost(Event):
    """This node lost a job to another one, or could not renew its lease in time."""

    name: str
    node: str


@event(logging.INFO)
class OperatorActed(Event):
    """A person changed something; it is in the audit log too."""

    action: str
    actor: str
    source: Literal["command", "portal"]


@event(
    logging.INFO,
    "Nothing to do. `carebell audit verify` compares these lines: keep a copy out of reach of those who can write the database.",
)
class AuditHead(Event):
    """The audit log has new entries; `seq` and `hash` are those of the newest. A database whose entries were cut off or rewritten
    no longer agrees with this line."""

    seq: int
    hash: str


@event(
    logging.ERROR, "Do what `problem` says; the table of alarms has more. `carebell status` shows what is raised now."
)
class AlarmRaised(Event):
    """Something needs a person's attention: `alarm` names it, `subject` says what it is about, and `problem` says it in a sentence.
    While it lasts it is logged again each hour if it is critical, each day if it is a warning, and when it becomes critical."""

    alarm: AlarmName
    severity: Severity
    subject: str | None = None
    value: float | None = None
    limit: float | None = None
    environment: str | None = None
    problem: str
    code: int | None = None
    appointment: str | None = None
    sms: str | None = None


@event(logging.INFO)
class AlarmCleared(Event):
    """An alarm is over, `seconds` after it was raised."""

    alarm: AlarmName
    subject: str | None
    environment: str | None
    seconds: float
