"""A clinic's nine days as its senders and patients made them: what the pages show. Nothing in it is random, and no time is now.

It is told to a service by signed messages over its ports, so that the database holds what a service writes. Numbers are 555-01xx.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from notifier.gateway import Accepted, Ambiguous, DeliveryStatus, Receipt, Refused, Resend, SentMessage, Sms
from notifier.twilio.codes import failure_of
from parser.phone_number import PhoneNumber
from scheduler.sms import HoldScope
from store import holds, optouts
from store.holds import Hold
from store.optouts import Optout
from tests.story.clinic import Clinic, opened
from tests.story.ehr import signed, unsigned
from tests.story.folder import VECTORS, Changes, change, make, shipped

BEGIN: Final = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)
"""Monday, 8:00 at the clinic."""
NOW: Final = datetime(2026, 3, 10, 21, 4, 5, tzinfo=UTC)
"""Tuesday of the next week, 14:04:05 at the clinic, which has set its clocks forward meanwhile."""
OPTED_OUT: Final = "+12025550177"
NO_SUCH_NUMBER, SWITCHED_OFF, IN_DOUBT, ON_ITS_WAY = "+12025550171", "+12025550172", "+12025550173", "+12025550174"
VISITS_A_DAY: Final = 5
_LONGEST_NAME: Final = 80
SILENT_VISIT: Final = "4711"
"""The visit of which somebody asks why there was no text: its patient opted out."""


@dataclass
class Carrier:
    """A gateway that answers by the recipient: most texts are delivered.

    Attributes:
        sent: how many were taken.
    """

    sent: int = 0

    @property
    def resends(self) -> Resend:
        return Resend.NEVER

    def send(self, sms: Sms) -> Receipt:
        number = sms.to.e164()
        if number == NO_SUCH_NUMBER:
            return Refused(failure=failure_of(21614))
        if number == SWITCHED_OFF:
            return Refused(failure=failure_of(30003))
        if number == IN_DOUBT:
            return Ambiguous(why="read_timeout")
        self.sent += 1
        status = DeliveryStatus.SENT if number == ON_ITS_WAY else DeliveryStatus.DELIVERED
        return Accepted(message_id=f"SM{self.sent:032x}", status=status)

    def fetch(self, message_id: str) -> SentMessage | None:
        return None

    def find(self, sms: Sms, since: datetime) -> list[SentMessage] | None:
        return None

    def forget(self, message_id: str) -> bool:
        return True

    def close(self) -> None:
        """It holds nothing."""


async def tell(folder: Path, changes: Changes | None = None) -> Path:
    """Make a folder with a database of these nine days; the configuration's path. The service has ended."""
    path = make(folder, changes)
    async with opened(path, at=BEGIN, gateway=Carrier(), alone=False) as clinic:
        with clinic.service.store.write() as conn:
            key = clinic.service.vault.ring.phone_key(PhoneNumber(OPTED_OUT))
            optouts.add(conn, Optout(phone_key=key, sender=optouts.EVERY_SENDER, source="webhook", since=BEGIN))
        for day in range(9):
            for place in range(VISITS_A_DAY):
                await _book(clinic, day, place)
            await _what_else(clinic, day)
        await clinic.pass_to(NOW - timedelta(minutes=2))
        await clinic.send(_message("S12", "EPIC9001", clinic, 4790, NOW + timedelta(days=9), "+12025550190"))
        await clinic.pass_to(NOW)
        with clinic.service.store.write() as conn:
            holds.hold(
                conn, Hold(scope=HoldScope.ENVIRONMENT, name="test", reason="new number", actor="kim", since=NOW)
            )
    return path


async def _book(clinic: Clinic, day: int, place: int) -> None:
    number = day * VISITS_A_DAY + place + 1
    at = BEGIN + timedelta(days=day, minutes=17 * place + 3)
    await clinic.pass_to(at)
    start = at.replace(minute=0) + timedelta(days=1 + 3 * place, hours=2 + place)
    phone = _PHONES.get(number, f"+120255501{number:02}")
    await clinic.send(_message("S12", f"EPIC{number:04}", clinic, 4700 + number, start, phone))


async def _what_else(clinic: Clinic, day: int) -> None:
    """Later that day: visits that are moved, cancelled and not attended, and messages that are refused."""
    at = BEGIN + timedelta(days=day, hours=5)
    await clinic.pass_to(at)
    number = day * VISITS_A_DAY + 3
    start = at + timedelta(days=6)
    phone = f"+120255501{number:02}"
    if day % 3 == 0:
        await clinic.send(_message("S13", f"EPIC{number}M", clinic, 4700 + number, start, phone))
    if day % 3 == 1:
        await clinic.send(_message("S15", f"EPIC{number}C", clinic, 4700 + number, start, phone, status="Cancelled"))
    if day in (2, 5, 8):
        content = unsigned("S12", f"EPIC{day}U", sent=at, start=start, reference=f"48{day:02}")
        await clinic.send(content)
    if day == 7:
        await clinic.send(signed("S12", f"EPIC{day}W", sent=at - timedelta(days=9), start=start, reference="4899"))
        await clinic.send(
            signed("S12", "TEST0001", sent=at, start=start, reference="T100", facility="LAMNATST", processing_id="T"),
            environment="test",
        )


_PHONES: Final = {
    4: SWITCHED_OFF,
    7: NO_SUCH_NUMBER,
    11: OPTED_OUT,
    16: NO_SUCH_NUMBER,
    41: IN_DOUBT,
    43: ON_ITS_WAY,
}
"""Number of the booking -> a recipient with whom something is special."""


def _message(
    event: str, control_id: str, clinic: Clinic, reference: int, start: datetime, phone: str, status: str = "Scheduled"
) -> bytes:
    return signed(
        event, control_id, sent=clinic.clock.now(), start=start, reference=str(reference), phone=phone, status=status
    )


async def tell_long_names(folder: Path, changes: Changes, text: str) -> Path:
    """Make a folder whose every name is as long as it may be; the configuration's path.

    Args:
        text: what names are cut from.
    """
    name = "-".join(re.findall(r"[a-z]+", text.lower()))[:_LONGEST_NAME]
    certificate = "accept/11-ec-p256.cer"
    environment = {**shipped()["environments"]["test"], "listener": {"port": 0}, "certificates": ["certs/next.cer"]}
    environment["sender"] = {**environment["sender"], "facilities": [text[:60].upper().replace(" ", "_")]}
    path = make(folder, {**changes, "organization": {"name": text[:60]}})
    (folder / "certs" / "next.cer").write_bytes((VECTORS / "certs" / certificate).read_bytes())
    change(path, {"environments": {name: environment}})
    async with opened(path, at=BEGIN, gateway=Carrier(), alone=False) as clinic:
        reference = text.replace(" ", "").encode("ascii", "ignore").decode()[:60]
        start = BEGIN + timedelta(days=8)
        await clinic.send(signed("S12", reference[:20], sent=BEGIN, start=start, reference=reference))
        await clinic.send(signed("S12", "W" * 20, sent=BEGIN - timedelta(days=9), start=start, reference=reference))
        await clinic.pass_to(NOW)
        with clinic.service.store.write() as conn:
            for scope, subject in ((HoldScope.ALL, ""), (HoldScope.ENVIRONMENT, name)):
                holds.hold(conn, Hold(scope=scope, name=subject, reason=text, actor=f"cli:{name}", since=NOW))
    return path
