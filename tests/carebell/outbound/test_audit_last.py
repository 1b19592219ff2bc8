"""The audit log's head is locked last, so that on PostgreSQL a STOP and the record of refusals do not wait in a circle."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from notifier.gateway import Receipt, Refused, Sms
from notifier.replies import OptOut
from notifier.twilio.codes import failure_of
from parser.phone_number import PhoneNumber
from simulator.patients import fictitious_number
from store import audit, optouts
from tests.carebell.pieces import pieces
from tests.faults.playing import SENDER
from tests.faults.test_deadlocks import Hospital, MoodyGateway
from tests.story.folder import CLOCK

_STOPPED = 21610


class Refusing(MoodyGateway):
    """Says of every number that its owner has replied STOP."""

    def send(self, sms: Sms) -> Receipt:
        return Refused(failure=failure_of(_STOPPED))


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What takes a lock, in order."""
    order: list[str] = []
    add, append = optouts.add, audit.append

    def adding(*given, **named):  # type: ignore[no-untyped-def]
        order.append("opt-out")
        return add(*given, **named)

    def appending(*given, **named):  # type: ignore[no-untyped-def]
        order.append("audit")
        return append(*given, **named)

    monkeypatch.setattr(optouts, "add", adding)
    monkeypatch.setattr(audit, "append", appending)
    return order


def test_entries_are_written_after_everything_else_of_their_transaction(locked: list[str], tmp_path: Path) -> None:
    at = CLOCK.replace(hour=18, minute=0, second=30)
    sms = {"debounce": "0s", "quiet_hours": None}
    with pieces(tmp_path / "clinic", at=at, gateway=Refusing(), sms=sms) as service:
        Hospital(service, 0).commit_group([0, 1])
        service.step(timedelta(minutes=1))
        service.tick()
        assert locked == ["opt-out", "opt-out", "audit", "audit"]
        locked.clear()
        number = PhoneNumber(fictitious_number(2))
        service.webhooks._preference(OptOut(phone=number, senders=(SENDER, "+14255550102")))
        assert locked == ["opt-out", "opt-out", "audit", "audit"]
