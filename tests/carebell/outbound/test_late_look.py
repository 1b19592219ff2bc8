"""No create starts in the second half of its lease, also where the last look at the text took that long."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from carebell.outbound.dispatcher import LEASE
from notifier.gateway import Accepted, Receipt, Sms
from store.claims import Claimed
from store.last_look import LastLook
from tests.carebell.pieces import pieces
from tests.faults.test_deadlocks import Hospital, MoodyGateway
from tests.story.folder import CLOCK


class Taking(MoodyGateway):
    """Takes every text."""

    def send(self, sms: Sms) -> Receipt:
        self.asked += 1
        return Accepted(message_id=f"SM{self.asked:032x}")


def test_a_text_whose_look_took_half_of_its_lease_is_given_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gateway, asked_before = Taking(), list[int]()
    at = CLOCK.replace(hour=18, minute=0, second=30)
    with pieces(tmp_path / "clinic", at=at, gateway=gateway, sms={"debounce": "0s", "quiet_hours": None}) as service:
        look = LastLook.allows

        def slow(self: LastLook, claim: Claimed) -> bool:
            if not asked_before:
                service.step(LEASE / 2)
            asked_before.append(gateway.asked)
            return look(self, claim)

        monkeypatch.setattr(LastLook, "allows", slow)
        Hospital(service, 0).commit_group([0])
        service.step(timedelta(minutes=1))
        service.tick()
        assert (asked_before, gateway.asked) == ([0], 0)
        service.step(timedelta(minutes=1))
        service.tick()
    assert (asked_before, gateway.asked) == ([0, 0], 1)
