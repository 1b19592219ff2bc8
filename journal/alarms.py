"""Every alarm: its name, how urgent it is, which key sets its limit, and what to do. One table, for all who show alarms.

An alarm is a state: it is raised once, and cleared once. `alarm_raised` and `alarm_cleared` are its log lines, `carebell_alarms`
is its metric, and `carebell status` shows it. An alarm about one text (`of_text`) is a moment: it has a line and a count.
`carebell.maintenance.alarm_conditions` looks whether an alarm is due.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

AlarmName = Literal[
    "overdue",
    "breaker_open",
    "held",
    "unknown_texts",
    "feed_silent",
    "signature_failures",
    "join_guessing",
    "meetings_unavailable",
    "certificate_expiring",
    "certificate_unused",
    "forgetting_late",
    "number_unreadable",
    "disk_nearly_full",
    "clock_off",
    "task_down",
    "log_incomplete",
    "writeback_blocked",
    "sms_unknown",
    "sms_unmapped",
    "sms_configuration",
    "sms_rate",
]
Severity = Literal["warning", "critical"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmKind:
    """One row of the table.

    Attributes:
        severities: what it can be. `warning`: look at it today. `critical`: a person is needed now.
        key: the configuration's key with its limit; None: it has none.
        about: what each alarm of this kind is about, the word of `subject`; empty: there is one for the whole service.
        meaning: one sentence; advice: what to do, one or two sentences.
        events: the log events that belong to it: what leads to it, or says more.
        of_text: it is about one text: a line and a count, without a state.
    """

    severities: tuple[Severity, ...]
    key: str | None
    about: str
    meaning: str
    advice: str
    events: tuple[str, ...] = ()
    of_text: bool = False


_WARNING: Final[tuple[Severity, ...]] = ("warning",)
_CRITICAL: Final[tuple[Severity, ...]] = ("critical",)

ALARMS: Final[Mapping[AlarmName, AlarmKind]] = {
    "overdue": AlarmKind(
        severities=_CRITICAL,
        key="alarms.overdue_after",
        about="",
        meaning="A text is late without an intended reason; no breaker and no hold stops it.",
        advice="Look at the gateway's last answer in `carebell status`: network, DNS, proxy, the gateway's status page. If it "
        "answers, look at `/health` for tasks that are down.",
        events=("gateway_unreachable", "gateway_reachable"),
    ),
    "breaker_open": AlarmKind(
        severities=_CRITICAL,
        key=None,
        about="scope and name",
        meaning="The gateway refuses the account, the token or the sender; texts wait.",
        advice="Resolve what the code names at the gateway. Sending resumes by itself.",
        events=("breaker_opened", "breaker_closed"),
    ),
    "held": AlarmKind(
        severities=_WARNING,
        key=None,
        about="scope and name",
        meaning="A person, a restored backup, or a missing approval holds texts.",
        advice="Look at `carebell outbox`, then run `carebell release`; a missing approval is given in the portal.",
        events=("hold_started", "hold_released"),
    ),
    "unknown_texts": AlarmKind(
        severities=_WARNING,
        key="alarms.unknown_after",
        about="",
        meaning="For texts of the last day it is still not known whether the gateway took them; they are not sent again.",
        advice="List them with `carebell outbox --state unknown` and look into the gateway's own log.",
        events=("sms_unknown", "sms_resolved"),
    ),
    "feed_silent": AlarmKind(
        severities=_WARNING,
        key="environments.NAME.expect_every",
        about="environment",
        meaning="No message was accepted for longer than expected, counted within `expect_during`.",
        advice="Ask the interface team whether the sender runs and reaches this machine; `carebell logs --level warning` shows "
        "refused messages and connections.",
        events=("connection_refused", "message_refused"),
    ),
    "meetings_unavailable": AlarmKind(
        severities=_CRITICAL,
        key="alarms.meetings_unavailable",
        about="",
        meaning="Video visits had no meeting to go to, or none could be made for them. Patients read that their room is being made "
        "ready.",
        advice="`code` of `meeting_unavailable` says why: the secret, the account, the address, or a service that does not answer. "
        "Carebell tries again every minute, and at each tap of a patient.",
        events=("meeting_unavailable",),
    ),
    "join_guessing": AlarmKind(
        severities=_WARNING,
        key="alarms.join_guessing",
        about="",
        meaning="Many join links that lead to no visit were opened within a minute: somebody tries to guess one.",
        advice="A link has 99 random bits, so that nobody finds one. Look at `peer` of `join_link_unknown`, and limit requests at "
        "the reverse proxy.",
        events=("join_link_unknown",),
    ),
    "signature_failures": AlarmKind(
        severities=_WARNING,
        key="alarms.signature_failures",
        about="environment",
        meaning="Many messages of the last ten minutes were refused because of their signature, certificate or age.",
        advice="Look up the `code` of the `message_refused` lines. After a change of the sender's key, add its new certificate; "
        "otherwise find out who `peer` is.",
        events=("message_refused", "refusals_repeated"),
    ),
    "certificate_expiring": AlarmKind(
        severities=SEVERITIES,
        key="alarms.certificate_expires",
        about="certificate",
        meaning="A sender's certificate expires soon or has expired. It is critical in the last week, unless the environment has "
        "another certificate that is valid for longer.",
        advice="Ask the sender for the next certificate and add it beside the old one; remove an expired one.",
        events=("certificate_expiring", "certificate_expired"),
    ),
    "certificate_unused": AlarmKind(
        severities=_WARNING,
        key="alarms.certificate_unused",
        about="certificate",
        meaning="A certificate of a production environment is listed, and no message was verified with it for a long time.",
        advice="If the sender uses the other one, remove this one from `certificates`: every key that is trusted can be stolen.",
        events=("certificate_unused",),
    ),
    "forgetting_late": AlarmKind(
        severities=_CRITICAL,
        key=None,
        about="",
        meaning="A number that should be gone by now is still stored.",
        advice="Resolve it at once (disk, database, a node with the role housekeeping), then run `carebell purge`.",
        events=("purge_failed",),
    ),
    "number_unreadable": AlarmKind(
        severities=_CRITICAL,
        key=None,
        about="",
        meaning="A node's key file does not open day keys of the database: texts wait, and messages about visits on these days "
        "are answered AE.",
        advice="Put the right key file in place (`storage.key_file`); it is read again by itself. If it is lost, run `carebell "
        "keys drop-unreadable`.",
        events=("number_unreadable",),
    ),
    "writeback_blocked": AlarmKind(
        severities=_WARNING,
        key=None,
        about="environment",
        meaning="With `ordering: strict` the first message that goes back to the EHR was refused or is not answered for five "
        "minutes; all others wait behind it.",
        advice="`carebell writeback list` names it. Put right what it says, then run `carebell writeback retry ID`.",
        events=("writeback_blocked", "writeback_refused", "writeback_retried"),
    ),
    "disk_nearly_full": AlarmKind(
        severities=SEVERITIES,
        key="alarms.disk_free_mb",
        about="folder",
        meaning="Little space is free where the database or the log is. It is critical below a quarter of the limit. On a full "
        "disk senders get no answer and texts wait.",
        advice="Make room on that file system, or enlarge it.",
        events=("database_unavailable",),
    ),
    "clock_off": AlarmKind(
        severities=_WARNING,
        key="alarms.clock_off",
        about="compared with",
        meaning="This machine's clock differs from the gateway's answers, from the database server, or from all senders' "
        "messages.",
        advice="Check time synchronisation (chrony, ntpd, the hypervisor). If only the senders differ, ask them about their "
        "clock.",
        events=("clock_jumped", "clock_doubted"),
    ),
    "task_down": AlarmKind(
        severities=_CRITICAL,
        key=None,
        about="task",
        meaning="A background task of the service is down or has not finished a good run for minutes.",
        advice="Read the `background_task_ended`, `internal_error` and `database_unavailable` lines. Restart the service if it "
        "stays.",
        events=("background_task_ended", "internal_error"),
    ),
    "log_incomplete": AlarmKind(
        severities=_WARNING,
        key=None,
        about="what is missing",
        meaning="Lines of the log were lost in the last hour, or fields were left out since the start.",
        advice="`lines`: find out why the file cannot be written (disk, permissions, a pipe without a reader). `fields`: a bug; "
        "report it to the developers.",
        events=("log_resumed",),
    ),
    "sms_unknown": AlarmKind(
        severities=_WARNING,
        key=None,
        about="text",
        meaning="The gateway was asked about a text whose fate is unknown, and the answer did not settle it.",
        advice="Nothing at first. If `unknown_texts` follows, look into the gateway's own log.",
        of_text=True,
    ),
    "sms_unmapped": AlarmKind(
        severities=_WARNING,
        key=None,
        about="text",
        meaning="The gateway gave a code that is in no table of Carebell.",
        advice="Look the code up at the gateway.",
        of_text=True,
    ),
    "sms_configuration": AlarmKind(
        severities=_WARNING,
        key=None,
        about="text",
        meaning="The gateway refuses the account or the text, not the patient's number.",
        advice="Look `code` up in the gateway codes.",
        of_text=True,
    ),
    "sms_rate": AlarmKind(
        severities=_WARNING,
        key=None,
        about="text",
        meaning="Many texts of one sender failed with one code within an hour.",
        advice="Look `code` up in the gateway codes; a carrier may filter the texts.",
        of_text=True,
    ),
}
"""Every alarm, in the order of docs/reference."""
