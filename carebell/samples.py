"""The demo's messages as HL7: a booking, a new time and a cancellation, unsigned."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

ZONE: Final = ZoneInfo("America/Los_Angeles")
REFERENCE: Final = "900100"
PHONE: Final = "+12025550143"

_MESSAGE: Final = (
    "MSH|^~\\&|EPIC|LAMNA|APPTSMS|LAMNA|{sent}||SIU^{event}^SIU_S12|{control_id}|P|2.5.1|||||USA|UNICODE UTF-8\r"
    "SCH|900100^EPIC|900100^EPIC|||||ROUTINE^Routine|FOLLOWUP^Follow-up visit|30|MIN^Minutes"
    "|^^30^{start}^{end}|||||1001^SCHEDULER^SAM|||||||||{status}\r"
    "PID|1||MRN00042^^^LAMNA^MR||TESTPATIENT^ALEX^Q||19800101|U|||||^PRN^CP^^1^202^5550143||en\r"
    "PV1|1|O|CARD^^^LAMNA\r"
    "RGS|1|A\r"
    "AIS|1|A|FOLLOWUP^Follow-up visit|{start}|0|MIN|30|MIN\r"
)


def message(event: str, control_id: str, *, sent: datetime, start: datetime, status: str = "Scheduled") -> bytes:
    """One SIU about appointment 900100, for environment `production` of the shipped configuration."""
    return _MESSAGE.format(
        event=event,
        control_id=control_id,
        sent=_dtm(sent),
        start=_dtm(start),
        end=_dtm(start + timedelta(minutes=30)),
        status=status,
    ).encode()


def sample_messages(now: datetime) -> dict[str, bytes]:
    """File name -> message: booked for a week from tomorrow, moved by two days, cancelled. All are dated about now."""
    day = (now.astimezone(ZONE) + timedelta(days=8)).replace(hour=14, minute=0, second=0, microsecond=0)
    moved = (now.astimezone(ZONE) + timedelta(days=10)).replace(hour=9, minute=30, second=0, microsecond=0)
    return {
        "1-S12-booked.hl7": message("S12", "DEMO0001", sent=now, start=day),
        "2-S13-moved.hl7": message("S13", "DEMO0002", sent=now + timedelta(seconds=1), start=moved),
        "3-S15-cancelled.hl7": message(
            "S15", "DEMO0003", sent=now + timedelta(seconds=2), start=moved, status="Cancelled"
        ),
    }


def _dtm(instant: datetime) -> str:
    return instant.astimezone(ZONE).strftime("%Y%m%d%H%M%S%z")
