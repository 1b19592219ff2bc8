"""What is claimed and not recorded never exceeds what can be posted at once; everything that is due leaves all the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scheduler.sms import SmsState
from simulator.patients import fictitious_number
from store.claims import Claimed, Round
from tests.carebell.pieces import AT_ONCE, Pieces, pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.story.ehr import unsigned

NOW = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
DUE = 120


def book_many(service: Pieces) -> None:
    for number in range(DUE):
        service.hear(
            unsigned(
                "S12",
                f"c{number}",
                sent=NOW,
                start=NOW + timedelta(days=10),
                reference=f"R{number}",
                phone=fictitious_number(number),
            )
        )
    assert service.refused == []


def test_no_more_is_claimed_than_can_be_posted_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twilio = PocketTwilio(now=lambda: NOW)
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms={"debounce": "0s", "reminders": []}) as service:
        book_many(service)
        claim, open_rows = service.dispatcher._claim, []

        def counted(limit: int) -> Round:
            claimed_round = claim(limit)
            open_rows.append(service.count(SmsState.SENDING))
            return claimed_round

        monkeypatch.setattr(service.dispatcher, "_claim", counted)
        assert service.tick() == DUE
        assert AT_ONCE // 2 < max(open_rows) <= AT_ONCE
        assert service.count(SmsState.SENDING) == 0


def test_a_claim_that_fails_keeps_no_open_request_from_being_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twilio = PocketTwilio(now=lambda: NOW)
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms={"debounce": "0s", "reminders": []}) as service:
        book_many(service)
        claim = service.dispatcher._claim
        claimed: list[Claimed] = []

        def fail_later(limit: int) -> Round:
            if claimed:
                raise OSError("the database is away")
            claimed.extend((claimed_round := claim(limit)).claimed)
            return claimed_round

        monkeypatch.setattr(service.dispatcher, "_claim", fail_later)
        with pytest.raises(OSError, match="away"):
            service.tick()
        assert len(claimed) == AT_ONCE
        assert service.count(SmsState.SENDING) == 0
        monkeypatch.undo()
        assert service.tick() == DUE - AT_ONCE


def test_what_cannot_be_looked_at_again_is_given_back_untried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twilio = PocketTwilio(now=lambda: NOW)
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms={"debounce": "0s", "reminders": []}) as service:
        book_many(service)

        def fail(*_: Any) -> Any:
            raise OSError("the database is away")

        monkeypatch.setattr("carebell.outbound.dispatcher.still_sendable", fail)
        with pytest.raises(OSError, match="away"):
            service.tick()
        assert twilio.ledger.received == ()
        assert {(row.state, row.attempts) for row in service.rows()} == {(SmsState.DUE, 0)}
        monkeypatch.undo()
        assert service.tick() == DUE
