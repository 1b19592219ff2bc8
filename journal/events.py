"""Every event Carebell logs: its name, level, fields, meaning, and what support should do when it appears.

The names are a contract: dashboards and `carebell logs` filters rely on them, and docs/reference is generated from this
file (`journal.reference`). There is one canonical line for each message that came in (`message_*`) and one for each step of
a text (`sms_*`); `appointment` joins them. A field that is not listed for its event is dropped and counted by
`journal.logs`, so a patient's data cannot slip into a line by being handed over.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import Enum, unique


@dataclass(frozen=True, slots=True)
class Entry:
    """What is documented of one event.

    Attributes:
        level: logging.DEBUG, INFO, WARNING, ERROR or CRITICAL. WARNING: look at it today. ERROR: something was not done.
            CRITICAL: a person is needed now.
        fields: names from `journal.fields.FIELDS`, in the order people want to read them.
        meaning: one sentence.
        advice: what support should do, one or two sentences.
    """

    level: int
    fields: tuple[str, ...]
    meaning: str
    advice: str


def _debug(fields: str, meaning: str, advice: str) -> Entry:
    return Entry(logging.DEBUG, tuple(fields.split()), meaning, advice)


def _info(fields: str, meaning: str, advice: str) -> Entry:
    return Entry(logging.INFO, tuple(fields.split()), meaning, advice)


def _warning(fields: str, meaning: str, advice: str) -> Entry:
    return Entry(logging.WARNING, tuple(fields.split()), meaning, advice)


def _error(fields: str, meaning: str, advice: str) -> Entry:
    return Entry(logging.ERROR, tuple(fields.split()), meaning, advice)


def _critical(fields: str, meaning: str, advice: str) -> Entry:
    return Entry(logging.CRITICAL, tuple(fields.split()), meaning, advice)


_NOTHING = "Nothing to do."


@unique
class Event(Enum):
    """All events. `Event.X.label` is the name in the log: the member's name in lower case."""

    # The service
    SERVICE_STARTED = _info(
        "version configuration roles environments database gateway node speed",
        "The service is up and does its roles.",
        "Nothing to do. `speed` other than 1 means a rehearsal clock: its texts are not for patients.",
    )
    SERVICE_STOPPING = _info(
        "signal connections", "The service was asked to stop and finishes what is in flight.", _NOTHING
    )
    SERVICE_STOPPED = _info(
        "reason seconds",
        "The service has stopped.",
        "If nobody asked for it, read the lines before this one. Senders keep their messages and send them again.",
    )
    SERVICE_FAILED = _critical(
        "reason problem exception frames",
        "The service cannot go on and ends.",
        "Resolve what `problem` names, then start the service. Unanswered messages are sent again by the sender.",
    )
    INTERNAL_ERROR = _error(
        "where environment appointment control_id exception frames",
        "Something failed that the code did not expect; the rest of the service goes on.",
        "Report it to the developers with this line; it holds nothing of a patient.",
    )
    BACKGROUND_TASK_ENDED = _error(
        "name reason count seconds exception frames",
        "A task that works in the background ended by a mistake of ours; it is started again after `seconds`.",
        "Report it to the developers with this line. `/health` shows under `tasks` whether it runs again.",
    )
    LIBRARY = _warning(
        "logger text where exception frames",
        "A library we use logged a warning or an error; values were removed from its text.",
        "Rarely needs action by itself. With other trouble at the same time, include it in the report.",
    )
    LOG_RESUMED = _warning(
        "file lines_lost",
        "The log file can be written again; the lines in between are lost.",
        "Find out why it could not be written (disk full, permissions). The service itself went on.",
    )
    LOG_OPEN_TO_OTHERS = _warning(
        "file",
        "The log file can be read by more than its owner and group, and belongs to somebody else: its mode was not changed.",
        "Give the file to the service's user, or run: chmod 0640 on it. It holds nothing of a patient, but who sends what when.",
    )
    CLOCK_JUMPED = _warning(
        "shift_seconds",
        "The system clock moved by more than it should have.",
        "Check time synchronisation (chrony, ntpd, the hypervisor). Texts are planned again by the new time.",
    )
    CLOCK_DOUBTED = _error(
        "shift_seconds seconds",
        "The clock jumped ahead; for `seconds` nothing is forgotten by the new time, only by the time that passed.",
        "If the new time is wrong, set it right within that time: what is forgotten after it cannot be brought back.",
    )
    CLOCK_BELIEVED = _info(
        "reason seconds",
        "Forgetting goes by the clock again: it was put right (`put_right`), or has stayed and counts (`stayed`).",
        _NOTHING,
    )
    LEASE_ACQUIRED = _info("name node", "This node now does a job that only one node may do.", _NOTHING)
    LEASE_LOST = _warning(
        "name node",
        "This node lost a job to another one, or could not renew its lease in time.",
        "Nothing to do once. Often: the database is slow, or the node is overloaded.",
    )
    OPERATOR_ACTED = _info(
        "action actor environment source", "A person changed something; it is in the audit log too.", _NOTHING
    )
    ALARM_RAISED = _error(
        "alarm value limit environment problem",
        "A measured value has passed its limit.",
        "See docs/reference for the alarm named. `carebell status` shows the present figures.",
    )

    # Configuration
    CONFIGURATION_LOADED = _info("configuration file environments", "The configuration was read at start-up.", _NOTHING)
    CONFIGURATION_CHANGED = _info(
        "configuration previous file environments",
        "A changed configuration is in force.",
        "Nothing to do. Pending texts are planned again; see `replanned`.",
    )
    CONFIGURATION_REFUSED = _error(
        "problem problems file configuration",
        "A changed configuration is wrong and was not taken; the old one stays in force.",
        "Correct the line that `problem` names; `carebell check-config` lists all of them.",
    )
    CONFIGURATION_WARNING = _warning(
        "problem file",
        "The configuration works but will not do what it probably should.",
        "Read `problem`: missing consent, a certificate about to expire, a text that is too long.",
    )
    RESTART_NEEDED = _warning(
        "keys configuration",
        "These keys changed but take effect only when the service starts.",
        "Restart the service when it suits; senders wait and lose nothing.",
    )
    REPLANNED = _info(
        "environment appointments planned withdrawn seconds configuration",
        "Pending texts were planned again after a change of the configuration.",
        _NOTHING,
    )

    # Listeners and connections
    DESCRIPTORS_SHARED = _info(
        "limit kept connections per_peer",
        "How many files and connections the process may open: `limit` in all, of which `kept` are for the database, the gateway "
        "and HTTP; HL7 connections get `connections` in all and `per_peer` from one address.",
        "Nothing to do. For more connections raise `ulimit -n` or the unit's LimitNOFILE, then restart.",
    )
    LISTENER_STARTED = _info("listener environments tls", "A listener accepts connections.", _NOTHING)
    LISTENER_FAILED = _critical(
        "listener environments problem",
        "A listener could not be opened.",
        "The port is in use or not allowed: `problem` says which. Free it or change `listener.port`.",
    )
    LISTENER_DRAINING = _info(
        "listener connections", "A listener takes no new connections and answers what is in flight.", _NOTHING
    )
    LISTENER_STOPPED = _info("listener connections messages seconds", "A listener is closed.", _NOTHING)
    CONNECTION_PROBED = _debug(
        "peer listener", "Somebody connected and left without a byte: a load balancer's probe.", _NOTHING
    )
    CONNECTION_REFUSED = _warning(
        "peer listener environment reason text thumbprint limit",
        "A connection was turned away: not an allowed address, too many connections, TLS failed, or its client certificate was "
        "missing, expired or not one of the environment's; `thumbprint` is that of the certificate it showed.",
        "If the peer is the hospital's interface engine, check `listener.allow_from`, the limits, or its TLS settings.",
    )
    CONNECTION_TIMED_OUT = _warning(
        "peer listener environment reason text seconds",
        "A peer was too slow: in its TLS handshake, in the middle of a message, in reading answers, or idle.",
        "Once: nothing. Often: the network between, or a stuck interface engine.",
    )
    FRAMING_ERROR = _warning(
        "peer listener environment reason text",
        "A peer sent something that is not MLLP; its connection was closed and nothing was stored.",
        "Check that the peer's port and protocol are meant for this listener; `text` says what arrived.",
    )
    CONNECTION_LOST = _warning(
        "peer listener environment reason text",
        "A connection broke in the middle of a message, or was given up with an answer outstanding.",
        "Nothing to do once: the sender sends the message again. Often: the network between.",
    )
    OVERLOAD_STARTED = _warning(
        "listener environment connections held reason text",
        "Messages arrive faster than they can be stored; the listener slows its peers.",
        "Nothing is lost: senders wait. If it stays, look at disk latency and at the number of nodes.",
    )

    # Messages: one line each
    MESSAGE_ACCEPTED = _info(
        "environment control_id trigger appointment revision effect answer planned withdrawn suppressed "
        "milliseconds peer thumbprint warnings order_doubtful number_fault",
        "A message was verified, stored for good and answered.",
        "Nothing to do. `warnings` name what was odd; `carebell explain` shows it on a copy of the message. `order_doubtful`: "
        "often means that the sender should write MSH-7 to the second and with its offset. `number_fault`: "
        "correct the number in the hospital's own system; where junk was sent (`UNKNOWN`), a number that was known stays in use.",
    )
    REFUSALS_REPEATED = _warning(
        "of peer listener environment reason code thumbprint path repeats",
        "So many more of what was refused or closed were not logged line by line: the same event (`of`), reason, address and "
        "certificate, within half a minute. Without `of`: of all kinds, beyond what is told apart.",
        "As for the event that `of` names. Metrics count every single one.",
    )
    MESSAGE_REFUSED = _warning(
        "environment control_id code err3 answer text peer thumbprint digest milliseconds",
        "A message was answered with an error and left no trace in the database.",
        "Look `code` up in docs/reference: it says whose fault it is. Usually the sender's interface must be changed.",
    )
    MESSAGE_REPEATED = _info(
        "environment control_id answer peer digest milliseconds",
        "A message that was stored before came again; the stored answer was given, without a second effect.",
        "Nothing to do. Often: the sender does not get our answers in time.",
    )
    MESSAGE_FAILED = _error(
        "environment control_id reason answer peer digest exception milliseconds",
        "A good message could not be stored by our fault; the sender will send it again.",
        "See `reason` (database, disk, shutting down) and the lines around it. Nothing is lost, nothing was stored.",
    )
    CONTROL_ID_REUSED = _warning(
        "environment control_id peer digest",
        "Another message with the same MSH-10 was processed, as `reuse_of_control_id: warn` asks.",
        "The sender's interface should make MSH-10 unique.",
    )
    ANSWER_UNDELIVERED = _warning(
        "environment control_id answer peer",
        "The sender hung up before it got its answer.",
        "Nothing to do: it will send the message again and get the stored answer. Often: raise the sender's time-out.",
    )

    # Certificates
    CERTIFICATE_LOADED = _info(
        "environment thumbprint file not_after days_left", "A sender's certificate is in use.", _NOTHING
    )
    CERTIFICATE_EXPIRING = _warning(
        "environment thumbprint file not_after days_left",
        "A certificate expires soon; after that its messages are refused.",
        "Ask the sender for the next certificate and add it beside the old one: two may be active.",
    )
    CERTIFICATE_EXPIRED = _error(
        "environment thumbprint file not_after days_left",
        "A certificate has expired; messages signed with it are refused.",
        "Get the new certificate from the sender, add it under `certificates`, remove the expired one.",
    )
    CERTIFICATE_UNUSED = _warning(
        "environment thumbprint file days_left",
        "An active certificate has signed nothing for a long time.",
        "If the sender has changed to the newer one, remove this one from `certificates`.",
    )
    CERTIFICATE_ROTATED = _info(
        "environment active thumbprint file", "The set of active certificates of an environment changed.", _NOTHING
    )

    # The database
    DATABASE_UPGRADED = _info(
        "database version seconds", "The database was brought to this version's tables.", _NOTHING
    )
    DATABASE_UNAVAILABLE = _critical(
        "database reason exception repeats",
        "The database cannot be used; messages get no answer and texts wait.",
        "Check the disk and the database server. Senders keep their messages; no restart is needed afterwards.",
    )
    DATABASE_RECOVERED = _info("database seconds", "The database works again.", _NOTHING)

    # Texts: one line for each step
    SMS_SENT = _info(
        "environment appointment kind rule sms to segments attempt sid state due late_seconds milliseconds sender",
        "A text was handed to the gateway and taken.",
        "Nothing to do. `sms_status` tells whether it arrived.",
    )
    SMS_SUPPRESSED = _info(
        "environment appointment kind rule sms reason due",
        "A planned text does not leave, for the reason given.",
        "Nothing to do. docs/reference explains each reason.",
    )
    SMS_FAILED = _warning(
        "environment appointment kind rule sms to code state attempt sid",
        "A text will not reach the patient; it is not tried again.",
        "Look `code` up in docs/reference. A wrong number is corrected in the hospital's own system.",
    )
    NUMBER_UNREADABLE = _critical(
        "environment appointment count next_at",
        "Sealed numbers do not open with the keys there are (`count` texts, the first one's appointment named); the others leave.",
        "Put the key file right (`storage.key_file`): restored from a backup it may lack the newest key. Texts wait for it. "
        "A database from before a rotation: `carebell keys drop-unreadable`.",
    )
    SMS_RETRY = _info(
        "environment appointment kind rule sms code reason attempt next_at",
        "The gateway could not take a text now; it is tried again at `next_at`.",
        "Nothing to do once. Often: look at the gateway's status page and at the sender's rate.",
    )
    SMS_UNKNOWN = _error(
        "environment appointment kind rule sms to reason attempt",
        "It is not known whether the gateway took a text; it is not sent blindly again.",
        "Nothing at once: it is looked up at the gateway. If it stays unknown, look at the gateway's own log.",
    )
    SMS_RESOLVED = _info(
        "environment appointment kind rule sms state sid source seconds",
        "The fate of an unknown text is known.",
        _NOTHING,
    )
    SMS_STATUS = _info(
        "environment appointment kind rule sms sid state code source",
        "The gateway reported how a text fared.",
        "Nothing to do; `undelivered` and `failed` have a `code` to look up.",
    )
    BREAKER_OPENED = _critical(
        "scope environment sender code held",
        "An account or sender problem stopped sending; texts wait.",
        "Resolve what `code` names at the gateway (token, account, number). Sending resumes by itself.",
    )
    BREAKER_CLOSED = _info("scope environment sender held seconds", "Sending resumed.", _NOTHING)
    HOLD_STARTED = _warning(
        "environment reason held source",
        "Texts of an environment wait for a person.",
        "Look at `carebell outbox`, then `carebell release` or let them expire.",
    )
    HOLD_RELEASED = _info("environment held source", "Texts of an environment leave again.", _NOTHING)
    OPT_OUT_RECORDED = _info(
        "environment sender to source", "A number asked for no more texts from this sender.", _NOTHING
    )
    OPT_OUT_RESTORED = _info("environment sender to source", "A number wants texts from this sender again.", _NOTHING)
    REPLY_REPEATED = _warning(
        "sender to source",
        "A STOP or START that was heard before came again, the very same message; it changed nothing this time.",
        "Once, soon after the first: the gateway repeated it. Later: somebody plays a captured call again; change the token.",
    )
    REPLY_UNCLEAR = _warning(
        "sender to sid source",
        "A patient's text holds a word of STOP among others and was not taken for a STOP; the text itself is not kept.",
        "Read it at the gateway by its `sid`. If the patient wants no more texts, record it with `carebell optout add`.",
    )
    WEBHOOK_REFUSED = _warning(
        "path reason peer",
        "A callback was not the gateway's, or could not be proven to be; nothing was changed.",
        "After a change of token or address check the gateway's `public_url` and its file of tokens; else it is a stranger.",
    )
    HTTP_CLOSED = _warning(
        "peer reason",
        "A connection to the HTTP port was closed without an answer: TLS on the plain port (`tls`), no HTTP (`not_http`), a "
        "request that did not end (`too_slow`) or whose end could be read in two ways (`ambiguous`), an answer that was not read "
        "(`unread`), or one of too many connections (`crowded_out`, `too_many`).",
        "Nothing once. Often: let only the reverse proxy reach the port, and look at what `peer` is.",
    )

    # Forgetting
    PHONE_FORGOTTEN = _info(
        "environment appointment reason",
        "An appointment's number is deleted: it started, ended or was cancelled.",
        _NOTHING,
    )
    PURGE_FINISHED = _info("appointments messages count seconds", "A round of deletion is done.", _NOTHING)
    PURGE_FAILED = _critical(
        "reason exception frames held",
        "Numbers that should be gone could not be deleted.",
        "Resolve it at once (disk, database), then run `carebell purge`.",
    )
    DAY_KEY_DESTROYED = _info(
        "day count", "The key of a past day is gone; copies of its numbers are unreadable.", _NOTHING
    )
    GATEWAY_COPY_DELETED = _debug("environment sms sid", "The gateway's own copy of a text is deleted.", _NOTHING)
    GATEWAY_COPY_KEPT = _warning(
        "environment sms sid code next_at",
        "The gateway's own copy of a text could not be deleted yet.",
        "Nothing once: it is tried for 14 days. After that delete it in the gateway's console.",
    )
    KEY_ROTATED = _info(
        "key count seconds actor",
        "Every day's key is wrapped under a new master key; the one before is gone from the key file.",
        "Back up the key file and the database: no backup from before opens with this key file.",
    )

    @property
    def label(self) -> str:
        """The event's name in the log, `message_accepted`."""
        return self.name.lower()

    @property
    def level(self) -> int:
        return self.value.level

    @property
    def fields(self) -> tuple[str, ...]:
        return self.value.fields
