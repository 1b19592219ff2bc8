"""An EHR of the story: a small signed SIU message about one visit, every value that a test cares for as a parameter."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from tests.story.folder import sign

ZONE: Final = ZoneInfo("America/Los_Angeles")
PHONE: Final = "+12025550143"


def unsigned(
    event: str,
    control_id: str,
    *,
    sent: datetime,
    start: datetime | None,
    reference: str = "900100",
    phone: str = PHONE,
    status: str = "Scheduled",
    language: str = "en",
    visit: str = "FOLLOWUP",
    accept: str = "",
    facility: str = "LAMNA",
    processing_id: str = "P",
    note: str = "",
) -> bytes:
    """An SIU message, segments ended by CR.

    Args:
        start: None: no time in the message. accept: MSH-15. note: SCH-7.2, free text.
    """
    when = "" if start is None else _dtm(start)
    national = phone.removeprefix("+1")
    header = f"EPIC|{facility}|APPTSMS|{facility}|{_dtm(sent)}||SIU^{event}^SIU_S12|{control_id}|{processing_id}|2.5.1"
    return "".join(
        f"{segment}\r"
        for segment in (
            f"MSH|^~\\&|{header}|||{accept}|||UNICODE UTF-8",
            f"SCH|{reference}^EPIC|{reference}^EPIC|||||ROUTINE^{note}|{visit}^Visit|30|MIN|^^30^{when}||||||||||||||{status}",
            f"PID|1||MRN00042^^^LAMNA^MR||TESTPATIENT^ALEX^Q||19800101|U|||||^PRN^CP^^1^{national[:3]}^{national[3:]}||{language}",
            "PV1|1|O|CARD^^^LAMNA",
            "RGS|1|A",
            f"AIS|1|A|{visit}^Visit|{when}|0|MIN|30|MIN",
        )
    ).encode()


def signed(event: str, control_id: str, *, sent: datetime, start: datetime | None, **more: str) -> bytes:
    """As `unsigned`, with the signature of the environment that `facility` belongs to."""
    content = unsigned(event, control_id, sent=sent, start=start, **more)
    if more.get("facility") == "LAMNATST":
        return sign(content, key="test-rsa2048", certificate="accept/09-test-rsa2048.cer")
    return sign(content)


def _dtm(instant: datetime) -> str:
    return instant.astimezone(ZONE).strftime("%Y%m%d%H%M%S%z")
