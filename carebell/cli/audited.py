"""For every command: which entries of the audit log it writes, or why it writes none. A test walks the commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from store.audit import AuditAction

WRITES_OWN_FILES: Final = "writes new files where it is told to, and opens no database"
READS_GIVEN_FILES: Final = "reads the files that it is given, and opens no database"
NOTHING_OF_A_PATIENT: Final = "shows nothing of a patient, and changes nothing"
OUTSIDE: Final = "plays the outside world for rehearsals, and opens no database"
READS_THE_LOG: Final = (
    "shows a file that whoever may run it may read without Carebell; it holds four digits of a number at most"
)

PORTAL: Final = (
    AuditAction.VISIT_LET_IN,
    AuditAction.VISIT_PUT_OFF,
    AuditAction.SIGN_IN,
    AuditAction.SIGN_IN_FAIL,
    AuditAction.SIGN_IN_LOCK,
    AuditAction.SIGN_IN_CONFIRM,
    AuditAction.SIGN_OUT,
    AuditAction.PAGE_DENIED,
    AuditAction.PERSON_INVITE,
    AuditAction.PERSON_SET_UP,
    AuditAction.PERSON_ROLE,
    AuditAction.PERSON_DISABLE,
    AuditAction.PERSON_ENABLE,
    AuditAction.PERSON_UNLOCK,
    AuditAction.PERSON_SIGN_OUT,
    AuditAction.PERSON_PASSWORD,
    AuditAction.PERSON_SECOND_FACTOR,
    AuditAction.CONFIG_PATCH,
    AuditAction.APPROVAL_ASK,
    AuditAction.APPROVAL_PROVE,
    AuditAction.APPROVAL_APPROVE,
    AuditAction.APPROVAL_SEND_BACK,
    AuditAction.RECORD_EXPORT,
    AuditAction.LOG_EXPORT,
)
"""Of the portal, which runs in the service."""

COMMANDS: Final[Mapping[str, tuple[AuditAction, ...] | str]] = {
    "init": WRITES_OWN_FILES,
    "demo": "runs a service on a database of its own, which records as any service does",
    "serve": (
        AuditAction.SERVICE_START,
        AuditAction.SERVICE_STOP,
        AuditAction.DB_UPGRADE,
        AuditAction.CONFIG_ACTIVATE,
        AuditAction.CONFIG_CHANGE,
        AuditAction.CERTIFICATE_ADD,
        AuditAction.CERTIFICATE_REMOVE,
        AuditAction.HOLD_PLACE,
        AuditAction.BREAKER_OPEN,
        AuditAction.BREAKER_CLOSE,
        AuditAction.OPTOUT_ADD,
        AuditAction.OPTOUT_REMOVE,
        AuditAction.PURGE,
        AuditAction.AUDIT_PRUNE,
        # by people at the portal that it serves
        *PORTAL,
    ),
    "install": "prepares the machine before there is a database; systemd and the package manager keep their own records",
    "doctor": NOTHING_OF_A_PATIENT,
    "check-config": READS_GIVEN_FILES,
    "cert show": READS_GIVEN_FILES,
    "sign": READS_GIVEN_FILES,
    "verify": READS_GIVEN_FILES,
    "send": READS_GIVEN_FILES,
    "explain": READS_GIVEN_FILES,
    "plan": READS_GIVEN_FILES,
    "rehearse": "runs messages in memory, and stores and shows nothing of the service's database",
    "config history": NOTHING_OF_A_PATIENT,
    "config show": NOTHING_OF_A_PATIENT,
    "config set": (AuditAction.CONFIG_WRITE, AuditAction.CONFIG_CHANGE),
    "config restore": (AuditAction.CONFIG_WRITE, AuditAction.CONFIG_CHANGE),
    "config preview": "opens the database read-only, and shows appointments' ids at most, no number",
    "outbox": (AuditAction.VIEW_OUTBOX,),
    "appointments": (AuditAction.VIEW_APPOINTMENTS,),
    "trace": (AuditAction.TRACE,),
    "logs": READS_THE_LOG,
    "status": NOTHING_OF_A_PATIENT,
    "report sms": (AuditAction.REPORT_EXPORT,),
    "report visits": (AuditAction.REPORT_EXPORT,),
    "hold": (AuditAction.HOLD_PLACE,),
    "release": (AuditAction.HOLD_RELEASE, AuditAction.BREAKER_CLOSE),
    "purge": (AuditAction.PURGE, AuditAction.NUMBER_SEARCH),
    "optout list": "shows keyed hashes alone, and changes nothing",
    "optout add": (AuditAction.OPTOUT_ADD,),
    "optout remove": (AuditAction.OPTOUT_REMOVE,),
    "reply list": NOTHING_OF_A_PATIENT,
    "reply done": (AuditAction.REPLY_DONE,),
    "writeback list": NOTHING_OF_A_PATIENT,
    "writeback show": NOTHING_OF_A_PATIENT,
    "writeback retry": (AuditAction.WRITEBACK_RETRY,),
    "keys rotate": (AuditAction.KEYS_ROTATE,),
    "keys drop-unreadable": (AuditAction.KEYS_DROP,),
    "db backup": (AuditAction.DB_BACKUP,),
    "db upgrade": (AuditAction.DB_UPGRADE,),
    "db downgrade": (AuditAction.DB_DOWNGRADE,),
    "audit": NOTHING_OF_A_PATIENT,
    "audit verify": NOTHING_OF_A_PATIENT,
    "audit export": (AuditAction.AUDIT_EXPORT,),
    "visit list": NOTHING_OF_A_PATIENT,
    "visit show": NOTHING_OF_A_PATIENT,
    "visit link": (AuditAction.VISIT_LINK,),
    "visit revoke": (AuditAction.VISIT_REVOKE,),
    "numbers list": NOTHING_OF_A_PATIENT,
    "numbers search": NOTHING_OF_A_PATIENT,
    "numbers buy": (AuditAction.NUMBERS_BUY, AuditAction.NUMBERS_LINK),
    "numbers link": (AuditAction.NUMBERS_LINK,),
    "portal user add": (AuditAction.PERSON_INVITE,),
    "portal user invite": (AuditAction.PERSON_INVITE,),
    "portal user list": NOTHING_OF_A_PATIENT,
    "portal user disable": (AuditAction.PERSON_DISABLE,),
    "portal user enable": (AuditAction.PERSON_ENABLE,),
    "portal unlock": (AuditAction.PERSON_UNLOCK,),
    "simulator twilio": OUTSIDE,
    "simulator ehr": OUTSIDE,
    "simulator fhir": OUTSIDE,
}
"""The words after `carebell` -> actions, or the reason why there are none."""
